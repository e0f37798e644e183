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
