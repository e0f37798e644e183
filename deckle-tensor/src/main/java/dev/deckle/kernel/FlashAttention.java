package dev.deckle.kernel;

import dev.deckle.tensor.DType;

/// `softmax(q k^T scale + mask) v` without ever holding all scores: FlashAttention-2 (Dao 2023) for a CPU.
///
/// The scores are computed tile by tile. Going forward each tile rescales what was summed before it (the online
/// softmax, [Kernels#attentionTile]), and one number a row is kept, the logarithm of the sum of its exponentials. Going
/// back the tiles are computed again from it. Beyond the results a thread needs a few tiles of memory, and on the way
/// back one number for each query of a group, whatever the lengths are.
///
/// - **Formula**: for each tile S = q k^T scale + mask: m' = max(m, rowmax S), P = e^(S - m'), l = e^(m - m') l +
///   rowsum P, O = e^(m - m') O + P v; at the end O / l and lse = m + log l. Back: P = e^(S - lse), dv = P^T dO,
///   dS = P (dO v^T - rowsum(dO O)), dq = dS k scale, dk = dS^T q scale
/// - **Shapes**: q (B, H, T, D), k (B, G, S, D), v (B, G, S, E), O (B, H, T, E), lse (B, H, T)
/// - **Cost**: 2 B H T S (D + E) operations forward, about 2.5 times that backward; memory linear in T + S
/// - **Source**: Dao et al. 2022; Dao 2023
/// - **PyTorch**: `F.scaled_dot_product_attention`
/// - **Classic mistake**: tiles added without rescaling; -infinity minus -infinity in a row that sees nothing
///
/// It consists of leaf calls, so the products can run on one backend and the rest on another.
public final class FlashAttention {
    // 64 to 128 queries by 128 to 256 keys are within a tenth of each other; few queries waste least on a diagonal
    private static final int QUERY_BLOCK = 64;
    private static final int KEY_BLOCK = 256;

    // slots of the thread's scratch memory
    private static final int SCORES = 0;
    private static final int SCORES_GRAD = 1;
    private static final int OUTPUT = 2;
    private static final int ROWS = 3;

    private final Kernels products;
    private final Kernels rows;

    /// @param products computes the matrix products, of BF16 where numbers are rounded to be multiplied
    /// @param rows computes the families ATTENTION and REDUCE
    public FlashAttention(Kernels products, Kernels rows) {
        this.products = products;
        this.rows = rows;
    }

    /// A four-dimensional array (batch, heads, rows, columns) whose columns of a row lie together. Strides count
    /// elements; 0 repeats.
    private sealed interface Rows {
        long rowStride();

        long at(DType t, int batch, int head, int row);

        /// How many rows from this one on are `rowStride` apart, of `most` that are wanted.
        int run(int batch, int row, int most);
    }

    /// In any order of memory.
    public record View(long address, long batchStride, long headStride, long rowStride) implements Rows {
        /// No array, where a mask is optional.
        public static final View NONE = new View(0, 0, 0, 0);

        /// One row of each of n heads as the n rows of one head.
        private View folded(int n) {
            return new View(address, batchStride, headStride * n, headStride);
        }

        @Override
        public long at(DType t, int batch, int head, int row) {
            return address + t.bytes() * (batch * batchStride + head * headStride + row * rowStride);
        }

        @Override
        public int run(int batch, int row, int most) {
            return most;
        }
    }

    /// In blocks of `size` rows: row j of a batch is row j mod size of the block that the table names. Blocks that
    /// follow each other in memory as they do in the table are as good as one, which is what a pool gives to whoever
    /// asks for many at once.
    ///
    /// @param table where the numbers (I64) of the blocks of each batch are, `perBatch` of them
    public record Blocks(
            long address, long blockStride, long headStride, long rowStride, int size, long table, int perBatch)
            implements
            Rows {
        private long block(int batch, int i) {
            return Native.getLong(table + Long.BYTES * ((long) batch * perBatch + i));
        }

        @Override
        public long at(DType t, int batch, int head, int row) {
            return address + t.bytes() * (block(batch, row / size) * blockStride + head * headStride
                    + row % size * rowStride);
        }

        @Override
        public int run(int batch, int row, int most) {
            int i = row / size;
            int n = size - row % size;
            long block = block(batch, i);
            while (n < most && blockStride == size * rowStride && block(batch, ++i) == ++block) {
                n += size;
            }
            return Math.min(n, most);
        }
    }

