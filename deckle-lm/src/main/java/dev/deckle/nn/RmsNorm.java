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
    private final boolean offset;

    public RmsNorm(Weights w, int width, double eps) {
        this(w, width, eps, false);
    }

    private RmsNorm(Weights w, int width, double eps, boolean offset) {
        weight = w.get("weight", offset ? Init.zeros() : Init.ones(), width);
        this.eps = eps;
        this.offset = offset;
    }

    /// With weights that are learned as their distance from 1 (Gemma).
    public static RmsNorm offset(Weights w, int width, double eps) {
        return new RmsNorm(w, width, eps, true);
    }

    public Tensor forward(Tensor x) {
        return Functional.rmsNorm(x, offset ? weight.add(1) : weight, eps);
    }
}
