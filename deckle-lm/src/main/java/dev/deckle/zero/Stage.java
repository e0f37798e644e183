package dev.deckle.zero;

/// What of a model's state each rank holds only a part of (Rajbhandari et al. 2020). Every stage also divides what the
/// ones before it divide.
public enum Stage {
    /// Nothing: every rank holds everything, and gradients are summed.
    REPLICATED,
    /// The optimizer's moments, and the F32 masters of BF16 weights.
    OPTIMIZER,
    /// Gradients: each layer's are summed as the backward pass produces them, and a rank keeps its part.
    GRADIENTS,
    /// Parameters: each layer's are gathered when it is computed, forward and backward, and let go afterwards.
    PARAMETERS;

    /// By its number in the paper, 0 to 3.
    public static Stage of(int number) {
        if (number < 0 || number >= values().length) {
            throw new IllegalArgumentException("--zero must be 0, 1, 2 or 3, not " + number);
        }
        return values()[number];
    }

    boolean divides(Stage what) {
        return compareTo(what) >= 0;
    }
}
