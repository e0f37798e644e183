package dev.deckle.zero;

import dev.deckle.memory.MovableMemory;
import dev.deckle.memory.Pages;
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
                address = Pages.allocate(arena, Math.max(1, bytes)).address();
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
            b.free();
        }
        buffers.clear();
    }

    /// Bytes that are in use.
    long used() {
        return used.stream().mapToLong(b -> b.bytes).sum();
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
