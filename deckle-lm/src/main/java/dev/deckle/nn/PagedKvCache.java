package dev.deckle.nn;

import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
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
public final class PagedKvCache extends CacheRows {
    /// Positions in a block, unless told otherwise.
    public static final int BLOCK_SIZE = 16;

    private final Blocks blocks;
    private List<BlockTable> tables = List.of(); // one a row of the batch; a table begins behind the row's padding
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
        super(capacity);
        this.blocks = blocks;
        blocks.users++;
    }

    /// Another cache with the same blocks, in which every row begins with the first `positions` of this one's: prompts
    /// that begin alike are computed, and kept, once. Each is closed for itself.
    public PagedKvCache fork(int positions) {
        PagedKvCache fork = new PagedKvCache(capacity(), blocks);
        fork.begin(this, Math.min(length(), positions));
        fork.tables = forked(fork.length(), IntStream.range(0, tables.size()).toArray());
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
    public KeysValues append(int layer, Tensor keys, Tensor values) {
        int to = fits(keys, values);
        if (tables.isEmpty()) {
            tables = IntStream.range(0, rows()).mapToObj(_ -> new BlockTable(blocks.pool)).toList();
        }
        for (int r = 0; r < rows(); r++) {
            blocks.copy(tables.get(r).write(place(r, length()), place(r, to))); // in all layers, at the first to write
        }
        Layer at = blocks.layer(layer, keys, values);
        write(at.keys, keys);
        write(at.values, values);
        Tensor places = places(to);
        return new KeysValues(at.keys.gather(places), at.values.gather(places));
    }

    /// x (B, G, T, D) to the indices from the length on.
    private void write(Store store, Tensor x) {
        int to = length() + x.dim(2);
        Tensor byPosition = x.transpose(1, 2); // (B, T, G, D)
        for (int r = 0; r < rows(); r++) {
            int size = blocks.pool.blockSize();
            for (int p = place(r, length()), n; p < place(r, to); p += n) {
                n = Math.min(place(r, to) - p, size - p % size);
                int t = p + padding(r) - length();
                store.write(byPosition.slice(0, r, r + 1).slice(1, t, t + n), tables.get(r).blockOf(p), p % size);
            }
        }
    }

    /// Which place of the pool has each of the first `to` indices of each row, counted in positions: (B, to). Padding
    /// is sent to place 0, whatever is there: nobody looks at it.
    private Tensor places(int to) {
        long[] places = new long[rows() * to];
        int size = blocks.pool.blockSize();
        for (int r = 0; r < rows(); r++) {
            for (int i = padding(r); i < to; i++) {
                int p = place(r, i);
                places[r * to + i] = (long) tables.get(r).blockOf(p) * size + p % size;
            }
        }
        return Tensor.of(places, rows(), to);
    }

    /// Where index i of a row is in its table.
    private int place(int row, int i) {
        return Math.max(0, i - padding(row));
    }

    private List<BlockTable> forked(int length, int... rows) {
        return IntStream.of(rows).mapToObj(r -> tables.get(r).fork(place(r, length))).toList();
    }

    @Override
    void cut(int length) {
        for (int r = 0; r < rows(); r++) {
            tables.get(r).truncate(place(r, length));
        }
    }

    /// Counts references, copies nothing.
    @Override
    void pick(int... rows) {
        List<BlockTable> old = tables;
        tables = forked(length(), rows);
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

        /// x (1, n, G, D) into a block from a place on.
        void write(Tensor x, int block, int place) {
            x.copyInto(rows().slice(0, block, block + 1).slice(1, place, place + x.dim(1)));
        }

        /// What is at places (B, S): (B, G, S, D).
        Tensor gather(Tensor places) {
            Tensor found = Functional.embedding(rows().reshape(rows.dim(0) * rows.dim(1), -1), places); // (B, S, G * D)
            return found.reshape(places.dim(0), places.dim(1), rows.dim(2), rows.dim(3)).transpose(1, 2);
        }
    }
}
