package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Scratch;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;

/// `C = A B`, packed and tiled as Goto and van de Geijn describe (Anatomy of High-Performance Matrix Multiplication,
/// 2008), without their third level of blocks.
///
/// B is copied into panels of [Tile#COLUMNS] columns and A into panels of [Tile#ROWS] rows, so that [Tile] reads both
/// front to back, whatever the strides were. k is cut into slices of [#DEPTH]: a panel of B then stays in the first
/// cache, and a block of A in the second, while a task goes over its part of C. Every element of C sums its products
/// slice by slice in the same order, whoever computes it.
///
/// With numbers of BF16 the panels are the same: BF16 becomes F32, and F32 is rounded to it, as they are copied.
final class MatMul {
    /// Terms in one slice of k.
    private static final int DEPTH = 256;
    /// Rows and columns of C in one task, multiples of the tile's.
    private static final int TASK_ROWS = 16 * Tile.ROWS;
    private static final int TASK_COLUMNS = 512;
    /// Columns of B packed at a time, 8 MB of them with a slice's depth.
    private static final int WIDTH = 8192;
    /// Below this many products a call stays on its thread: it would be done before the others woke up.
    private static final long SERIAL = 400_000;

    /// What the operands are, and are multiplied as.
    ///
    /// @param a the type of A, F32 or BF16
    /// @param b the type of B
    /// @param rounded whether what is of F32 is rounded to BF16
    record Kind(DType a, DType b, boolean rounded) {
        static final Kind FLOATS = new Kind(DType.F32, DType.F32, false);

        static Kind rounded(DType a, DType b) {
            return new Kind(a, b, true);
        }
    }

    private final Kind kind;
    private final int n;
    private final int m;
    private final long a;
    private final long ars;
    private final long acs;
    private final long b;
    private final long brs;
    private final long bcs;
    private final long c;
    private final long crs;
    private final Team team;

    private MatMul(
            Kind kind, int m, int n, long a, long ars, long acs, long b, long brs, long bcs, long c, long crs,
            Team team) {
        this.kind = kind;
        this.m = m;
        this.n = n;
        this.a = a;
        this.ars = kind.a.bytes() * ars;
        this.acs = kind.a.bytes() * acs;
        this.b = b;
        this.brs = kind.b.bytes() * brs;
        this.bcs = kind.b.bytes() * bcs;
        this.c = c;
        this.crs = 4 * crs;
        this.team = team;
    }

    static void run(
            Kind kind, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        if (m == 0 || n == 0) {
            return;
        }
        if (k == 0) {
            for (int i = 0; i < m && !accumulate; i++) {
                Native.zero(c + 4 * i * crs, 4L * n);
            }
            return;
        }
        Team helpers = (long) m * n * k < SERIAL ? Team.serial() : team;
        if (kind.b == DType.BF16 && m <= FewHalfRows.MOST && acs == 1 && brs == 1) {
            FewHalfRows.run(kind.a, m, n, k, a, ars, b, bcs, c, crs, accumulate, helpers);
            return;
        }
        if (!kind.rounded && m <= FewRows.MOST && FewRows.fits(acs, brs, bcs)) {
            FewRows.run(m, n, k, a, ars, b, brs, bcs, c, crs, accumulate, helpers);
            return;
        }
        MatMul product = new MatMul(kind, m, n, a, ars, acs, b, brs, bcs, c, crs, helpers);
        for (int j = 0; j < n; j += WIDTH) {
            for (int p = 0; p < k; p += DEPTH) {
                product.slice(j, Math.min(WIDTH, n - j), p, Math.min(DEPTH, k - p), accumulate || p > 0);
            }
        }
    }

