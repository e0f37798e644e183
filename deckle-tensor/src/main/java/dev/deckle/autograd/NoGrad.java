package dev.deckle.autograd;

import java.util.function.Supplier;

/// A scope of this thread in which nothing is recorded:
/// ```java
/// try (var off = NoGrad.open()) {
///     Tensor logits = model.forward(ids);
/// }
/// ```
public final class NoGrad implements AutoCloseable {
    private static final ThreadLocal<Integer> DEPTH = ThreadLocal.withInitial(() -> 0);

    private boolean closed;

    private NoGrad() {}

    public static NoGrad open() {
        DEPTH.set(DEPTH.get() + 1);
        return new NoGrad();
    }

    /// Whether operations on this thread are recorded.
    public static boolean recording() {
        return DEPTH.get() == 0;
    }

    /// What `work` computes with recording on, whatever scopes are open: for what a backward pass computes again.
    static <R> R lifted(Supplier<R> work) {
        int depth = DEPTH.get();
        DEPTH.set(0);
        try {
            return work.get();
        } finally {
            DEPTH.set(depth);
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            DEPTH.set(DEPTH.get() - 1);
        }
    }
}
