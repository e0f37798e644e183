package dev.deckle.zero;

import dev.deckle.memory.MovableMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Set;

/// Memory for what is whole only for a moment: a layer's gathered parameters, or its gradients until they are summed.
/// Buffers that come back are kept as long as those that are asked for have their sizes, because most layers are alike
/// and follow each other. So it never holds more than were in use at once.
final class Buffers implements AutoCloseable {
    /// One of them.
    static final class Buffer {
        private final Arena arena = Arena.ofShared(); // the communication thread reads and writes it too
        private final MovableMemory memory = new MovableMemory("a buffer that was given back");
        private final long bytes;
        private final long address;

        private Buffer(long bytes) {
            this.bytes = bytes;
            address = arena.allocate(Math.max(1, bytes), 64).address();
            memory.placeAt(address);
        }

        long address() {
            return address;
        }

        /// Its first elements.
        Tensor as(DType dtype, long numel) {
            return Tensor.on(memory.part(0, bytes), 0, dtype, Shape.of(Math.toIntExact(numel)));
        }
    }

    private final Set<Buffer> used = new HashSet<>();
    private final Deque<Buffer> free = new ArrayDeque<>();
    private long held;
    private long mostHeld;

    Buffer take(long bytes) {
        for (Iterator<Buffer> i = free.iterator(); i.hasNext();) {
            Buffer b = i.next();
            if (b.bytes == bytes) {
                i.remove();
                used.add(b);
                return b;
            }
        }
        drop(free);
        held += bytes;
        mostHeld = Math.max(mostHeld, held);
        Buffer b = new Buffer(bytes);
        used.add(b);
        return b;
    }

    void give(Buffer b) {
        used.remove(b);
        free.addFirst(b);
    }

    private void drop(Collection<Buffer> buffers) {
        for (Buffer b : buffers) {
            held -= b.bytes;
            b.memory.remove();
            b.arena.close();
        }
        buffers.clear();
    }

    /// The most bytes that were held from the system at once.
    long mostHeld() {
        return mostHeld;
    }

    /// Frees them all, those too that a failure left in use.
    @Override
    public void close() {
        drop(free);
        drop(used);
    }
}
