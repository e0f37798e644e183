package dev.deckle.reward;

import java.util.List;
import java.util.regex.Pattern;

/// 1 where a regular expression (`java.util.regex`) is found anywhere in the completion, else 0.
///
/// A completion can be one on which the expression would search for ever, so each search may look at characters
/// [#MOST_STEPS] times and fails then: a count, because a clock would not give the same rewards everywhere.
record PatternFound(Pattern pattern) implements RewardFunction {
    /// Some tenths of a second.
    static final int MOST_STEPS = 10_000_000;

    @Override
    public double[] rewards(List<Sample> samples) {
        return samples.stream()
                .mapToDouble(s -> pattern.matcher(new Counted(s.completion())).find() ? 1 : 0)
                .toArray();
    }

    @Override
    public String name() {
        return "regex";
    }

    private static final class Counted implements CharSequence {
        private final String text;
        private int steps;

        Counted(String text) {
            this.text = text;
        }

        @Override
        public char charAt(int index) {
            if (++steps > MOST_STEPS) {
                throw new IllegalStateException("no end of searching within " + MOST_STEPS + " steps, in "
                        + text.length() + " characters");
            }
            return text.charAt(index);
        }

        @Override
        public int length() {
            return text.length();
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return text.subSequence(start, end);
        }

        @Override
        public String toString() {
            return text;
        }
    }
}
