package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;

/// Brings each row to mean 0 and variance 1, then scales and shifts each column.
///
/// - **Formula**: y = (x - mean(x)) / sqrt(var(x) + eps) weight + bias, with var = mean((x - mean)^2), the biased one
/// - **Shapes**: x (..., width), weight and bias (width), y (..., width)
/// - **Cost**: two passes over a row; mean and 1/sqrt(var + eps) are kept for the gradient
/// - **Source**: Ba et al. 2016
/// - **PyTorch**: `nn.LayerNorm`
/// - **Classic mistake**: the unbiased variance (dividing by width - 1, as `x.var()` does by default), or eps added
///   outside of the root
public final class LayerNorm {
    private final Tensor weight; // (width)
    private final Tensor bias; // (width)
    private final double eps;

    public LayerNorm(Weights w, int width, double eps) {
        weight = w.get("weight", Init.ones(), width);
        bias = w.get("bias", Init.zeros(), width);
        this.eps = eps;
    }

    public Tensor forward(Tensor x) {
        return Functional.layerNorm(x, weight, bias, eps);
    }
}
