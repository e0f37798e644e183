package dev.deckle.app;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;
import java.util.regex.Pattern;

/// One way to spoil a model folder.
///
/// @param part of the folder that is spoilt
/// @param outcome that the verbs which need this part must have
/// @param told what the one line must say, where it is one
record Harm(String name, Part part, Outcome outcome, Pattern told, Body body) {
    enum Part {
        MODEL,
        NUMBERS,
        TOKENIZER,
        CHAT,
        GENERATION
    }

    enum Outcome {
        REFUSED,
        ACCEPTED,
        EITHER
    }

    @FunctionalInterface
    interface Body {
        /// @return what was done, to find it again
        String spoil(Path folder, Random random) throws IOException;
    }

    static Harm refused(String name, Part part, Body body) {
        return refused(name, part, "", body);
    }

    static Harm refused(String name, Part part, String told, Body body) {
        return new Harm(name, part, Outcome.REFUSED, Pattern.compile(told), body);
    }

    static Harm accepted(String name, Part part, Body body) {
        return new Harm(name, part, Outcome.ACCEPTED, Pattern.compile(""), body);
    }

    /// Perhaps it is still readable: then there is a result.
    static Harm either(String name, Part part, Body body) {
        return new Harm(name, part, Outcome.EITHER, Pattern.compile(""), body);
    }
}
