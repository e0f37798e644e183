package dev.deckle.tensor;

import java.util.function.Supplier;

/// Sees every operation of a thread: before it is computed, so that parameters which live elsewhere can be brought, and
/// afterwards with its result, so that explanations are made of the real classes instead of a copy of their arithmetic.
@FunctionalInterface
public interface OpObserver {
    /// Called before each operation's inputs are read, to compute its result and again to compute its gradient.
    default void before(Op op) {}

    /// Called after each operation, in the order of computation, views included.
    void computed(Op op, Tensor result);

    /// Whether results are read after [#computed]: they must then live as long as their step.
    default boolean keepsResults() {
        return true;
    }

    /// Whether this thread's observer does, if it has one.
    static boolean keeping() {
        return Eager.OBSERVER.isBound() && Eager.OBSERVER.get().keepsResults();
    }

    /// Tells this thread's observer, if it has one.
    static void tellBefore(Op op) {
        if (Eager.OBSERVER.isBound()) {
            Eager.OBSERVER.get().before(op);
        }
    }

    /// Both of them, this one first.
    private OpObserver and(OpObserver other) {
        OpObserver first = this;
        return new OpObserver() {
            @Override
            public void before(Op op) {
                first.before(op);
                other.before(op);
            }

            @Override
            public void computed(Op op, Tensor result) {
                first.computed(op, result);
                other.computed(op, result);
            }

            @Override
            public boolean keepsResults() {
                return first.keepsResults() || other.keepsResults();
            }
        };
    }

    /// Runs `work` on this thread and shows each of its operations to `observer`, after those who watch already.
    static <R> R during(OpObserver observer, Supplier<R> work) {
        OpObserver all = Eager.OBSERVER.isBound() ? Eager.OBSERVER.get().and(observer) : observer;
        return ScopedValue.where(Eager.OBSERVER, all).call(work::get);
    }
}
