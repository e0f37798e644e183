package dev.deckle.x86;

import static java.lang.Math.ceilDiv;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Scratch;
import dev.deckle.kernel.Team;
import dev.deckle.x86.Tile.Form;
import dev.deckle.x86.Tile.Width;

/// One matrix product `C (+)= A B` and the three ways to do it:
/// - few rows, B transposed (a token times a weight matrix): dot products, W read once as it lies;
/// - small: tiles over A and B where they lie; only a transposed B is packed, into the thread's scratch memory;
/// - large: [Blocked], both operands packed once and shared by the team.
///
/// Sizes alone choose the way and cut it into tasks, so no bit of the result depends on the threads.
///
/// Strides are in bytes. B's rows are `ldb` apart, each contiguous; with `bTransposed` its columns are, as in x W^T.
record Product(
        Code code, int m, int n, int k, long a, Form aForm, long lda, long b, boolean bTransposed, long ldb,
        long c, long ldc, boolean accumulate, Team team) {
    /// Steps along k that are done at once: so deep a panel of A stays in the first-level cache while B streams by, and
    /// so deep a block of B in the second-level cache.
    static final int DEPTH = 512;
    /// Up to this many rows, dot products are ahead of tiles.
    private static final int FEW = 16;
    /// Up to this many rows, packed numbers would be used too seldom to pay for the packing.
    private static final int LOW = 128;
    /// Up to this many multiply-adds, one thread is done before another has woken.
    private static final long SMALL = 128 * 128 * 128;
    /// What a task of dot products reads of W where it reads it again for the next rows of X: so much stays in the
    /// second-level cache.
    private static final int DOT_BYTES = 128 << 10;
    /// The same where it is read once: longer runs through memory make decoding a fifth faster (a model of 1.2 billion
    /// parameters in BF16 on a Zen 5: 17.3 in place of 14.2 to 15.2 tokens a second; from 1 MB on no faster).
    private static final int STREAM_BYTES = 512 << 10;
    /// The slot of [Scratch] that is ours.
    static final int SCRATCH = 7;

    void run() {
        if (bTransposed && aForm == Form.ROWS && m <= FEW) {
            dots(a, lda, m, b, ldb, n, ldc, Float.BYTES);
        } else if (bTransposed && aForm == Form.ROWS && n <= FEW) {
            dots(b, ldb, n, a, lda, m, Float.BYTES, ldc);
        } else if (m <= LOW || small()) {
            tiles();
        } else {
            Blocked.run(this);
        }
    }

    /// The size of equal parts of `all`, none above `most` if that is a multiple of `unit`.
    static int evenly(int all, int most, int unit) {
        return ceilDiv(ceilDiv(all, ceilDiv(all, most)), unit) * unit;
    }

    private boolean small() {
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
                    Linux.call(code.dot(xn), xi, ldx, from, ldw, to, ld, whole, blocks, mask, 0, 0);
                }
                for (int j = whole * group; j < wn; j++) { // a group of one row, four times over
                    Linux.call(code.dot(xn), xi, ldx, from + j * ldw, 0, to + 4L * j, ld, 1, blocks, mask, 0, 0);
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
                long bk = atB(k0, j0);
                long ld = ldb;
                long strip = vector;
                if (bTransposed) {
                    strip = depth * vector;
                    ld = vector;
                    bk = Scratch.bytes(SCRATCH, ceilDiv(jn, lanes) * strip);
                    packB(k0, kn, j0, jn, bk, strip);
                }
                for (int i = 0; i < m; i += height) {
                    tile(Math.min(height, m - i), jn, kn, atA(i, k0), lda, bk, ld, strip, atC(i, j0),
                            accumulate || k0 > 0);
                }
            }
        });
    }

    // ---- where things lie

    long atA(int i, int k0) {
        return aForm == Form.ROWS ? a + i * lda + 4L * k0 : a + k0 * lda + 4L * i;
    }

    private long atB(int k0, int j) {
        return bTransposed ? b + j * ldb + 4L * k0 : b + k0 * ldb + 4L * j;
    }

    long atC(int i, int j) {
        return c + i * ldc + 4L * j;
    }

    // ---- calls of the kernels

    /// C (rows, columns) at `ci` (+)= A (rows, kn) at `ai` times B (kn, columns) at `bi`, see [Tile].
    void tile(
            int rows, int columns, int kn, long ai, long ldai, long bi, long ldbi, long strip, long ci, boolean add) {
        int lanes = code.isa.lanes;
        int pairs = columns / (2 * lanes);
        int rest = columns % (2 * lanes);
        long flag = add ? 1 : 0;
        if (pairs > 0) {
            Linux.call(code.tile(rows, aForm, Width.TWO), ci, ldc, ai, ldai, bi, ldbi, strip, pairs, kn, flag, 0);
        }
        if (rest > 0) {
            Width width = rest > lanes ? Width.TWO_MASKED : Width.ONE_MASKED;
            long mask = code.mask(rest > lanes ? rest - lanes : rest);
            Linux.call(code.tile(rows, aForm, width),
                    ci + 8L * pairs * lanes, ldc, ai, ldai, bi + 2 * pairs * strip, ldbi, strip, 1, kn, flag, mask);
        }
    }

    /// A (rows, kn) to panels of `height` rows, `panel` bytes apart, in A's own form: rows `ld` apart, or strips.
    void packA(int i0, int rows, int k0, int kn, int height, long to, long panel, long ld) {
        if (aForm == Form.COLUMNS) {
            copy(atA(i0, k0), lda, to, panel, rows, height, kn, ld);
            return;
        }
        for (int i = 0; i < rows; i++) {
            Native.copy(atA(i0 + i, k0), to + i / height * panel + i % height * ld, 4L * kn);
        }
    }

    /// B (kn, columns) to strips, `strip` bytes apart, of kn vectors (a transposed B: rounded up to whole blocks).
    void packB(int k0, int kn, int j0, int columns, long to, long strip) {
        if (bTransposed) {
            transpose(atB(k0, j0), ldb, to, strip, columns, kn);
        } else {
            copy(atB(k0, j0), ldb, to, strip, columns, code.isa.lanes, kn, code.isa.bytes());
        }
    }

    /// Strips of `width` columns from rows that lie across them.
    private void copy(long from, long ld, long to, long strip, int columns, int width, int kn, long step) {
        int whole = columns / width;
        int rest = columns % width;
        if (whole > 0) {
            Linux.call(code.copy, from, ld, to, strip, whole, 4L * width, kn, code.mask(width), step, 0, 0);
        }
        if (rest > 0) {
            Linux.call(code.copy, from + 4L * whole * width, ld, to + whole * strip, strip, 1, 0, kn, code.mask(rest),
                    step, 0, 0);
        }
    }

    /// Strips from columns that are contiguous.
    private void transpose(long from, long ld, long to, long strip, int columns, int kn) {
        int lanes = code.isa.lanes;
        int whole = columns / lanes;
        int blocks = kn / lanes;
        if (whole > 0 && blocks > 0) {
            Linux.call(code.transpose, from, ld, to, strip, whole, lanes * ld, blocks, 0, 0, 0, 0);
        }
        for (int s = 0; s * lanes < columns; s++) {
            int rows = Math.min(lanes, columns - s * lanes);
            for (int k0 = rows == lanes ? blocks * lanes : 0; k0 < kn; k0 += lanes) {
                Linux.call(code.transposeEdge, from + s * lanes * ld + 4L * k0, ld,
                        to + s * strip + (long) k0 * code.isa.bytes(), rows, code.mask(Math.min(lanes, kn - k0)), 0,
                        0, 0, 0, 0, 0);
            }
        }
    }
}