    /// What is computed. Query head h attends to key-value head `h / (heads / kvHeads)`.
    ///
    /// @param rounded whether all that is multiplied is rounded to BF16 first ([Kernels#matmulRounded]): q, k, v and P,
    ///     and on the way back dO and dS; sums and the softmax stay in F32
    /// @param kvHeads divides `heads`: fewer is grouped-query attention, 1 is multi-query attention
    /// @param dim columns of queries and keys
    /// @param valueDim columns of values and outputs
    /// @param causalOffset query i sees the keys 0..i + causalOffset: `keys - queries` lines up the last query with the
    ///     last key; [#NOT_CAUSAL] shows all keys to all queries
    /// @param window how many keys a query sees at most, the last of those that causality leaves it; 0 for all
    /// @param mask (batch, heads, queries, keys), added to the scaled scores, where -Infinity hides a key; or
    ///     [View#NONE]
    public record Shape(
            DType t, boolean rounded, int batch, int heads, int kvHeads, int queries, int keys, int dim, int valueDim,
            double scale, long causalOffset, int window, View mask) {
        public static final long NOT_CAUSAL = Integer.MAX_VALUE;
        private static final int LEAST_TASKS = 8;

        public Shape {
            if (kvHeads < 1 || heads % kvHeads != 0) {
                throw new IllegalArgumentException(
                        "the number of query heads must be a multiple of the key-value heads, but " + heads
                                + " is none of " + kvHeads);
            }
        }

        /// The same for a row of the batch that has another number of keys; its last query sees the last of them.
        private Shape withKeys(int keys) {
            long offset = causalOffset == NOT_CAUSAL ? NOT_CAUSAL : (long) keys - queries;
            return new Shape(t, rounded, batch, heads, kvHeads, queries, keys, dim, valueDim, scale, offset, window,
                    mask);
        }

        /// The same for one query a head that sees all keys: as the heads of a group look at the same keys, `n` of them
        /// can be taken as n queries of one head, and each tile of keys is read once for all.
        private Shape folded(int n) {
            return new Shape(t, rounded, batch, heads / n, kvHeads, n, keys, dim, valueDim, scale, NOT_CAUSAL, 0,
                    mask.folded(n));
        }

        /// How many heads of a group to fold: as many as leave enough to do for the threads of a machine, whatever this
        /// one has, because the order of sums must not depend on them.
        private int fold() {
            boolean all = queries == 1 && causalOffset >= keys - 1 && (window == 0 || keys <= window);
            int n = all ? group() : 1;
            while (group() % n != 0 || n > 1 && batch * heads / n < LEAST_TASKS) {
                n--;
            }
            return n;
        }

        private int group() {
            return heads / kvHeads;
        }

        /// How many keys from key j on query i sees; negative if it ends before.
        private long visible(int i, int j) {
            return i + causalOffset + 1 - j;
        }

        /// How many keys the queries up to i see.
        private int keysUpTo(int i) {
            return Math.clamp(visible(i, 0), 0, keys);
        }

        /// The first key that query i sees.
        private int firstKey(int i) {
            return window == 0 ? 0 : Math.clamp(visible(i, 0) - window, 0, keys);
        }

        private long maskAt(int b, int h, int i, int j) {
            return mask.address == 0 ? 0 : mask.at(t, b, h, i) + (long) t.bytes() * j;
        }

        private long bytes(long elements) {
            return t.bytes() * elements;
        }
    }

    // ---- forward

