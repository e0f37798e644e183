package dev.deckle.nn;

import dev.deckle.kernel.Native;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;

/// The keys and values of all layers of one model, in the blocks of a [BlockPool]. Several [PagedKvCache]s can share
/// it, one after another or at once on one thread: then a sequence that begins with whole blocks of one that came
/// before takes these instead of computing them again, until the pool needs them for something else.
///
/// ```java
/// try (var memory = new PagedMemory(4096)) {
///     var generator = new TextGenerator(model, sampler, ends).withMemory(memory);
///     generator.generate(longPrompt, 100, random, each);
///     generator.generate(longPrompt + more, 100, random, each); // computes `more` only
/// }
/// ```
///
/// What it takes from the system grows with the blocks that are in use: to twice as much, and while a store grows,
/// its old place stays until the memory is closed.
public final class PagedMemory implements AutoCloseable {
    /// Keys and values of one layer.
    record Layer(Store keys, Store values) {}

    private final ModelMemory memory = new ModelMemory();
    private final BlockPool pool;
    private final PrefixIndex prefixes;
    private final List<Layer> layers = new ArrayList<>();

    /// Blocks of [PagedKvCache#BLOCK_SIZE] positions.
    ///
    /// @param blocks how many there are at most
    public PagedMemory(int blocks) {
        this(new BlockPool(blocks, PagedKvCache.BLOCK_SIZE));
    }

    /// With the blocks of a pool, of which it is the only user.
    public PagedMemory(BlockPool pool) {
        this.pool = pool;
        prefixes = new PrefixIndex(pool);
        pool.whenDry(prefixes::evict);
    }

    /// Where the blocks come from.
    public BlockPool pool() {
        return pool;
    }

    /// Bytes that it has taken from the system.
    public long bytes() {
        return memory.bytes();
    }

    PrefixIndex prefixes() {
        return prefixes;
    }

    /// The layer that keys (B, G, T, D) and values (B, G, T, E) belong to.
    ///
    /// @throws IllegalArgumentException if it holds others, as those of another model would be
    Layer layer(int layer, Tensor keys, Tensor values) {
        if (layer == layers.size()) {
            layers.add(new Layer(new Store(keys), new Store(values)));
        }
        Layer there = layers.get(layer);
        there.keys.requireLike(keys);
        there.values.requireLike(values);
        return there;
    }

    void copy(List<BlockTable.Copy> copies) {
        for (BlockTable.Copy c : copies) {
            for (Layer l : layers) {
                l.keys.copy(c);
                l.values.copy(c);
            }
        }
    }

    @Override
    public void close() {
        memory.close();
    }

    /// The keys, or the values, of one layer.
    final class Store {
        private Tensor rows; // (room, block_size, G, D)

        private Store(Tensor like) {
            rows = Tensor.empty(memory, like.dtype(), Shape.of(room(), pool.blockSize(), like.dim(1), like.dim(3)));
        }

        private void requireLike(Tensor x) {
            if (rows.dtype() != x.dtype() || rows.dim(2) != x.dim(1) || rows.dim(3) != x.dim(3)) {
                throw new IllegalArgumentException("this memory holds " + rows.dtype() + " of " + rows.dim(2)
                        + " heads of width " + rows.dim(3) + " in this layer, and " + x.dtype() + " of " + x.dim(1)
                        + " heads of width " + x.dim(3) + " came: is it another model's?");
            }
        }

        /// Memory for twice as many blocks as are in use now, all together bounded by the last as in
        /// [ContiguousKvCache].
        private int room() {
            return (int) Math.min(pool.blocks(), Math.max(4, 2L * pool.extent()));
        }

        /// All blocks, (blocks, block_size, G, D).
        Tensor rows() {
            int there = rows.dim(0);
            if (there < pool.extent()) {
                Tensor larger = Tensor.empty(memory, rows.dtype(), rows.shape().with(0, room()));
                rows.copyInto(larger.slice(0, 0, there));
                rows = larger;
            }
            return rows;
        }

        private void copy(BlockTable.Copy c) {
            rows().slice(0, c.from(), c.from() + 1).copyInto(rows().slice(0, c.to(), c.to() + 1));
        }

        /// Positions `from` to `to` of a table, of which the first is column `column` of a row of x (B, T, G, D), which
        /// is contiguous.
        void write(Tensor x, int row, int column, BlockTable table, int from, int to) {
            int size = pool.blockSize();
            long position = (long) x.dtype().bytes() * x.dim(2) * x.dim(3); // bytes of one
            long source = x.address() + position * ((long) row * x.dim(1) + column);
            long target = rows().address();
            for (int p = from, n; p < to; p += n) {
                n = Math.min(to - p, size - p % size);
                Native.copy(source + position * (p - from),
                        target + position * ((long) table.blockOf(p) * size + p % size), position * n);
            }
            Reference.reachabilityFence(x);
        }

        /// What is at places (B, S), counted in positions: (B, G, S, D).
        Tensor gather(Tensor places) {
            Tensor found = Functional.embedding(rows().reshape(rows.dim(0) * rows.dim(1), -1), places); // (B, S, G * D)
            return found.reshape(places.dim(0), places.dim(1), rows.dim(2), rows.dim(3)).transpose(1, 2);
        }
    }
}
