package dev.deckle.memory;

import java.util.ArrayDeque;
import java.util.concurrent.atomic.AtomicLong;

/// The lifetime of a training or decoding step: every tensor made on this thread while it is open lives in it, and
/// closing it frees them all at once.
/// ```java
/// try (var step = Workspace.open()) {
///     Tensor loss = model.loss(batch);
///     loss.backward();
/// } // every activation is gone; parameters and their gradients are not
/// ```
/// Scopes nest, and close in the reverse order on the thread that opened them. A tensor that must outlive its step is
/// copied out with [dev.deckle.tensor.Tensor#keep()]. The memory itself is pooled: after the first step the next ones
/// allocate nothing from the system, which [#reservedBytes()] shows.
public final class Workspace implements AutoCloseable, Storage.Owner {
    private static final ThreadLocal<Workspace> CURRENT = new ThreadLocal<>();
    private static final ArrayDeque<Blocks> POOL = new ArrayDeque<>();
    private static final AtomicLong RESERVED = new AtomicLong();
    private static final AtomicLong PEAK = new AtomicLong();

    private final Workspace outer;
    private final Blocks blocks;
    private final Thread thread = Thread.currentThread();
    private long used; // in the scopes inside it too
    private long peak; // of that
    private boolean closed;

    private Workspace(Workspace outer, Blocks blocks) {
        this.outer = outer;
        this.blocks = blocks;
    }

    /// Opens a scope on this thread.
    public static Workspace open() {
        Blocks b;
        synchronized (POOL) {
            b = POOL.isEmpty() ? new Blocks() : POOL.pop();
        }
        Workspace w = new Workspace(CURRENT.get(), b);
        CURRENT.set(w);
        return w;
    }

    /// Whether this thread is inside a scope.
    public static boolean active() {
        return CURRENT.get() != null;
    }

    /// Memory of the innermost scope, contents undefined; outside of any, memory that the collector reclaims.
    public static Storage allocate(long bytes) {
        Workspace w = CURRENT.get();
        return w == null ? CallerMemory.allocate(bytes) : w.take(bytes);
    }

    /// Memory of the scope around the innermost one.
    public static Storage allocateOutside(long bytes) {
        Workspace w = CURRENT.get();
        return w == null || w.outer == null ? CallerMemory.allocate(bytes) : w.outer.take(bytes);
    }

    /// Memory that outlives every scope and is reclaimed by the collector.
    public static Storage allocateForCaller(long bytes) {
        return CallerMemory.allocate(bytes);
    }

    private Storage take(long bytes) {
        long before = blocks.reserved();
        Storage s = new Storage(this, blocks.allocate(bytes), bytes);
        RESERVED.addAndGet(blocks.reserved() - before);
        count(Blocks.align(bytes));
        return s;
    }

    /// So many bytes more are in use here, and so in the scopes around.
    private void count(long bytes) {
        for (Workspace w = this; w != null; w = w.outer) {
            w.used += bytes;
            w.peak = Math.max(w.peak, w.used);
        }
    }

    /// Bytes in use now, here and in the scopes inside.
    public long usedBytes() {
        return used;
    }

    /// The most bytes that were in use at once, here and in the scopes inside.
    public long peakBytes() {
        return peak;
    }

    /// Bytes that all scopes of the process hold from the system.
    public static long reservedBytes() {
        return RESERVED.get();
    }

    /// The highest [#peakBytes()] of any scope that was closed: what a thread needed at once.
    public static long highWaterMark() {
        return PEAK.get();
    }

    @Override
    public String ended() {
        return closed
                ? "this tensor was made in a step (Workspace) that has been closed: copy it out before with keep()"
                : "";
    }

    @Override
    public void reclaim(Storage storage) {
        if (!closed) {
            blocks.free(storage.rawAddress(), storage.bytes());
            count(-Blocks.align(storage.bytes()));
        }
    }

    /// Frees everything made in the scope.
    ///
    /// @throws IllegalStateException if it is not this thread's innermost scope
    @Override
    public void close() {
        if (closed) {
            return;
        }
        if (CURRENT.get() != this) {
            throw new IllegalStateException(thread == Thread.currentThread()
                    ? "a workspace must be closed after those opened inside it"
                    : "a workspace must be closed by the thread that opened it, " + thread.getName());
        }
        closed = true;
        if (outer == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(outer);
        }
        PEAK.accumulateAndGet(peak, Math::max);
        count(-blocks.used());
        blocks.reset();
        synchronized (POOL) {
            POOL.push(blocks);
        }
    }
}
