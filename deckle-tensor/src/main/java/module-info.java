/// Tensors, automatic differentiation, memory with three lifetimes, and the door to the kernels.
module dev.deckle.tensor {
    exports dev.deckle.tensor;
    exports dev.deckle.autograd;
    exports dev.deckle.memory;
    exports dev.deckle.io;
    exports dev.deckle.random;
    exports dev.deckle.kernel;

    uses dev.deckle.kernel.KernelProvider;
}
