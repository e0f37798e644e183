/// SIMD kernels on the Vector API, for any processor that has vectors of 128 bits or more.
module dev.deckle.vector {
    requires dev.deckle.tensor;
    requires jdk.incubator.vector;

    provides dev.deckle.kernel.KernelProvider with dev.deckle.vector.VectorProvider;
}
