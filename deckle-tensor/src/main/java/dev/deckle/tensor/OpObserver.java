package dev.deckle.tensor;

import java.util.function.Supplier;

/// Sees every operation of a thread as it is computed, with its result: how explanations are made of the real classes
/// instead of a copy of their arithmetic.
@FunctionalInterface
public interface OpObserver {
    /// Called after each operation, in the order of computation, views included.
    void computed(Op op, Tensor result);

    /// Runs `work` on this thread and shows each of its operations to `observer`.
    static <R> R during(OpObserver observer, Supplier<R> work) {
        return ScopedValue.where(Eager.OBSERVER, observer).call(work::get);
    }
}
