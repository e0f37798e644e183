package dev.deckle.zero;

import dev.deckle.memory.MovableMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;

/// Memory for what is whole only for a moment: a layer's gathered parameters, or its gradients until they are summed.
/// The two buffers that came back last are kept, because most layers are of one size and follow each other.
final class Buffers implements AutoCloseable {
    private static final int KEPT = 2;

    /// One of them. Its memory is taken when it is first used, so that a [Rehearsal] counts without any.
    static final class Buffer {
        private final MovableMemory memory = new MovableMemory("a buffer that was given back");
        private final long bytes;
        private Arena arena; // null until it is used
        private long address;

        private Buffer(long bytes) {
            this.bytes = bytes;
        }

        long address() {
            if (arena == null) {
                arena = Arena.ofShared(); // the communication thread reads and writes it too
                address = arena.allocate(Math.max(1, bytes), 64).address();
                memory.placeAt(address);
            }
            return address;
        }

        /// Its first elements.
        Tensor as(DType dtype, long numel) {
            address();
            return Tensor.on(memory.part(0, bytes), 0, dtype, Shape.of(Math.toIntExact(numel)));
        }

        private void free() {
            if (arena != null) {
                memory.remove();
                arena.close();
            }
        }
    }

    private final Deque<Buffer> free = new ArrayDeque<>();
    private long used;
    private long mostUsed;
    private long held;
    private long mostHeld;

    Buffer take(long bytes) {
        used += bytes;
        mostUsed = Math.max(mostUsed, used);
        for (Iterator<Buffer> i = free.iterator(); i.hasNext();) {
            Buffer b = i.next();
            if (b.bytes == bytes) {
                i.remove();
                return b;
            }
        }
        held += bytes;
        mostHeld = Math.max(mostHeld, held);
        return new Buffer(bytes);
    }

    void give(Buffer b) {
        used -= b.bytes;
        free.addFirst(b);
        if (free.size() > KEPT) {
            drop(free.removeLast());
        }
    }

    private void drop(Buffer b) {
        held -= b.bytes;
        b.free();
    }

    /// Bytes that are in use.
    long used() {
        return used;
    }

    /// The most bytes that were in use at once.
    long mostUsed() {
        return mostUsed;
    }

    /// The most bytes that were held from the system at once.
    long mostHeld() {
        return mostHeld;
    }

    /// Frees what was given back.
    @Override
    public void close() {
        free.forEach(this::drop);
        free.clear();
    }
}
