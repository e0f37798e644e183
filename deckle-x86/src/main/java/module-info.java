/// Java that writes its own machine code for every kernel, on x86-64 under Linux.
module dev.deckle.x86 {
    requires dev.deckle.tensor;

    provides dev.deckle.kernel.KernelProvider with dev.deckle.x86.X86Provider;
}
