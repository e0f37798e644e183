package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;

/// Root mean square normalisation (Zhang and Sennrich 2019) over the last dimension:
/// y = x / sqrt(mean(x^2) + eps) * weight. Hugging Face's `LlamaRMSNorm`.
public final class RmsNorm {
    private final Tensor weight; // (width)
    private final double eps;

    public RmsNorm(Weights w, int width, double eps) {
        weight = w.get("weight", Init.ones(), width);
        this.eps = eps;
    }

    public Tensor forward(Tensor x) {
        return Functional.rmsNorm(x, weight, eps);
    }
}
