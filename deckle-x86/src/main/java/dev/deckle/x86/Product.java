package dev.deckle.x86;

import static java.lang.Math.ceilDiv;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.NativeCall;
import dev.deckle.kernel.Scratch;
import dev.deckle.kernel.Team;
import dev.deckle.x86.Operand.Source;
import dev.deckle.x86.Tile.Form;
import dev.deckle.x86.Tile.Width;
import java.lang.foreign.MemorySegment;

/// One matrix product `C (+)= A B` and the three ways to do it:
/// - few rows, B transposed (a token times a weight matrix): dot products, W read once as it lies;
/// - small: tiles over A and B where they lie; only a B that does not lie as vectors is packed, into the thread's
///   scratch memory;
/// - large: [Blocked], both operands packed.
///
/// Sizes alone choose the way and cut it into tasks, so no bit of the result depends on the threads.
///
/// Strides are in bytes. With B in ROWS it is transposed, as in x W^T: its columns are contiguous.
///
/// @param k in steps of four bytes
/// @param odd the last step of operands that are yet to be made pairs, or of rows of A, has one number only
record Product(
        Code code, int m, int n, int k, boolean odd, Operand a, Operand b, long c, long ldc, boolean accumulate,
        Team team) implements Panels {
    /// Steps along k that are done at once: so deep a panel of A stays in the first-level cache while B streams by, and
    /// so deep a block of B in the second-level cache.
    static final int DEPTH = 512;
    /// Up to this many rows, dot products are ahead of tiles.
    private static final int FEW = 16;
    /// Up to this many rows, packed numbers would be used too seldom to pay for the packing.
    private static final int LOW = 128;
    /// Bytes of B that are packed for vectors and stay in the second-level cache: 128 columns of a whole slice.
    private static final int CHUNK = 256 << 10;
    /// Bytes between packed rows, which if they were a power of two apart would fall on each other in the cache; and
    /// between packed panels of columns, because the last column is stored as a whole vector.
    private static final int SPARE = 64;
    /// Up to this many multiply-adds, one thread is done before another has woken.
    private static final long SMALL = 128 * 128 * 128;
    /// What a task of dot products reads of W where it reads it again for the next rows of X: so much stays in the
    /// second-level cache.
    private static final int DOT_BYTES = 128 << 10;
    /// The same where it is read once: longer runs through memory make decoding a fifth faster (a model of 1.2 billion
    /// parameters in BF16 on a Zen 5: 17.3 in place of 14.2 to 15.2 tokens a second; from 1 MB on no faster).
    private static final int STREAM_BYTES = 512 << 10;
    /// Steps along k in a block that is laid out as strips at once.
    private static final int STEPS = 4;
    /// The slots of [Scratch] that are ours.
    static final int SCRATCH = 7;
    static final int EDGE = 9; // a block of 16 rows or columns that is not whole

    void run() {
        if (rowsTimesRows() && m <= FEW) {
            dots(a.start(), a.ld(), m, b.start(), b.ld(), n, ldc, Float.BYTES);
        } else if (rowsTimesRows() && n <= FEW) {
            dots(b.start(), b.ld(), n, a.start(), a.ld(), m, Float.BYTES, ldc);
        } else if (large()) {
            Blocked.run(this);
        } else {
            tiles();
        }
    }

    /// Whether A is packed, from any source. Otherwise it is read where it lies, and must be ready.
    boolean packsA() {
        return large() && !(rowsTimesRows() && n <= FEW);
    }

    private boolean rowsTimesRows() {
        return a.form() == Form.ROWS && b.form() == Form.ROWS && b.source() == Source.READY;
    }

    /// The matrix unit has no use for tiles in place: it wants A packed, and A of floats is rounded in any case. Where
    /// B is as well, it takes small products too, such as those of attention.
    private boolean large() {
        return code.amx.isPresent() ? m > FEW && (!small() || b.source() == Source.FLOATS) : m > LOW && !small();
    }

    /// The size of equal parts of `all`, none above `most` if that is a multiple of `unit`.
    static int evenly(int all, int most, int unit) {
        return ceilDiv(ceilDiv(all, ceilDiv(all, most)), unit) * unit;
    }

    boolean small() {
        return (long) m * n * k <= SMALL;
    }

    /// `out[x, w] = x . w` for few rows of X; element (x, w) of C is at `c + x stepX + w stepW`.
    private void dots(long x, long ldx, int xs, long w, long ldw, int ws, long stepX, long stepW) {
        int group = Dot.GROUP;
        int blocks = k / code.isa.lanes;
        int rest = k % code.isa.lanes;
        long mask = rest == 0 ? 0 : code.mask(rest);
        int bytes = xs <= Dot.maxRows(code.isa) ? STREAM_BYTES : DOT_BYTES;
        int rows = evenly(ws, Math.max(group, bytes / Float.BYTES / k), group);
        team.parallelFor(ceilDiv(ws, rows), task -> {
            int w0 = task * rows;
            int wn = Math.min(rows, ws - w0);
            int whole = wn / group;
            long from = w + w0 * ldw;
            long ld = 4L * (rows + group);
            long sums = Scratch.bytes(SCRATCH, xs * ld); // (xs, rows)
            int high = evenly(xs, Dot.maxRows(code.isa), 1);
            for (int x0 = 0; x0 < xs; x0 += high) {
                int xn = Math.min(high, xs - x0);
                long xi = x + x0 * ldx;
                long to = sums + x0 * ld;
                if (whole > 0) {
                    NativeCall.call(code.dot(xn), xi, ldx, from, ldw, to, ld, whole, blocks, mask, 0, 0);
                }
                for (int j = whole * group; j < wn; j++) { // a group of one row, four times over
                    NativeCall.call(code.dot(xn), xi, ldx, from + j * ldw, 0, to + 4L * j, ld, 1, blocks, mask, 0, 0);
                }
            }
            for (int i = 0; i < xs; i++) {
                long to = c + i * stepX + w0 * stepW;
                for (int j = 0; j < wn; j++, to += stepW) {
                    float sum = Native.getFloat(sums + i * ld + 4L * j);
                    Native.setFloat(to, accumulate ? Native.getFloat(to) + sum : sum);
                }
            }
        });
    }

    /// Each task makes some columns of C.
    private void tiles() {
        int lanes = code.isa.lanes;
        int columns = evenly(n, small() ? 256 : 64, 2 * lanes);
        int depth = evenly(k, DEPTH, lanes);
        int height = evenly(m, code.isa.rows, 1);
        long vector = code.isa.bytes();
        team.parallelFor(ceilDiv(n, columns), task -> {
            int j0 = task * columns;
            int jn = Math.min(columns, n - j0);
            for (int k0 = 0; k0 < k; k0 += depth) {
                int kn = Math.min(depth, k - k0);
                long bk = b.at(j0, k0);
                long ld = b.ld();
                long strip = vector;
                if (b.form() == Form.ROWS || b.source() != Source.READY) {
                    strip = depth * vector;
                    ld = vector;
                    bk = Scratch.bytes(SCRATCH, ceilDiv(jn, lanes) * strip);
                    packB(k0, kn, j0, jn, bk, strip);
                }
                for (int i = 0; i < m; i += height) {
                    tile(Math.min(height, m - i), jn, kn, a.at(i, k0), a.ld(), bk, ld, strip, atC(i, j0),
                            ldc, accumulate || k0 > 0);
                }
            }
        });
    }

    // ---- where things lie

    long atC(int i, int j) {
        return c + i * ldc + 4L * j;
    }

    /// The part with these steps along k, of which the first are done before the others.
    Product steps(int k0, int kn) {
        return new Product(code, m, n, kn, endsOdd(k0, kn), a.from(0, k0), b.from(0, k0), c, ldc, accumulate || k0 > 0,
                team);
    }

    // ---- the panels of a large product, and the calls of the kernels

    @Override
    public int height() {
        return evenly(m, code.isa.rows, 1);
    }

    @Override
    public int depth(boolean deep) {
        return DEPTH;
    }

    @Override
    public long chunk() {
        return CHUNK;
    }

    @Override
    public long row(int depth) {
        return a.form() == Form.ROWS ? 4L * depth + SPARE : 4L * height();
    }

    @Override
    public long panel(int depth) {
        return a.form() == Form.ROWS ? height() * row(depth) : depth * row(depth) + SPARE;
    }

    /// See [Tile].
    @Override
    public void tile(
            int rows, int columns, int kn, long ai, long ldai, long bi, long ldbi, long strip, long ci, long ldc,
            boolean add) {
        int lanes = code.isa.lanes;
        int pairs = columns / (2 * lanes);
        int rest = columns % (2 * lanes);
        long flag = add ? 1 : 0;
        if (pairs > 0) {
            NativeCall.call(code.tile(rows, a.form(), Width.TWO), ci, ldc, ai, ldai, bi, ldbi, strip, pairs, kn, flag,
                    0);
        }
        if (rest > 0) {
            Width width = rest > lanes ? Width.TWO_MASKED : Width.ONE_MASKED;
            long mask = code.mask(rest > lanes ? rest - lanes : rest);
            NativeCall.call(code.tile(rows, a.form(), width),
                    ci + 8L * pairs * lanes, ldc, ai, ldai, bi + 2 * pairs * strip, ldbi, strip, 1, kn, flag, mask);
        }
    }

    /// In A's own form: rows `ld` apart, or strips.
    @Override
    public void packA(int i0, int rows, int k0, int kn, long to, long panel, long ld) {
        int height = height();
        if (a.form() == Form.COLUMNS) {
            across(a, i0, rows, height, k0, kn, to, panel, ld);
            return;
        }
        for (int i = 0; i < rows; i += height) {
            round(a, i0 + i, Math.min(height, rows - i), k0, kn, to + i / height * panel, ld);
        }
    }

    /// Rows of an operand, ready or rounded, to rows `ld` apart. Of half a pair the other half is 0.
    void round(Operand x, int i0, int rows, int k0, int kn, long to, long ld) {
        int half = endsOdd(k0, kn) ? 1 : 0;
        if (x.source() == Source.READY) {
            long bytes = 4L * kn - 2 * half;
            for (int i = 0; i < rows; i++) {
                Native.copy(x.at(i0 + i, k0), to + i * ld, bytes);
                if (half > 0) {
                    Native.zero(to + i * ld + bytes, 2);
                }
            }
            return;
        }
        int lanes = code.isa.lanes;
        int numbers = 2 * kn - half;
        long mask = numbers % lanes == 0 ? 0 : code.mask(numbers % lanes);
        NativeCall.call(code.round(), x.at(i0, k0), x.ld(), to, ld, rows, numbers / lanes, mask, 0, 0, 0, 0);
    }

    /// Whether the steps from `k0` on end with half a pair.
    boolean endsOdd(int k0, int kn) {
        return odd && k0 + kn == k;
    }

    /// A transposed B is rounded up to whole blocks.
    @Override
    public void packB(int k0, int kn, int j0, int columns, long to, long strip) {
        if (b.form() == Form.ROWS) {
            transpose(k0, kn, j0, columns, to, strip);
        } else {
            across(b, j0, columns, code.isa.lanes, k0, kn, to, strip, code.isa.bytes());
        }
    }

    /// Strips of `width` lines each, `strip` bytes apart, from what lies across them: at each step along k a vector,
    /// `step` bytes from that of the next.
    void across(Operand x, int i0, int lines, int width, int k0, int kn, long to, long strip, long step) {
        boolean half = x.source() != Source.READY && endsOdd(k0, kn);
        int whole = half ? kn - 1 : kn;
        if (whole > 0) {
            across(code.across(x.source(), false), x, i0, lines, width, k0, whole, to, strip, step);
        }
        if (half) {
            across(code.across(x.source(), true), x, i0, lines, width, k0 + whole, 1, to + whole * step, strip, step);
        }
    }

    private void across(
            MemorySegment kernel, Operand x, int i0, int lines, int width, int k0, int kn, long to, long strip,
            long step) {
        int blocks = kn / STEPS;
        int done = blocks * STEPS;
        if (blocks > 0) {
            blocksAcross(kernel, x, i0, lines, width, k0, blocks, STEPS, to, strip, step);
        }
        if (kn > done) {
            blocksAcross(kernel, x, i0, lines, width, k0 + done, 1, kn - done, to + done * step, strip, step);
        }
    }

    private void blocksAcross(
            MemorySegment kernel, Operand x, int i0, int lines, int width, int k0, int blocks, int steps, long to,
            long strip, long step) {
        int whole = lines / width;
        int rest = lines % width;
        if (whole > 0) {
            NativeCall.call(kernel, x.at(i0, k0), x.ld(), to, strip, whole, (long) x.source().bytes * width, blocks,
                    steps, code.mask(width), step, code.pairs);
        }
        if (rest > 0) {
            NativeCall.call(kernel, x.at(i0 + whole * width, k0), x.ld(), to + whole * strip, strip, 1, 0, blocks,
                    steps, code.mask(rest), step, code.pairs);
        }
    }

    /// Strips from columns that are contiguous.
    private void transpose(int k0, int kn, int j0, int columns, long to, long strip) {
        int lanes = code.isa.lanes;
        long ld = b.ld();
        boolean floats = b.source() == Source.FLOATS;
        int whole = columns / lanes;
        int blocks = (kn - (floats && endsOdd(k0, kn) ? 1 : 0)) / lanes;
        if (whole > 0 && blocks > 0) {
            NativeCall.call(code.transpose(b.source()), b.at(j0, k0), ld, to, strip, whole, lanes * ld, blocks, 0, 0, 0,
                    0);
        }
        long row = code.isa.bytes(); // of a block
        for (int s = 0; s * lanes < columns; s++) {
            int j = j0 + s * lanes;
            int rows = Math.min(lanes, columns - s * lanes);
            for (int done = rows == lanes ? blocks * lanes : 0; done < kn; done += lanes) {
                int steps = Math.min(lanes, kn - done);
                long from = b.at(j, k0 + done);
                if (floats) {
                    from = Scratch.bytes(EDGE, lanes * row);
                    round(b, j, rows, k0 + done, steps, from, row);
                }
                NativeCall.call(code.transposeEdge(), from, floats ? row : ld, to + s * strip + done * row, rows,
                        code.mask(steps), 0, 0, 0, 0, 0, 0);
            }
        }
    }
}