    /// Writes `out` (batch, heads, queries, valueDim) and `lse`, contiguous (batch, heads, queries). A query that sees
    /// nothing gets an output of 0 and an lse of -Infinity.
    public void forward(Shape s, View q, View k, View v, View out, long lse, Team team) {
        int fold = s.fold();
        if (fold > 1) {
            forward(s.folded(fold), q.folded(fold), k, v, out.folded(fold), lse, team);
            return;
        }
        int blocks = Math.ceilDiv(s.queries, QUERY_BLOCK);
        team.parallelFor(s.batch * s.heads * blocks, task -> {
            int b = task / blocks / s.heads;
            int h = task / blocks % s.heads;
            forward(s, b, h, task % blocks * QUERY_BLOCK, q, k, v, out, lse);
        });
    }

    /// The same over keys and values in blocks, of which row b of the batch has `lengths[b]`. Its last query sees the
    /// last of them.
    public void forward(Shape s, int[] lengths, View q, Blocks k, Blocks v, View out, long lse, Team team) {
        int fold = s.fold();
        if (fold > 1) {
            forward(s.folded(fold), lengths, q.folded(fold), k, v, out.folded(fold), lse, team);
            return;
        }
        int blocks = Math.ceilDiv(s.queries, QUERY_BLOCK);
        team.parallelFor(s.batch * s.heads * blocks, task -> {
            int b = task / blocks / s.heads;
            int h = task / blocks % s.heads;
            forward(s.withKeys(lengths[b]), b, h, task % blocks * QUERY_BLOCK, q, k, v, out, lse);
        });
    }

    /// The queries from i on, one block of them.
    private void forward(Shape s, int b, int h, int i, View q, Rows k, Rows v, View out, long lse) {
        DType t = s.t;
        int n = Math.min(QUERY_BLOCK, s.queries - i);
        int kv = h / s.group();
        long scores = Scratch.bytes(SCORES, s.bytes(QUERY_BLOCK * KEY_BLOCK)); // (n, KEY_BLOCK)
        long o = Scratch.bytes(OUTPUT, s.bytes(QUERY_BLOCK * s.valueDim)); // (n, valueDim)
        long max = Scratch.bytes(ROWS, s.bytes(2 * QUERY_BLOCK)); // (n)
        long sum = max + s.bytes(QUERY_BLOCK); // (n)
        Native.zero(o, s.bytes(n * s.valueDim));
        Native.zero(sum, s.bytes(n));
        for (int r = 0; r < n; r++) {
            ScalarKernels.set(t, max, r, Double.NEGATIVE_INFINITY);
        }
        int end = s.keysUpTo(i + n - 1);
        for (int j = s.firstKey(i); j < end; j += KEY_BLOCK) {
            int cols = Math.min(KEY_BLOCK, end - j);
            for (int c = 0, run; c < cols; c += run) {
                run = k.run(b, j + c, cols - c);
                multiply(s, n, run, s.dim, q.at(t, b, h, i), q.rowStride, 1, k.at(t, b, kv, j + c), 1,
                        k.rowStride(), scores + s.bytes(c), KEY_BLOCK, false);
            }
            hideBeforeWindow(s, i, n, j, cols, scores);
            rows.attentionTile(t, scores, KEY_BLOCK, n, cols, s.visible(i, j), s.maskAt(b, h, i, j), s.mask.rowStride,
                    s.scale, max, sum, o, s.valueDim, s.valueDim);
            for (int c = 0, run; c < cols; c += run) {
                run = v.run(b, j + c, cols - c);
                multiply(s, n, s.valueDim, run, scores + s.bytes(c), KEY_BLOCK, 1, v.at(t, b, kv, j + c),
                        v.rowStride(), 1, o, s.valueDim, true);
            }
        }
        rows.attentionEnd(t, max, sum, o, s.valueDim, out.at(t, b, h, i), out.rowStride,
                lse + s.bytes(((long) b * s.heads + h) * s.queries + i), n, s.valueDim);
    }

