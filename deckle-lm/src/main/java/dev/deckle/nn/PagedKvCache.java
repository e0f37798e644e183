package dev.deckle.nn;

import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/// A [KvCache] in blocks of a few positions, as an operating system keeps memory in pages: a sequence takes blocks as
/// it grows, gives them back when it ends, and shares with other sequences those that hold the same beginning. Beams
/// therefore cost the blocks in which they differ, and a prompt is kept once however many sequences continue it.
///
/// The bookkeeping is in [BlockPool] (who refers to what) and [BlockTable] (which blocks a sequence has); this class
/// keeps the numbers. All layers use the same tables.
///
/// - **Formula**: position p of a sequence is at place p mod block_size of block `table[p / block_size]`.
/// - **Shapes**: a layer keeps its keys as (blocks, block_size, G, D) and its values as (blocks, block_size, G, E).
///   Gathering looks up the blocks of a batch as an embedding does: ids (B, n) in rows (blocks, block_size G D) give
///   (B, n, block_size G D), seen as (B, n block_size, G, D), cut to S positions and transposed: (B, G, S, D).
/// - **Cost**: a sequence wastes (block_size - 1) / 2 positions on average: 0.73 % with blocks of 16 and lengths up to
///   2048, against 50 % in buffers of the greatest length. A fork costs a counter a block. The gather copies all S
///   positions once a layer and step, which is one write and one read more than a contiguous cache needs (kernels made
///   for blocks read them where they are); for a single sequence whose blocks happen to lie in a row there is no copy.
/// - **Source**: Kwon et al. 2023, Efficient Memory Management for Large Language Model Serving with PagedAttention.
/// - **PyTorch**: vLLM's block manager, whose blocks are of 16 positions too; transformers' `PagedAttentionCache`.
/// - **Classic mistake**: writing into the last, partly filled block of a fork without looking at its reference count:
///   the sequences overwrite each other's newest position. And copying it for every fork: only writers need a copy.
public final class PagedKvCache implements KvCache {
    /// Positions in a block, unless told otherwise.
    public static final int BLOCK_SIZE = 16;

    private final Blocks blocks;
    private final int capacity;
    private List<BlockTable> tables = List.of(); // one a row of the batch
    private int length;
    private boolean closed;

    /// Blocks of 16 positions, as many as the sequences need if they share nothing.
    ///
    /// @param capacity positions that a sequence can have
    /// @param sequences how many there are at most
    public PagedKvCache(int capacity, int sequences) {
        this(capacity, new BlockPool(Math.max(1, Math.multiplyExact(sequences, Math.ceilDiv(capacity, BLOCK_SIZE))),
                BLOCK_SIZE));
    }

    /// With the blocks of a pool, of which this cache and its forks are the only users.
    ///
    /// @param capacity positions that a sequence can have
    public PagedKvCache(int capacity, BlockPool pool) {
        this(capacity, new Blocks(pool));
    }

    private PagedKvCache(int capacity, Blocks blocks) {
        this.capacity = capacity;
        this.blocks = blocks;
        blocks.users++;
    }

    /// Another cache with the same blocks, in which every row begins with the first `positions` of this one's: prompts
    /// that begin alike are computed, and kept, once. Each is closed for itself.
    public PagedKvCache fork(int positions) {
        PagedKvCache fork = new PagedKvCache(capacity, blocks);
        fork.length = Math.min(length, positions);
        fork.tables = tables.stream().map(t -> t.fork(fork.length)).toList();
        return fork;
    }

    /// The table of each row, to look at.
    public List<BlockTable> tables() {
        return tables;
    }

    /// Where the blocks come from.
    public BlockPool pool() {
        return blocks.pool;
    }

    @Override
    public int length() {
        return length;
    }

    @Override
    public int capacity() {
        return capacity;
    }

    @Override
    public KeysValues append(int layer, Tensor keys, Tensor values) {
        KvCache.requireNoGrad(keys, values);
        int to = length + keys.dim(2);
        if (to > capacity) {
            throw ContiguousKvCache.full(this, keys.dim(2));
        }
        if (tables.isEmpty()) {
            tables = IntStream.range(0, keys.dim(0)).mapToObj(_ -> new BlockTable(blocks.pool)).toList();
        }
        if (tables.size() != keys.dim(0)) {
            throw ContiguousKvCache.otherBatch(tables.size(), keys);
        }
        for (BlockTable table : tables) {
            blocks.copy(table.write(length, to)); // in all layers, at the first one that writes
        }
        Layer at = blocks.layer(layer, keys, values);
        at.keys.write(keys, tables, length);
        at.values.write(values, tables, length);
        return new KeysValues(at.keys.gather(tables, to), at.values.gather(tables, to));
    }

