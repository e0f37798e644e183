package dev.deckle.x86;

import static dev.deckle.x86.Product.evenly;
import static java.lang.Math.ceilDiv;
import static java.lang.Math.clamp;
import static java.lang.Math.max;
import static java.lang.Math.min;

import dev.deckle.x86.emit.Kernel;

/// A large product, after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): both
/// operands are packed to lie in memory just as the tile will read them. A task makes some rows of C: it packs its rows
/// of A into memory of its own, slice by slice along k, and multiplies them by packed columns of B, which stay in its
/// second-level cache while panels of A go by.
///
/// ```
/// packed A: [panel]          of one slice; `height` rows of `depth`, or `depth` columns of `height`, as A has them;
///                            for the matrix unit see [AmxPanels]
/// packed B: [slice][strip]   a strip: `depth` vectors
/// ```
/// A core reads what it packed itself, since what another has just written comes slowly: with A packed by the team, a
/// product of 3,072 by 384 by 384 took 1.3 ms on the matrix unit of an Intel, of which the unit needs 0.1, and 0.7 this
/// way. B is packed first, by the team, where more than two parts of the rows want the same of it.
///
/// A deep product, which has much more along k than C is wide or high, such as the gradient of a weight matrix, is cut
/// along k as well: each task adds up its own, and at the end these sums are added up in their order.
final class Blocked {
    /// Rows of a task at most: so many of A, packed, stay in the second-level cache.
    private static final int ROWS = 256;
    /// The same of a deep product, whose slices are shorter.
    private static final int DEEP_ROWS = 512;
    /// A product is this many times as deep as wide and high.
    private static final int DEEP = 2;
    /// Tasks that are worth smaller ones.
    private static final int TASKS = 8;
    /// Sums at most: each writes all of C once more.
    private static final int SUMS = 4;
    /// Columns of a task at most, of which a slice is to have room in a buffer.
    private static final int COLUMNS = 4096;
    /// Columns in a task of packing.
    private static final int PACKED = 64;
    /// Rows in a task of adding up sums.
    private static final int ADDED = 16;
    /// Where in a task's buffer B begins.
    private static final long BEHIND_A = 8L << 20;

    private final Product p;
    private final Panels panels;
    private final int lanes;
    private final int height;
    private final int depth;
    private final int slices;
    private final int slicesOfSum;
    private final int rows; // of a task, and so on
    private final int columns;
    private final int parts; // tasks below each other, and so on
    private final int across;
    private final int sums;
    private final int chunk; // columns that stay in the cache
    private final boolean shared; // B
    // in bytes
    private final long strip;
    private final long row;
    private final long panel;
    private final long sliceOfB;
    private final long ldSum;
    private long packedB;
    private long laterSums; // all but the first, which is made in C

    private Blocked(Product p) {
        this.p = p;
        panels = Panels.of(p);
        lanes = p.code().isa.lanes;
        height = panels.height();
        boolean deep = (long) p.k() * p.b().source().each >= (long) DEEP * max(p.m(), p.n());
        rows = evenly(p.m(), deep ? DEEP_ROWS : ROWS, height);
        parts = ceilDiv(p.m(), rows);
        int wanted = ceilDiv(TASKS, parts);
        int fewest = ceilDiv(p.k(), panels.depth(deep));
        ldSum = 4L * evenly(p.n(), p.n(), lanes);
        int most = deep ? min(min(SUMS, fewest), wanted) : 1;
        most = (most - 1) * p.m() * ldSum <= PackBuffers.BYTES ? most : 1;
        slicesOfSum = ceilDiv(fewest, most);
        depth = evenly(p.k(), ceilDiv(p.k(), slicesOfSum * most), lanes);
        slices = ceilDiv(p.k(), depth);
        sums = ceilDiv(slices, slicesOfSum);
        int pair = 2 * lanes;
        int split = sums > 1 ? p.n() : p.n() / wanted;
        columns = evenly(p.n(), clamp(split, 4 * pair, COLUMNS), pair);
        across = ceilDiv(p.n(), columns);
        shared = parts > (sums > 1 ? 2 : 1);
        strip = (long) depth * p.code().isa.bytes();
        row = panels.row(depth);
        panel = panels.panel(depth);
        sliceOfB = ceilDiv(p.n(), lanes) * strip;
        chunk = max(pair, (int) (panels.chunk() / (2 * strip)) * pair);
    }

