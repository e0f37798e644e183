package dev.deckle.app;

import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// Shell completion, generated from the verbs themselves.
@Command(
        name = "completion",
        description = "Print a completion script for a shell.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  eval \"$(./deckle completion bash)\"           in this shell",
            "  ./deckle completion zsh >~/.deckle-completion  to be sourced by ~/.zshrc"
        })
final class Completion extends Verb {
    enum Shell {
        bash,
        zsh
    }

    @Parameters(paramLabel = "bash|zsh", description = "the shell")
    private Shell shell;

    @Override
    int run(Console console) {
        // one script serves both: it turns on zsh's emulation of bash completion where it finds itself in zsh
        console.result(AutoComplete.bash("deckle", spec().root().commandLine()).stripTrailing());
        return Deckle.DONE;
    }

    @Override
    boolean computes() {
        return false;
    }
}
