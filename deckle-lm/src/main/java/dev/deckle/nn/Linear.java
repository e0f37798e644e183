package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Optional;

/// y = x W^T + b over the last dimension: (..., in) to (..., out). PyTorch's `nn.Linear`.
public final class Linear {
    private final Tensor weight; // (out, in)
    private final Optional<Tensor> bias; // (out)

    public Linear(Weights w, int in, int out, boolean bias, Init init) {
        weight = w.get("weight", init, out, in);
        this.bias = bias ? Optional.of(w.get("bias", Init.zeros(), out)) : Optional.empty();
    }

    /// A layer that uses a weight which is already there, such as a tied head.
    public Linear(Tensor weight) {
        this.weight = weight;
        bias = Optional.empty();
    }

    public Tensor forward(Tensor x) {
        return Functional.linear(x, weight, bias);
    }
}
