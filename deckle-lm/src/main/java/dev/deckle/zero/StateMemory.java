package dev.deckle.zero;

import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Where flat state of a known size lives.
interface StateMemory extends AutoCloseable {
    /// Zeros (numel).
    Tensor allocate(DType dtype, long numel);

    /// Bytes of memory that it has taken; what lies in a file does not count.
    long bytes();

    @Override
    void close();

    /// In native memory.
    static StateMemory inMemory() {
        ModelMemory memory = new ModelMemory();
        return new StateMemory() {
            private long bytes;

            @Override
            public Tensor allocate(DType dtype, long numel) {
                bytes += numel * dtype.bytes();
                return Tensor.empty(memory, dtype, Shape.of(Math.toIntExact(numel)));
            }

            @Override
            public long bytes() {
                return bytes;
            }

            @Override
            public void close() {
                memory.close();
            }
        };
    }
}
