package dev.deckle.mistakes;

import dev.deckle.parity.Component;
import java.util.function.Supplier;

/// A part written by hand, and what shows whether it is right.
public sealed interface Attempt {
    /// Judged by the golden cases of a component, values and gradients.
    ///
    /// @param component whose cases these are
    record OnGoldenCases(String component, Component written) implements Attempt {}

    /// Judged on one input by the numbers that should come out.
    ///
    /// @param right computed in another way
    record OnNumbers(Supplier<double[]> right, Supplier<double[]> written) implements Attempt {
        private static final double TOLERANCE = 1e-6;

        /// Whether each number is the right one, to 1e-6 of it or of 1.
        public boolean passes() {
            double[] expected = right.get();
            double[] found = written.get();
            boolean same = expected.length == found.length;
            for (int i = 0; same && i < expected.length; i++) {
                double allowed = TOLERANCE * Math.max(1, Math.abs(expected[i]));
                same = expected[i] == found[i] || Math.abs(expected[i] - found[i]) <= allowed; // false where it is NaN
            }
            return same;
        }
    }
}
