package dev.deckle.nn;

import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Zeroes each element with probability p in training and scales the others by 1 / (1 - p), so that the expected value
/// stays; does nothing in evaluation (Srivastava et al. 2014). PyTorch's `nn.Dropout`.
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
        Tensor keep = pass.random().get().rand(x.shape().toArray()).ge(Tensor.scalar(p)); // (...) BOOL
        return x.mul(1 / (1 - p)).where(keep, Tensor.zeros(x.dtype(), Shape.SCALAR));
    }
}
