package dev.deckle.x86;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Scratch;
import dev.deckle.kernel.Team;
import dev.deckle.x86.Tile.Form;
import dev.deckle.x86.Tile.Width;

/// One matrix product, cut to fit the caches. Sizes alone decide the cut, so results do not depend on threads.
///
/// Strides are in bytes. `bTransposed`: B's columns are contiguous, `ldb` apart, as in x W^T.
record Product(
        Code code, int m, int n, int k, long a, Form aForm, long lda, long b, boolean bTransposed, long ldb,
        long c, long ldc, boolean accumulate, Team team) {
    /// Steps along k that are done at once: a panel of A this deep stays in the first-level cache while B streams by.
    private static final int KC = Integer.getInteger("kc", 512);
    private static final int COLUMNS = 256;
    private static final int ROW_PANELS = Integer.getInteger("mb", 8);

    void run() {
        if (m <= 128 || (long) m * n * k <= 128 * 128 * 128) {
            direct();
        } else {
            packed();
        }
    }

    private static int ceilDiv(int a, int b) {
        return (a + b - 1) / b;
    }

    private static int roundUp(int a, int to) {
        return ceilDiv(a, to) * to;
    }

    /// Of equal parts no larger than `most`, the size.
    private static int evenly(int all, int most, int unit) {
        return roundUp(ceilDiv(all, ceilDiv(all, most)), unit);
    }

    private void direct() {
        int lanes = code.isa.lanes;
        int bytes = code.isa.bytes();
        int nc = evenly(n, 128, 2 * lanes);
        int kc = evenly(k, KC, lanes);
        int height = evenly(m, code.isa.rows, 1);
        boolean pack = bTransposed;
        team.parallelFor(ceilDiv(n, nc), task -> {
            int n0 = task * nc;
            int columns = Math.min(nc, n - n0);
            for (int k0 = 0; k0 < k; k0 += kc) {
                int kn = Math.min(kc, k - k0);
                long from = bTransposed ? b + n0 * ldb + 4L * k0 : b + k0 * ldb + 4L * n0;
                long strip = pack ? (long) roundUp(kn, lanes) * bytes : bytes;
                long to = from;
                if (pack) {
                    to = Scratch.bytes(7, ceilDiv(columns, lanes) * strip);
                    packB(from, to, strip, columns, kn);
                }
                for (int i = 0; i < m; i += height) {
                    long panel = aForm == Form.ROWS ? a + i * lda + 4L * k0 : a + k0 * lda + 4L * i;
                    tile(Math.min(height, m - i), columns, kn, panel, aForm, lda, to, pack ? bytes : ldb, strip,
                            c + i * ldc + 4L * n0, accumulate || k0 > 0);
                }
            }
        });
    }

    private void packed() {
        int lanes = code.isa.lanes;
        int bytes = code.isa.bytes();
        int kc = evenly(k, KC, lanes);
        int height = evenly(m, code.isa.rows, 1);
        // what fits the buffers: whole k if possible, so that C is written once
        int ko = kc * (int) Math.min(ceilDiv(k, kc), PackBuffers.HALF / 4 / 1024 / kc);
        long panelBytes = aForm == Form.ROWS ? height * (4L * kc + 64) : (long) kc * bytes;
        long aLd = aForm == Form.ROWS ? 4L * kc + 64 : bytes;
        int kBlocks = ko / kc;
        int mo = (int) Math.min(m, PackBuffers.HALF / (panelBytes * kBlocks) * height);
        int no = (int) Math.min(roundUp(n, lanes), PackBuffers.HALF / ((long) ko * bytes) * lanes);
        long buffer = PackBuffers.take();
        long packedA = buffer;
        long packedB = buffer + PackBuffers.HALF;
        for (int kStart = 0; kStart < k; kStart += ko) {
            for (int nStart = 0; nStart < n; nStart += no) {
                for (int mStart = 0; mStart < m; mStart += mo) {
                    int kS = kStart, nS = nStart, mS = mStart;
                    int kAll = Math.min(ko, k - kS), nAll = Math.min(no, n - nS), mAll = Math.min(mo, m - mS);
                    int blocks = ceilDiv(kAll, kc), panels = ceilDiv(mAll, height), strips = ceilDiv(nAll, lanes);
                    long stripBytes = (long) kc * bytes;
                    int aTasks = ceilDiv(panels, 8), bTasks = mS > 0 ? 0 : ceilDiv(nAll, COLUMNS);
                    team.parallelFor((aTasks + bTasks) * blocks, task -> {
                        int q = task % blocks;
                        int part = task / blocks;
                        int k0 = kS + q * kc;
                        int kn = Math.min(kc, k - k0);
                        if (part < aTasks) {
                            int i0 = part * 8 * height;
                            int rows = Math.min(8 * height, mAll - i0);
                            long to = packedA + ((long) q * panels + part * 8) * panelBytes;
                            if (aForm == Form.ROWS) {
                                for (int i = 0; i < rows; i++) {
                                    Native.copy(a + (mS + i0 + i) * lda + 4L * k0, to + i * aLd, 4L * kn);
                                }
                            } else {
                                copy(a + k0 * lda + 4L * (mS + i0), lda, to, panelBytes, rows, height, kn);
                            }
                        } else {
                            int j0 = (part - aTasks) * COLUMNS;
                            packB(bTransposed ? b + (nS + j0) * ldb + 4L * k0 : b + k0 * ldb + 4L * (nS + j0),
                                    packedB + ((long) q * strips + j0 / lanes) * stripBytes, stripBytes,
                                    Math.min(COLUMNS, nAll - j0), kn);
                        }
                    });
                    int rowParts = ceilDiv(panels, ROW_PANELS);
                    team.parallelFor(rowParts * ceilDiv(nAll, COLUMNS), task -> {
                        int j0 = task / rowParts * COLUMNS;
                        int p0 = task % rowParts * ROW_PANELS;
                        int columns = Math.min(COLUMNS, nAll - j0);
                        for (int q = 0; q < blocks; q++) {
                            int kn = Math.min(kc, kAll - q * kc);
                            long bq = packedB + ((long) q * strips + j0 / lanes) * stripBytes;
                            for (int p = p0; p < Math.min(panels, p0 + ROW_PANELS); p++) {
                                tile(Math.min(height, mAll - p * height), columns, kn,
                                        packedA + ((long) q * panels + p) * panelBytes, aForm, aLd,
                                        bq, bytes, stripBytes,
                                        c + (mS + (long) p * height) * ldc + 4L * (nS + j0), accumulate || kS > 0 || q > 0);
                            }
                        }
                    });
                }
            }
        }
        PackBuffers.giveBack(buffer);
    }

    // ---- calls of the kernels

    private void packB(long from, long to, long strip, int columns, int kn) {
        if (bTransposed) {
            transpose(from, ldb, to, strip, columns, kn);
        } else {
            copy(from, ldb, to, strip, columns, code.isa.lanes, kn);
        }
    }

    /// Strips of `width` columns from rows that lie along them.
    private void copy(long from, long ld, long to, long strip, int columns, int width, int kn) {
        int whole = columns / width;
        int rest = columns % width;
        if (whole > 0) {
            Linux.call(code.copy, from, ld, to, strip, whole, 4L * width, kn, code.mask(width), 0, 0, 0);
        }
        if (rest > 0) {
            Linux.call(code.copy, from + 4L * whole * width, ld, to + whole * strip, strip, 1, 0, kn, code.mask(rest),
                    0, 0, 0);
        }
    }

    /// Strips of one vector of columns from columns that are contiguous.
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
                        to + s * strip + (long) k0 * code.isa.bytes(), rows, code.mask(Math.min(lanes, kn - k0)), 0);
            }
        }
    }

    private void tile(
            int rows, int columns, int kn, long a, Form form, long lda, long b, long ldb, long strip,
            long c, boolean add) {
        int lanes = code.isa.lanes;
        int pairs = columns / (2 * lanes);
        int rest = columns % (2 * lanes);
        int flag = add ? 1 : 0;
        if (pairs > 0) {
            Linux.call(code.tile(rows, form, Width.TWO), c, ldc, a, lda, b, ldb, strip, pairs, kn, flag, 0);
        }
        if (rest > 0) {
            Width width = rest > lanes ? Width.TWO_MASKED : Width.ONE_MASKED;
            long mask = code.mask(rest > lanes ? rest - lanes : rest);
            Linux.call(code.tile(rows, form, width), c + 4L * pairs * 2 * lanes, ldc, a, lda, b + 2 * pairs * strip, ldb,
                    strip, 1, kn, flag, mask);
        }
    }
}
