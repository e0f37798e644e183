package dev.deckle.kernel;

/// A group of kernels that is chosen together: `deckle doctor` prints one line for each.
public enum Family {
    ELEMENTWISE,
    REDUCE,
    MATMUL,
    ATTENTION,
    SOFTMAX,
    NORM,
    ROPE,
    SWIGLU,
    CROSS_ENTROPY,
    OPTIMIZER
}
