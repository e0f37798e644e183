package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/// A [KvCache] in blocks of a few positions, as an operating system keeps memory in pages: a sequence takes blocks as
/// it grows, gives them back when it ends, and shares with other sequences those that hold the same beginning. Beams
/// therefore cost the blocks in which they differ, and a prompt is kept once however many sequences continue it, in
/// this cache or, with a [PagedMemory] of its own life, in later ones.
///
/// The bookkeeping is in [BlockPool] (who refers to what) and [BlockTable] (which blocks a sequence has), the numbers
/// are in [PagedMemory]. All layers use the same tables, so a layer with a window keeps what it no longer looks at.
///
/// - **Formula**: position p of a sequence is at place p mod block_size of block `table[p / block_size]`.
/// - **Shapes**: a layer keeps its keys as (blocks, block_size, G, D) and its values as (blocks, block_size, G, E).
///   [#attend] reads them there; [#append] gathers them, as an embedding looks up rows, to (B, G, S, D).
/// - **Cost**: a sequence wastes (block_size - 1) / 2 positions on average: 3.1 % with blocks of 64 and lengths up to
///   2048, against 50 % in buffers of the greatest length. A fork costs a counter a block. Attention takes a tile of
///   keys in as many pieces as it has blocks that do not follow each other in memory.
/// - **Source**: Kwon et al. 2023, Efficient Memory Management for Large Language Model Serving with PagedAttention;
///   Zheng et al. 2024, SGLang (beginnings that outlive their sequence).
/// - **PyTorch**: vLLM's block manager and automatic prefix caching; transformers' `PagedAttentionCache`.
/// - **Classic mistake**: writing into the last, partly filled block of a fork without looking at its reference count:
///   the sequences overwrite each other's newest position. And copying it for every fork: only writers need a copy.
public final class PagedKvCache extends CacheRows {
    /// Positions in a block, unless told otherwise.
    public static final int BLOCK_SIZE = 64;

    private final PagedMemory memory;
    private final Users users;
    private List<BlockTable> tables = List.of(); // one a row of the batch; a table begins behind the row's padding
    private boolean closed;

    /// The caches of one memory that nobody else closes: the last one does.
    private static final class Users {
        private final boolean last;
        private int count;

        Users(boolean last) {
            this.last = last;
        }
    }

    /// With a memory of its own, as large as the sequences need if they share nothing.
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
        this(capacity, new PagedMemory(pool), new Users(true));
    }

    /// In a memory that outlives it and is closed by whoever made it.
    ///
    /// @param capacity positions that a sequence can have
    public PagedKvCache(int capacity, PagedMemory memory) {
        this(capacity, memory, new Users(false));
    }

    private PagedKvCache(int capacity, PagedMemory memory, Users users) {
        super(capacity);
        this.memory = memory;
        this.users = users;
        users.count++;
    }

    /// Another cache with the same blocks, in which every row begins with the first `positions` of this one's: prompts
    /// that begin alike are computed, and kept, once. Each is closed for itself.
    public PagedKvCache fork(int positions) {
        PagedKvCache fork = new PagedKvCache(capacity(), memory, users);
        fork.pad(padding());
        fork.begin(rows(), Math.min(length(), positions));
        fork.tables = forked(fork.length(), IntStream.range(0, tables.size()).toArray());
        return fork;
    }

    /// The table of each row, to look at.
    public List<BlockTable> tables() {
        return tables;
    }

    /// Where the blocks come from.
    public BlockPool pool() {
        return memory.pool();
    }

    /// Bytes of the memory, other caches' part included.
    @Override
    public long bytes() {
        return memory.bytes();
    }

    @Override
    public KeysValues append(int layer, Tensor keys, Tensor values) {
        PagedMemory.Layer at = write(layer, keys, values);
        Tensor places = places(length() + keys.dim(2));
        return new KeysValues(at.keys().gather(places), at.values().gather(places));
    }

    /// Reads the blocks where they are; a row's padding is no part of its blocks, so nothing has to be hidden.
    @Override
    public Tensor attend(
            int layer, Tensor query, Tensor keys, Tensor values, ScaledDotProductAttention attention, Pass pass) {
        if (!attention.causal() || attention.softcap() > 0) { // the kernel for blocks knows neither
            return super.attend(layer, query, keys, values, attention, pass);
        }
        PagedMemory.Layer at = write(layer, keys, values);
        int to = length() + keys.dim(2);
        return Functional.pagedAttention(query, at.keys().rows(), at.values().rows(), table(), lengths(to),
                attention.window(), attention.scale());
    }

    private PagedMemory.Layer write(int layer, Tensor keys, Tensor values) {
        int to = fits(keys, values);
        if (tables.isEmpty()) {
            tables = IntStream.range(0, rows()).mapToObj(_ -> new BlockTable(pool())).toList();
        }
        for (int r = 0; r < rows(); r++) {
            memory.copy(tables.get(r).write(place(r, length()), place(r, to))); // in all layers, at the first to write
        }
        PagedMemory.Layer at = memory.layer(layer, keys, values);
        write(at.keys(), keys, to);
        write(at.values(), values, to);
        return at;
    }

    /// x (B, G, T, D) to the indices from the length on.
    private void write(PagedMemory.Store store, Tensor x, int to) {
        Tensor byPosition = x.transpose(1, 2).contiguous(); // (B, T, G, D)
        for (int r = 0; r < rows(); r++) {
            int from = place(r, length());
            store.write(byPosition, r, from + padding(r) - length(), tables.get(r), from, place(r, to));
        }
    }

    /// The blocks of all rows, (B, most blocks of a row).
    private Tensor table() {
        int most = tables.stream().mapToInt(BlockTable::count).max().orElse(0);
        long[] blocks = new long[rows() * most];
        for (int r = 0; r < rows(); r++) {
            for (int i = 0; i < tables.get(r).count(); i++) {
                blocks[r * most + i] = tables.get(r).block(i);
            }
        }
        return Tensor.of(blocks, rows(), most);
    }

    private Tensor lengths(int to) {
        return Tensor.of(IntStream.range(0, rows()).map(r -> place(r, to)).asLongStream().toArray(), rows());
    }

    /// Which place of the memory has each of the first `to` indices of each row, counted in positions: (B, to). Padding
    /// is sent to place 0, whatever is there: nobody looks at it.
    private Tensor places(int to) {
        long[] places = new long[rows() * to];
        int size = pool().blockSize();
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

    /// With a [PagedMemory] that outlives its caches: what it remembers of the sequences' beginnings.
    @Override
    public int reuse(List<int[]> sequences) {
        if (users.last) {
            return 0; // nobody was here before
        }
        int[][] known = new int[sequences.size()][];
        int common = capacity();
        for (int r = 0; r < known.length; r++) {
            known[r] = memory.prefixes().find(sequences.get(r));
            int positions = Math.min(known[r].length * pool().blockSize(), sequences.get(r).length - 1);
            common = Math.min(common, padding(r) + positions);
        }
        begin(known.length, common);
        List<BlockTable> found = Arrays.stream(known).map(blocks -> new BlockTable(pool(), blocks)).toList();
        tables = found;
        tables = forked(common, IntStream.range(0, known.length).toArray());
        return common;
    }

    /// With a [PagedMemory] that outlives its caches.
    @Override
    public void remember(int row, int... ids) {
        if (!users.last) {
            int there = Math.min(ids.length, place(row, length()));
            memory.prefixes().remember(Arrays.copyOf(ids, there), tables.get(row).blocks());
        }
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
            if (--users.count == 0 && users.last) {
                memory.close();
            }
        }
    }
}