    /// Adds the products of terms p..p+depth-1 to columns j..j+width-1 of C.
    private void slice(int j, int width, int p, int depth, boolean accumulate) {
        int panels = Math.ceilDiv(width, Tile.COLUMNS);
        long packed = Scratch.bytes(Lanes.PACKED_B, 4L * panels * Tile.COLUMNS * depth);
        int group = TASK_COLUMNS / Tile.COLUMNS;
        team.parallelFor(Math.ceilDiv(panels, group), task -> {
            for (int q = task * group; q < Math.min((task + 1) * group, panels); q++) {
                int column = j + q * Tile.COLUMNS;
                int count = Math.min(Tile.COLUMNS, n - column);
                long from = b + p * brs + column * bcs;
                long to = packed + 4L * q * Tile.COLUMNS * depth;
                if (kind.b == DType.BF16) {
                    Half.columns(from, brs, bcs, depth, count, to);
                } else {
                    Pack.columns(from, brs, bcs, depth, count, to);
                    round(depth * Tile.COLUMNS, to);
                }
            }
        });
        int down = Math.ceilDiv(m, TASK_ROWS);
        team.parallelFor(down * Math.ceilDiv(panels, group), task -> {
            int i = task % down * TASK_ROWS;
            int q = task / down * group;
            block(i, Math.min(TASK_ROWS, m - i), j, q, Math.min(q + group, panels), p, depth, packed, accumulate);
        });
    }

    /// Rows i..i+rows-1 of C by the columns of panels first..end-1, of which number 0 begins at column j.
    private void block(
            int i, int rows, int j, int first, int end, int p, int depth, long packed, boolean accumulate) {
        int tiles = Math.ceilDiv(rows, Tile.ROWS);
        long result = Scratch.bytes(Lanes.PACKED_A, 4L * (Tile.COLUMNS + tiles * depth) * Tile.ROWS);
        long mine = result + 4L * Tile.COLUMNS * Tile.ROWS;
        for (int t = 0; t < tiles; t++) {
            int row = i + t * Tile.ROWS;
            long from = a + row * ars + p * acs;
            int count = Math.min(Tile.ROWS, i + rows - row);
            long to = mine + 4L * t * depth * Tile.ROWS;
            if (kind.a == DType.BF16) {
                Half.lines(from, ars, acs, depth, count, Tile.ROWS, to);
            } else {
                Pack.rows(from, ars, acs, depth, count, to);
                round(depth * Tile.ROWS, to);
            }
        }
        for (int q = first; q < end; q++) {
            int column = j + q * Tile.COLUMNS;
            for (int t = 0; t < tiles; t++) {
                int row = i + t * Tile.ROWS;
                Tile.multiply(depth, mine + 4L * t * depth * Tile.ROWS, packed + 4L * q * Tile.COLUMNS * depth, result);
                put(result, Math.min(Tile.ROWS, i + rows - row), Math.min(Tile.COLUMNS, n - column),
                        c + row * crs + 4L * column, crs, accumulate);
            }
        }
    }

    private void round(int n, long floats) {
        if (kind.rounded) {
            Half.round(floats, floats, n);
        }
    }

    /// The valid part of a tile goes to C.
    private static void put(long tile, int rows, int columns, long c, long crs, boolean accumulate) {
        for (int r = 0; r < rows; r++) {
            long from = tile + 2 * r * BYTES;
            long to = c + r * crs;
            if (columns < Tile.COLUMNS) {
                putSome(from, to, columns, accumulate);
            } else if (accumulate) {
                add(from, to);
                add(from + BYTES, to + BYTES);
            } else {
                fromMemorySegment(F, ALL, from, ORDER).intoMemorySegment(ALL, to, ORDER);
                fromMemorySegment(F, ALL, from + BYTES, ORDER).intoMemorySegment(ALL, to + BYTES, ORDER);
            }
        }
    }

    private static void add(long from, long to) {
        fromMemorySegment(F, ALL, to, ORDER)
                .add(fromMemorySegment(F, ALL, from, ORDER)).intoMemorySegment(ALL, to, ORDER);
    }

    private static void putSome(long from, long to, int columns, boolean accumulate) {
        for (int j = 0; j < columns; j++) {
            float sum = Native.getFloat(from + 4L * j);
            Native.setFloat(to + 4L * j, accumulate ? Native.getFloat(to + 4L * j) + sum : sum);
        }
    }
}
