package dev.deckle.memory;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/// Memory that lives as long as a model: parameters, their gradients, optimizer moments, KV caches, mapped checkpoints.
/// Closing it frees everything at once; it may be shared between threads.
public final class ModelMemory implements AutoCloseable, Storage.Owner {
    private static final AtomicLong ALLOCATED = new AtomicLong();

    private final Arena arena = Arena.ofShared();
    private long bytes;
    private final ReentrantReadWriteLock use = new ReentrantReadWriteLock();
    private volatile boolean closed;

    /// Nothing yet.
    public ModelMemory() {}

    /// Zeroed memory.
    public synchronized Storage allocate(long bytes) {
        long size = Blocks.align(Math.max(bytes, 1));
        Storage s;
        try {
            s = new Storage(this, Pages.allocate(arena, size).address(), bytes);
        } catch (OutOfMemoryError e) {
            throw new OutOfMemoryError(Blocks.refusal(bytes, "model"));
        }
        this.bytes += size;
        ALLOCATED.addAndGet(size);
        return s;
    }

    /// A whole file, mapped read-only. Pages are read when touched; nothing is copied.
    public synchronized Storage map(Path file) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            return new Storage(this, mapped.address(), channel.size());
        } catch (IOException e) {
            throw new UncheckedIOException(file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    /// Bytes allocated here, mapped files not counted.
    public synchronized long bytes() {
        return bytes;
    }

    /// Bytes allocated by all models that are open.
    public static long allocatedBytes() {
        return ALLOCATED.get();
    }

    @Override
    public String ended() {
        return closed ? "this tensor belongs to a model that was closed" : "";
    }

    @Override
    public void reclaim(Storage storage) {
        throw new AssertionError("a model frees its memory as a whole");
    }

    /// A promise that the memory stays until the lease is closed.
    @FunctionalInterface
    public interface Lease extends AutoCloseable {
        @Override
        void close();
    }

    /// For a computation that runs while another thread may close the model: [#close()] waits for it.
    ///
    /// @throws IllegalStateException if it is closed already
    public Lease lease() {
        use.readLock().lock();
        if (closed) {
            use.readLock().unlock();
            throw new IllegalStateException("the model is closed");
        }
        return use.readLock()::unlock;
    }

    /// Gives the memory back, after the computations that hold a [#lease()].
    @Override
    public void close() {
        use.writeLock().lock();
        try {
            release();
        } finally {
            use.writeLock().unlock();
        }
    }

    private synchronized void release() {
        if (!closed) {
            closed = true;
            ALLOCATED.addAndGet(-bytes);
            arena.close();
        }
    }
}
