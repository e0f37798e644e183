package dev.deckle.compute;

import dev.deckle.tensor.Op;
import dev.deckle.tensor.Tensor;
import java.util.List;

/// Attention.
public final class Attend {
    private Attend() {}

    public static Tensor forward(Op.Attention op) {
        throw new UnsupportedOperationException("next");
    }

    public static List<Tensor> backward(Op.Attention op, Tensor y, Tensor g) {
        throw new UnsupportedOperationException("next");
    }
}
