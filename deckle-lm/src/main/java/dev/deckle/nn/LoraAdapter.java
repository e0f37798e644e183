package dev.deckle.nn;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Optional;

/// The two matrices of [Lora] beside one linear layer.
final class LoraAdapter {
    private final Tensor a; // (r, in)
    private final Tensor b; // (out, r)
    private final double scale;
    private final Dropout dropout;

    /// @param w the linear layer's scope
    LoraAdapter(Weights w, Lora lora, int in, int out) {
        a = w.get(Lora.A, Init.kaimingUniform(Math.sqrt(5)), lora.rank(), in);
        b = w.get(Lora.B, Init.zeros(), out, lora.rank());
        scale = lora.scale();
        dropout = new Dropout(lora.dropout());
    }

    /// y (..., out) of the layer with what the adapter makes of the layer's input x (..., in).
    Tensor addTo(Tensor y, Tensor x) {
        Tensor narrow = Functional.linear(dropout.forward(x, Lora.pass()), a, Optional.empty()); // (..., r)
        return y.add(Functional.linear(narrow.mul(scale), b, Optional.empty()));
    }

    /// W (out, in) with the adapter in it.
    Tensor mergedInto(Tensor weight) {
        return weight.add(wide(b).matmul(wide(a)).mul(scale));
    }

    private static Tensor wide(Tensor t) {
        return t.dtype() == DType.BF16 ? t.to(DType.F32) : t;
    }
}
