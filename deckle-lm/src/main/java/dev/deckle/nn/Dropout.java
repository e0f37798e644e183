package dev.deckle.nn;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Zeroes each element with probability p in training and scales the others by 1 / (1 - p), so that the expected value
/// stays; does nothing in evaluation. From the same seed the same elements go as in PyTorch.
///
/// - **Formula**: y = x keep / (1 - p), keep = 1 with probability 1 - p
/// - **Shapes**: any
/// - **Cost**: one random number an element, in training only
/// - **Source**: Srivastava et al. 2014
/// - **PyTorch**: `nn.Dropout`
/// - **Classic mistake**: leaving it on in evaluation, or forgetting the 1 / (1 - p), so that evaluation sees larger
///   numbers than training did
public record Dropout(double p) {
    public Dropout {
        if (!(p >= 0 && p < 1)) {
            throw new IllegalArgumentException("a dropout probability must be at least 0 and below 1, not " + p);
        }
    }

    public Tensor forward(Tensor x, Pass pass) {
        if (p == 0 || pass.random().isEmpty()) {
            return x;
        }
        Tensor keep = pass.random().get().bernoulli(1 - p, x.shape().toArray()).to(DType.BOOL); // (...)
        return x.mul(1 / (1 - p)).where(keep, Tensor.zeros(x.dtype(), Shape.SCALAR));
    }
}