    /// A product of a tile, on this thread.
    private void multiply(
            Shape s, int m, int n, int k, long a, long ars, long acs, long b, long brs, long bcs, long c, long crs,
            boolean accumulate) {
        if (s.rounded) {
            products.matmulRounded(s.t, s.t, m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate, Team.serial());
        } else {
            products.matmul(s.t, m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate, Team.serial());
        }
    }

    /// The scores of keys that have left the window of their query, in a tile of n queries from i on and `cols` keys
    /// from j on.
    private static void hideBeforeWindow(Shape s, int i, int n, int j, int cols, long scores) {
        for (int r = 0; r < n; r++) {
            int hidden = Math.min(s.firstKey(i + r) - j, cols);
            for (int c = 0; c < hidden; c++) {
                ScalarKernels.set(s.t, scores, (long) r * KEY_BLOCK + c, Double.NEGATIVE_INFINITY);
            }
        }
    }

    // ---- backward

    /// Writes (does not add to) `dq`, `dk` and `dv`, from the inputs and results of [#forward] and the gradient `dout`
    /// of its output. The heads of a group add up in `dk` and `dv`, in order: the result has the same bits whatever the
    /// number of threads is.
    public void backward(
            Shape s, View q, View k, View v, View out, long lse, View dout, View dq, View dk, View dv, Team team) {
        team.parallelFor(s.batch * s.kvHeads, task -> {
            int b = task / s.kvHeads;
            int kv = task % s.kvHeads;
            long deltas = Scratch.bytes(ROWS, s.bytes((long) s.group() * s.queries)); // (group, queries)
            for (int g = 0; g < s.group(); g++) {
                int h = kv * s.group() + g;
                zero(s, dq, b, h, s.queries, s.dim);
                delta(s, b, h, out, dout, deltas + s.bytes((long) g * s.queries));
            }
            for (int j = 0; j < s.keys; j += KEY_BLOCK) {
                backward(s, b, kv, j, q, k, v, lse, deltas, dout, dq, dk, dv);
            }
        });
    }

    /// A tile's rows and their gradients, and a block of queries, each beside each other in the thread's memory. Heads
    /// usually lie a few rows of all heads apart, and products that read and add to such rows again and again wait for
    /// memory: the way back of 6 heads of 64 in 12 rows of 256 took 10.5 ms so and takes 8.4 (Zen 5).
    private record Tile(long k, long v, long dk, long dv, long q, long dout) {
        static Tile of(Shape s) {
            long keys = s.bytes((long) KEY_BLOCK * s.dim);
            long values = s.bytes((long) KEY_BLOCK * s.valueDim);
            long queries = s.bytes((long) QUERY_BLOCK * s.dim);
            long all = 2 * (keys + values) + queries + s.bytes((long) QUERY_BLOCK * s.valueDim);
            long k = Scratch.bytes(OUTPUT, all);
            long v = k + keys;
            long dk = v + values;
            long dv = dk + keys;
            long q = dv + values;
            return new Tile(k, v, dk, dv, q, q + queries);
        }
    }

    /// The keys from j on, one block of them, with all queries that see some.
    private void backward(
            Shape s, int b, int kv, int j, View q, View k, View v, long lse, long deltas, View dout,
            View dq, View dk, View dv) {
        int cols = Math.min(KEY_BLOCK, s.keys - j);
        Tile tile = Tile.of(s);
        gather(s, k, b, kv, j, cols, s.dim, tile.k);
        gather(s, v, b, kv, j, cols, s.valueDim, tile.v);
        Native.zero(tile.dk, s.bytes((long) cols * s.dim));
        Native.zero(tile.dv, s.bytes((long) cols * s.valueDim));
        for (int g = 0; g < s.group(); g++) {
            int h = kv * s.group() + g;
            for (int i = 0; i < s.queries; i += QUERY_BLOCK) {
                int n = Math.min(QUERY_BLOCK, s.queries - i);
                int from = Math.max(j, s.firstKey(i));
                int to = Math.min(j + cols, s.keysUpTo(i + n - 1));
                if (from < to) {
                    long rows = (long) g * s.queries + i;
                    long lseRows = lse + s.bytes(((long) b * s.heads + h) * s.queries + i);
                    backward(s, b, h, i, n, j, from, to - from, tile, q, lseRows, deltas + s.bytes(rows), dout, dq);
                }
            }
        }
        scatter(s, tile.dk, cols, s.dim, dk, b, kv, j);
        scatter(s, tile.dv, cols, s.valueDim, dv, b, kv, j);
    }

