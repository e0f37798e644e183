package dev.deckle.generate;

import dev.deckle.tensor.Tensor;
import java.util.Map;
import java.util.Optional;

/// Finds what is not a number.
public final class Finite {
    private Finite() {}

    /// The name of the first tensor that holds NaN or an infinity.
    public static Optional<String> firstBad(Map<String, Tensor> named) {
        return named.entrySet().stream().filter(e -> !finite(e.getValue())).map(Map.Entry::getKey).findFirst();
    }

    /// Passes results on.
    ///
    /// @throws IllegalStateException naming the first weight that is not finite, if one of the results is not
    static float[] require(float[] results, Map<String, Tensor> weights) {
        for (float f : results) {
            require(f, weights);
        }
        return results;
    }

    static void require(double result, Map<String, Tensor> weights) {
        if (!Double.isFinite(result)) {
            throw new IllegalStateException("a result is not finite" + firstBad(weights)
                    .map(n -> ": weight " + n + " holds NaN or infinity")
                    .orElse(", although all weights are: they are too large for f32"));
        }
    }

    /// Whether all elements are finite numbers.
    public static boolean finite(Tensor t) {
        for (float f : t.detach().toFloats()) {
            if (!Float.isFinite(f)) {
                return false;
            }
        }
        return true;
    }
}
