package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.OptionalInt;

/// A row of numbers for each id: (...) I64 to (..., width). PyTorch's `nn.Embedding`.
public final class Embedding {
    private final Tensor weight; // (rows, width)
    private final OptionalInt paddingIndex;

    public Embedding(Weights w, int rows, int width, Init init) {
        this(w, rows, width, init, OptionalInt.empty());
    }

    /// @param paddingIndex the id whose row gathers no gradient from being looked up: PyTorch's `padding_idx`
    public Embedding(Weights w, int rows, int width, Init init, OptionalInt paddingIndex) {
        weight = w.get("weight", init, rows, width);
        this.paddingIndex = paddingIndex;
    }

    public Tensor forward(Tensor ids) {
        Tensor y = Functional.embedding(weight, ids);
        if (paddingIndex.isEmpty() || y.creator().isEmpty()) {
            return y;
        }
        long[] padding = {paddingIndex.getAsInt()};
        Tensor real = ids.ne(Tensor.of(padding, 1)).unsqueeze(-1); // (..., 1)
        return y.where(real, y.detach());
    }

    /// (rows, width), for a head that is tied to it.
    public Tensor weight() {
        return weight;
    }
}
