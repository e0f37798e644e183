package dev.deckle.app;

import picocli.CommandLine.Command;

/// The verbs about data that is no text: a name for the group, no work of its own.
@Command(
        name = "data",
        description = "Big files of numbers: write one, and find its median in little memory.",
        synopsisSubcommandLabel = "VERB",
        subcommands = {DataMedian.class, DataIntegers.class},
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle data integers numbers.bin --generate 1,100000000    800 MB",
            "  ./deckle data median numbers.bin --memory 32MB"
        })
final class Data {}
