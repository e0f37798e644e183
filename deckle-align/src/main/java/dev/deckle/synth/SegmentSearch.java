package dev.deckle.synth;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/// The search for a reasoning that leads to an answer (REER, arXiv 2509.06160): z* = argmin over z of
/// PPL(answer | prompt, z), by changing one segment at a time.
///
/// In each round each segment in turn is compared with some alternatives, and the one with the lowest perplexity of the
/// answer stays. It ends when a round has changed nothing, or after so many rounds. The perplexity never rises.
final class SegmentSearch {
    private static final Pattern LINES = Pattern.compile("(?<=\\n)(?!\\n)");
    private static final Pattern SENTENCES = Pattern.compile("(?<=[.!?…]\\s)(?!\\s)|(?<=[。！？])(?![。！？\\s])");

    /// Alternatives of segment `i`, given the others.
    @FunctionalInterface
    interface Proposals {
        List<String> of(List<String> segments, int i, int round) throws IOException;
    }

    /// The perplexity of the answer after these thoughts.
    @FunctionalInterface
    interface Surprise {
        double of(String thoughts) throws IOException;
    }

    /// @param before the perplexity after the thoughts as they were drawn
    /// @param after that after these
    /// @param rounds that were begun
    /// @param replaced how often a segment was
    record Found(String thoughts, double before, double after, int rounds, int replaced) {}

    private SegmentSearch() {}

    /// Its lines, or its sentences where it has but one line; together they are the text again.
    static List<String> segments(String text) {
        List<String> lines = List.of(LINES.split(text));
        return lines.size() > 1 ? lines : List.of(SENTENCES.split(text));
    }

    static Found improve(String drawn, int rounds, Proposals proposals, Surprise surprise) throws IOException {
        List<String> segments = new ArrayList<>(segments(drawn));
        double before = surprise.of(drawn);
        double lowest = before;
        int replaced = 0;
        int round = 0;
        for (boolean changed = true; changed && round < rounds; round++) {
            changed = false;
            for (int i = 0; i < segments.size(); i++) {
                String own = segments.get(i);
                String blanks = own.substring(own.stripTrailing().length()); // what parts it from the next
                String best = own;
                for (String proposal : proposals.of(List.copyOf(segments), i, round)) {
                    segments.set(i, proposal.strip() + blanks);
                    double perplexity = surprise.of(String.join("", segments));
                    if (perplexity < lowest) {
                        lowest = perplexity;
                        best = segments.get(i);
                    }
                }
                segments.set(i, best);
                if (!best.equals(own)) {
                    changed = true;
                    replaced++;
                }
            }
        }
        return new Found(String.join("", segments), before, lowest, round, replaced);
    }
}