    /// Of a product whose B is too large for a buffer, one half after the other.
    static void run(Product p) {
        int pair = 2 * p.code().isa.lanes;
        boolean fits = 4L * (p.n() + pair) * (p.k() + pair) <= PackBuffers.BYTES;
        if (fits) {
            new Blocked(p).run();
        } else if (p.n() > 8 * pair) {
            int some = p.n() / (2 * pair) * pair;
            run(p.columns(0, some));
            run(p.columns(some, p.n() - some));
        } else {
            int some = p.k() / (2 * pair) * pair;
            run(p.steps(0, some));
            run(p.steps(some, p.k() - some));
        }
    }

    private void run() {
        packedB = shared ? PackBuffers.take() : 0;
        laterSums = sums > 1 ? PackBuffers.take() : 0;
        try {
            if (shared) {
                packB();
            }
            p.team().parallelFor(parts * across * sums, this::multiply);
            if (sums > 1) {
                addUp();
            }
        } finally {
            PackBuffers.giveBack(packedB);
            PackBuffers.giveBack(laterSums);
        }
    }

    private int steps(int slice) {
        return min(depth, p.k() - slice * depth);
    }

    private long packedB(int slice, int column) {
        return packedB + slice * sliceOfB + column / lanes * strip;
    }

    private void packB() {
        int each = ceilDiv(p.n(), PACKED);
        p.team().parallelFor(each * slices, task -> {
            int s = task / each;
            int j0 = task % each * PACKED;
            panels.packB(s * depth, steps(s), j0, min(PACKED, p.n() - j0), packedB(s, j0), strip);
        });
    }

    private void multiply(int task) {
        int i0 = task % parts * rows;
        int in = min(rows, p.m() - i0);
        int j0 = task / parts % across * columns;
        int jn = min(columns, p.n() - j0);
        int sum = task / parts / across;
        long c = sum == 0 ? p.atC(i0, j0) : laterSum(sum, i0) + 4L * j0;
        long ldc = sum == 0 ? p.ldc() : ldSum;
        int first = sum * slicesOfSum;
        long own = PackBuffers.take();
        try {
            for (int s = first; s < min(slices, first + slicesOfSum); s++) {
                int kn = steps(s);
                panels.packA(i0, in, s * depth, kn, own, panel, row);
                long b = shared ? packedB(s, j0) : own + BEHIND_A;
                if (!shared) {
                    panels.packB(s * depth, kn, j0, jn, b, strip);
                }
                boolean add = s > first || sum == 0 && p.accumulate();
                for (int j = 0; j < jn; j += chunk) {
                    for (int i = 0; i < in; i += height) {
                        panels.tile(min(height, in - i), min(chunk, jn - j), kn, own + i / height * panel, row,
                                b + j / lanes * strip, p.code().isa.bytes(), strip, c + i * ldc + 4L * j, ldc, add);
                    }
                }
            }
        } finally {
            PackBuffers.giveBack(own);
        }
    }

    private long laterSum(int sum, int row) {
        return laterSums + ((long) (sum - 1) * p.m() + row) * ldSum;
    }

    private void addUp() {
        Kernel add = p.code().add;
        p.team().parallelFor(ceilDiv(p.m(), ADDED), task -> {
            int first = task * ADDED;
            for (int sum = 1; sum < sums; sum++) {
                for (int i = first; i < min(p.m(), first + ADDED); i++) {
                    add.call(p.n(), p.atC(i, 0), laterSum(sum, i));
                }
            }
        });
    }
}
