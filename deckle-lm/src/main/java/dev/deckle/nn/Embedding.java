package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;

/// A row of numbers for each id: (...) I64 to (..., width). PyTorch's `nn.Embedding`.
public final class Embedding {
    private final Tensor weight; // (rows, width)

    public Embedding(Weights w, int rows, int width, Init init) {
        weight = w.get("weight", init, rows, width);
    }

    public Tensor forward(Tensor ids) {
        return Functional.embedding(weight, ids);
    }

    /// (rows, width), for a head that is tied to it.
    public Tensor weight() {
        return weight;
    }
}