    @Override
    public void advance(int positions) {
        length += positions;
    }

    @Override
    public void truncate(int length) {
        this.length = Math.min(this.length, KvCache.requireLength(length));
        tables.forEach(t -> t.truncate(this.length));
    }

    /// Counts references, copies nothing.
    @Override
    public void reorder(int... rows) {
        List<BlockTable> old = tables;
        for (int row : rows) {
            Objects.checkIndex(row, old.size());
        }
        tables = IntStream.of(rows).mapToObj(r -> old.get(r).fork(length)).toList();
        old.forEach(BlockTable::close);
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            tables.forEach(BlockTable::close);
            tables = List.of();
            blocks.close();
        }
    }

    private record Layer(Store keys, Store values) {}

    /// The memory of a pool: all layers, shared by the caches that fork from one.
    private static final class Blocks {
        private final ModelMemory memory = new ModelMemory();
        private final BlockPool pool;
        private final List<Layer> layers = new ArrayList<>();
        private int users;

        Blocks(BlockPool pool) {
            this.pool = pool;
        }

        Layer layer(int layer, Tensor keys, Tensor values) {
            if (layer == layers.size()) {
                layers.add(new Layer(new Store(this, keys), new Store(this, values)));
            }
            return layers.get(layer);
        }

        void copy(List<BlockTable.Copy> copies) {
            for (BlockTable.Copy c : copies) {
                for (Layer l : layers) {
                    l.keys.copy(c);
                    l.values.copy(c);
                }
            }
        }

        void close() {
            if (--users == 0) {
                memory.close();
            }
        }
    }

    /// The keys, or the values, of one layer.
    private static final class Store {
        private final Blocks owner;
        private Tensor rows; // (room, block_size, G, D)

        Store(Blocks owner, Tensor like) {
            this.owner = owner;
            rows = Tensor.empty(owner.memory, like.dtype(),
                    Shape.of(room(), owner.pool.blockSize(), like.dim(1), like.dim(3)));
        }

        /// Memory for twice as many blocks as are in use now, all together bounded by the last as in
        /// [ContiguousKvCache].
        private int room() {
            return (int) Math.min(owner.pool.blocks(), Math.max(4, 2L * owner.pool.extent()));
        }

        private Tensor rows() {
            int there = rows.dim(0);
            if (there < owner.pool.extent()) {
                Tensor larger = Tensor.empty(owner.memory, rows.dtype(), rows.shape().with(0, room()));
                rows.copyInto(larger.slice(0, 0, there));
                rows = larger;
            }
            return rows;
        }

        void copy(BlockTable.Copy c) {
            rows().slice(0, c.from(), c.from() + 1).copyInto(rows().slice(0, c.to(), c.to() + 1));
        }

        /// x (B, G, T, D) to positions `from` on.
        void write(Tensor x, List<BlockTable> tables, int from) {
            Tensor byPosition = x.transpose(1, 2); // (B, T, G, D)
            int size = owner.pool.blockSize();
            int t = x.dim(2);
            for (int b = 0; b < tables.size(); b++) {
                for (int i = 0, n; i < t; i += n) {
                    int place = (from + i) % size;
                    n = Math.min(t - i, size - place);
                    int block = tables.get(b).blockOf(from + i);
                    byPosition.slice(0, b, b + 1).slice(1, i, i + n) // (1, n, G, D)
                            .copyInto(rows().slice(0, block, block + 1).slice(1, place, place + n));
                }
            }
        }

        /// The first `positions` of all tables: (B, G, positions, D).
        Tensor gather(List<BlockTable> tables, int positions) {
            int n = Math.ceilDiv(positions, owner.pool.blockSize());
            int[] ids = tables.stream().flatMapToInt(t -> Arrays.stream(t.blocks()).limit(n)).toArray(); // (B * n)
            boolean inARow = tables.size() == 1 && IntStream.range(0, n).allMatch(i -> ids[i] == ids[0] + i);
            Tensor found = inARow ? rows().slice(0, ids[0], ids[0] + n)
                    : Functional.embedding(rows().reshape(rows.dim(0), -1),
                            Tensor.of(Arrays.stream(ids).asLongStream().toArray(), tables.size(), n));
            return found.reshape(tables.size(), -1, rows.dim(2), rows.dim(3)) // (B, n * block_size, G, D)
                    .slice(1, 0, positions)
                    .transpose(1, 2); // (B, G, positions, D)
        }
    }
}
