package dev.deckle.synth;

import java.util.Optional;

/// Thoughts, and the answer that they lead to.
record Reasoned(String thoughts, String answer) {
    static final String OPEN = "<think>";
    static final String CLOSE = "</think>";

    /// Reads `<think>...</think>` and an answer: each tag once, neither part blank, nothing before the first tag.
    static Optional<Reasoned> parse(String text) {
        String t = text.strip();
        int close = t.indexOf(CLOSE);
        if (!t.startsWith(OPEN) || close < 0) {
            return Optional.empty();
        }
        String thoughts = t.substring(OPEN.length(), close).strip();
        String answer = t.substring(close + CLOSE.length()).strip();
        return thoughts.isEmpty() || answer.isEmpty() || hasTag(thoughts) || hasTag(answer)
                ? Optional.empty()
                : Optional.of(new Reasoned(thoughts, answer));
    }

    static boolean hasTag(String text) {
        return text.contains(OPEN) || text.contains(CLOSE);
    }

    /// What comes before the answer.
    static String before(String thoughts) {
        return OPEN + "\n" + thoughts + "\n" + CLOSE + "\n";
    }

    /// As a model is to write it.
    String text() {
        return before(thoughts) + answer;
    }

    /// What of the answer is compared: what its last `<answer>...</answer>` holds, or all of it.
    String result() {
        int end = answer.lastIndexOf("</answer>");
        int start = answer.lastIndexOf("<answer>", end);
        return end >= 0 && start >= 0 ? answer.substring(start + "<answer>".length(), end).strip() : answer;
    }
}
