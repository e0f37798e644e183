package dev.deckle.kernel;

/// What a backend module provides to the door. Keep the implementing class thin: it must load on any machine and touch
/// vector or native types only inside [#open()].
public interface KernelProvider {
    /// `x86`, `vector`: the name that flags and `doctor` use.
    String name();

    /// Higher is asked first.
    int priority();

    /// The kernels of this machine.
    ///
    /// @throws UnsupportedOperationException with the reason in plain words, where this machine cannot run them
    Kernels open();
}