    /// The n queries from i on with `cols` keys from `from` on, which lie in the tile of those from j on.
    private void backward(
            Shape s, int b, int h, int i, int n, int j, int from, int cols, Tile tile, View q, long lse, long delta,
            View dout, View dq) {
        DType t = s.t;
        long p = Scratch.bytes(SCORES, s.bytes(QUERY_BLOCK * KEY_BLOCK)); // (n, KEY_BLOCK)
        long ds = Scratch.bytes(SCORES_GRAD, s.bytes(QUERY_BLOCK * KEY_BLOCK)); // (n, KEY_BLOCK)
        long keys = s.bytes((long) (from - j) * s.dim);
        long values = s.bytes((long) (from - j) * s.valueDim);
        gather(s, q, b, h, i, n, s.dim, tile.q);
        gather(s, dout, b, h, i, n, s.valueDim, tile.dout);
        multiply(s, n, cols, s.dim, tile.q, s.dim, 1, tile.k + keys, 1, s.dim, p, KEY_BLOCK, false);
        // dp = dout v^T
        multiply(s, n, cols, s.valueDim, tile.dout, s.valueDim, 1, tile.v + values, 1, s.valueDim, ds,
                KEY_BLOCK, false);
        hideBeforeWindow(s, i, n, from, cols, p);
        rows.attentionTileGrad(t, p, ds, KEY_BLOCK, n, cols, s.visible(i, from), s.maskAt(b, h, i, from),
                s.mask.rowStride, s.scale, lse, delta);
        // dv += p^T dout
        multiply(s, cols, s.valueDim, n, p, 1, KEY_BLOCK, tile.dout, s.valueDim, 1, tile.dv + values,
                s.valueDim, true);
        // dk += ds^T q
        multiply(s, cols, s.dim, n, ds, 1, KEY_BLOCK, tile.q, s.dim, 1, tile.dk + keys, s.dim, true);
        // dq += ds k
        multiply(s, n, s.dim, cols, ds, KEY_BLOCK, 1, tile.k + keys, s.dim, 1, dq.at(t, b, h, i),
                dq.rowStride, true);
    }

    /// Rows of a view to rows beside each other.
    private static void gather(Shape s, View x, int b, int h, int row, int rows, int columns, long to) {
        long bytes = s.bytes(columns);
        for (int r = 0; r < rows; r++) {
            Native.copy(x.at(s.t, b, h, row + r), to + r * bytes, bytes);
        }
    }

    /// The way back.
    private static void scatter(Shape s, long from, int rows, int columns, View x, int b, int h, int row) {
        long bytes = s.bytes(columns);
        for (int r = 0; r < rows; r++) {
            Native.copy(from + r * bytes, x.at(s.t, b, h, row + r), bytes);
        }
    }

    /// One head's row sums of `dout out`: what the normalisation takes back from each gradient of a probability.
    private void delta(Shape s, int b, int h, View out, View dout, long delta) {
        rows.rowDots(s.t, out.at(s.t, b, h, 0), out.rowStride, dout.at(s.t, b, h, 0), dout.rowStride, delta, s.queries,
                s.valueDim);
    }

    private static void zero(Shape s, View x, int b, int h, int rows, int columns) {
        for (int r = 0; r < rows; r++) {
            Native.zero(x.at(s.t, b, h, r), s.bytes(columns));
        }
    }
}
