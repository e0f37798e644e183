package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;

/// Brings each row to root mean square 1, then scales each column: layer normalisation without its mean.
///
/// - **Formula**: y = x / sqrt(mean(x^2) + eps) weight
/// - **Shapes**: x (..., width), weight (width), y (..., width)
/// - **Cost**: one pass over a row to sum, one to scale; 1/sqrt(...) is kept for the gradient
/// - **Source**: Zhang and Sennrich 2019
/// - **PyTorch**: `nn.RMSNorm`, Hugging Face's `LlamaRMSNorm`
/// - **Classic mistake**: subtracting the mean all the same, or eps added outside of the root
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
