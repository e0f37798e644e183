package dev.deckle.nn;

import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Activation functions with a parameter; those without are methods of [Tensor]: `relu`, `sigmoid`, `tanh`, `silu`,
/// `gelu`, `geluTanh`, `softmax`, `logSoftmax`. All stay finite at any finite input: no exponential is taken of a
/// positive number.
///
/// - **Formula**: sigmoid(x) = 1 / (1 + e^-x); tanh(x); relu(x) = max(0, x); leaky_relu(x) = x if x > 0 else alpha x;
///   elu(x) = x if x > 0 else alpha (e^x - 1); swish(x) = x sigmoid(x); gelu(x) = x Phi(x), or by tanh
///   0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); softmax(x) = e^(x - max x) / sum e^(x - max x)
/// - **Shapes**: any, element by element; softmax over one dimension
/// - **Cost**: one pass over memory
/// - **Source**: Maas et al. 2013 (leaky ReLU), Clevert et al. 2016 (ELU), Ramachandran et al. 2017 (Swish),
///   Hendrycks and Gimpel 2016 (GELU)
/// - **PyTorch**: `F.leaky_relu`, `F.elu`, `F.silu`, `F.gelu(approximate="none"|"tanh")`
/// - **Classic mistake**: 1 / (1 + exp(-x)) and e^x / sum e^x as they stand: at -1000 and +1000 they overflow
public final class Activations {
    private Activations() {}

    /// x where it is positive, else alpha x.
    public static Tensor leakyRelu(Tensor x, double alpha) {
        return x.where(positive(x), x.mul(alpha));
    }

    /// x where it is positive, else alpha (e^x - 1).
    public static Tensor elu(Tensor x, double alpha) {
        // zero where x is positive: the exponential of what is not chosen stays finite, and so does its gradient
        Tensor below = Tensor.zeros(x.dtype(), Shape.SCALAR).where(positive(x), x);
        return x.where(positive(x), below.exp().sub(1).mul(alpha));
    }

    /// e^x / sum e^x without subtracting the maximum: the formula as it is written, which overflows from x = 89 on in
    /// F32. For comparison with [Tensor#softmax(int)].
    public static Tensor naiveSoftmax(Tensor x, int dim) {
        Tensor e = x.exp();
        return e.div(e.sum(dim, true));
    }

    private static Tensor positive(Tensor x) {
        return x.gt(Tensor.zeros(x.dtype(), Shape.SCALAR));
    }
}
