package dev.deckle.nn;

import dev.deckle.tensor.DType;
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
    private final boolean rounded;

    public RmsNorm(Weights w, int width, double eps) {
        this(w.get("weight", Init.ones(), width), eps, false, false);
    }

    private RmsNorm(Tensor weight, double eps, boolean offset, boolean rounded) {
        this.weight = weight;
        this.eps = eps;
        this.offset = offset;
        this.rounded = rounded;
    }

    /// With weights that are learned as their distance from 1 (Gemma).
    public static RmsNorm offset(Weights w, int width, double eps) {
        return new RmsNorm(w.get("weight", Init.zeros(), width), eps, true, false);
    }

    /// The same with a result of BF16 where all that reads it would round it to that.
    ///
    /// @param halves whether that is so
    public RmsNorm forHalves(boolean halves) {
        return new RmsNorm(weight, eps, offset, halves);
    }

    public Tensor forward(Tensor x) {
        return Functional.rmsNorm(x, offset ? weight.add(1) : weight, eps, rounded ? DType.BF16 : x.dtype());
    }
}
