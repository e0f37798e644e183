package dev.deckle.x86;

import static dev.deckle.x86.Product.evenly;
import static java.lang.Math.ceilDiv;
import static java.lang.Math.clamp;
import static java.lang.Math.max;
import static java.lang.Math.min;

import dev.deckle.kernel.Scratch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;

/// A large product, after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): both
/// operands are packed to lie in memory just as the tile will read them. Slice by slice along k, packed columns of B
/// stay in the second-level cache while panels of A go by.
///
/// ```
/// packed A: [slice][panel]   `height` rows of `depth`, or `depth` columns of `height`, as A has them; for the matrix
///                            unit see [AmxPanels]
/// packed B: [slice][strip]   a strip: `depth` vectors
/// ```
/// What another core has just written comes slowly, so a task packs what it alone needs itself, into memory of its own,
/// a slice at a time, and the team packs only what all tasks need, in the first tasks of the same loop. With A packed
/// by the team as well a product of 3,072 by 384 by 384 took 1.3 ms on the matrix unit of an Intel (which needs 0.1),
/// and takes 0.5 now. A task makes
/// - in a tall product, which has at least as many rows as columns, some rows of C: it packs its rows of A;
/// - in a wide one, some columns of C: it packs its columns of B;
/// - in a deep one, which has much more along k than C is high or wide, such as the gradient of a weight matrix, the
///   sum of some slices for some rows of C: it packs its part of both. Each sum waits for those before it to be added.
final class Blocked {
    /// Rows of a task: as many as share the work well, of which a packed slice stays in the second-level cache.
    private static final int FEWEST_ROWS = 64;
    private static final int ROWS = 256;
    /// The same of a deep product, whose slices are shorter.
    private static final int DEEP_ROWS = 512;
    /// A deep product is this many times as deep as it is high and wide.
    private static final int DEEP = 2;
    /// Tasks that are worth smaller ones.
    private static final int TASKS = 8;
    /// Sums at most: each reads and writes all of C once more. Three are one too many for two threads and one too few
    /// for four.
    private static final int SUMS = 4;
    /// Tasks that pack the same columns of B themselves, at most.
    private static final int SAME = 2;
    /// How often a thread that waits for others looks before it lets them run.
    private static final int SPINS = 2_000;
    /// Rows or columns in a task of packing.
    private static final int PACKED = 64;

    private final Product p;
    private final Panels panels;
    private final int lanes;
    private final int height;
    private final int depth;
    private final int slices;
    private final int chunk; // columns that stay in the cache
    // a task
    private final int rows;
    private final int columns;
    private final int slicesOfSum;
    // tasks
    private final int parts;
    private final int across;
    private final int sums;
    // in bytes
    private final long strip;
    private final long row;
    private final long panel;
    private final long sliceOfA;
    private final long sliceOfB;
    private final long ldSum;
    // memory that all tasks know, or 0
    private long packedA;
    private long packedB;
    private int packs; // tasks that pack it
    private final AtomicInteger packed = new AtomicInteger(); // of these, those that are done
    private final AtomicIntegerArray added; // sums that C has, by part

    private Blocked(Product p) {
        this.p = p;
        panels = Panels.of(p);
        lanes = p.code().isa.lanes;
        height = panels.height();
        boolean alone = p.small(); // one thread is done before another has woken
        boolean deep = !alone && (long) p.k() * p.b().source().each >= (long) DEEP * max(p.m(), p.n());
        boolean wide = !deep && !alone && p.n() > p.m();
        int most = alone || wide ? p.m() : deep ? DEEP_ROWS : clamp(p.m() / TASKS, FEWEST_ROWS, ROWS);
        rows = evenly(p.m(), most, height);
        parts = ceilDiv(p.m(), rows);
        ldSum = 4L * evenly(p.n(), p.n(), lanes);
        int wanted = deep && rows * ldSum <= PackBuffers.BYTES ? min(SUMS, ceilDiv(TASKS, parts)) : 1;
        slicesOfSum = ceilDiv(p.k(), wanted * panels.depth(deep));
        depth = evenly(p.k(), ceilDiv(p.k(), slicesOfSum * wanted), lanes);
        slices = ceilDiv(p.k(), depth);
        sums = ceilDiv(slices, slicesOfSum);
        strip = (long) depth * p.code().isa.bytes();
        row = panels.row(depth);
        panel = panels.panel(depth);
        sliceOfA = ceilDiv(p.m(), height) * panel;
        sliceOfB = ceilDiv(p.n(), lanes) * strip;
        int pair = 2 * lanes;
        chunk = max(pair, (int) (panels.chunk() / (2 * strip)) * pair);
        columns = wide ? evenly(p.n(), clamp(p.n() / TASKS, min(4 * pair, chunk), chunk), pair) : p.n();
        across = ceilDiv(p.n(), columns);
        added = new AtomicIntegerArray(parts);
    }

    /// What all tasks need must have room in a buffer: else one half of the steps along k after the other.
    static void run(Product p) {
        Blocked blocked = new Blocked(p);
        int unit = p.code().isa.lanes;
        if (blocked.sharedBytes() > PackBuffers.BYTES && p.k() > unit) {
            int some = ceilDiv(p.k(), 2 * unit) * unit;
            run(p.steps(0, some));
            run(p.steps(some, p.k() - some));
        } else {
            blocked.run();
        }
    }

    private boolean sharesA() {
        return across > 1;
    }

    private boolean sharesB() {
        return !sharesA() && parts > (sums > 1 ? SAME : 1);
    }

    private long sharedBytes() {
        return slices * (sharesA() ? sliceOfA : sharesB() ? sliceOfB : 0);
    }

    private void run() {
        packedA = sharesA() ? PackBuffers.take() : 0;
        packedB = sharesB() ? PackBuffers.take() : 0;
        packs = slices * (sharesA() ? ceilDiv(p.m(), packedRows()) : sharesB() ? ceilDiv(p.n(), PACKED) : 0);
        try {
            p.team().parallelFor(packs + parts * across * sums, task -> {
                if (task < packs) {
                    pack(task);
                } else {
                    multiply(task - packs);
                }
            });
        } finally {
            PackBuffers.giveBack(packedA);
            PackBuffers.giveBack(packedB);
        }
    }

    private int steps(int slice) {
        return min(depth, p.k() - slice * depth);
    }

    private int packedRows() {
        return ceilDiv(PACKED, height) * height;
    }

    private void pack(int task) {
        int s = task % slices;
        int k0 = s * depth;
        try {
            if (sharesA()) {
                int i0 = task / slices * packedRows();
                panels.packA(i0, min(packedRows(), p.m() - i0), k0, steps(s),
                        packedA + s * sliceOfA + i0 / height * panel, panel, row);
            } else {
                int j0 = task / slices * PACKED;
                panels.packB(k0, steps(s), j0, min(PACKED, p.n() - j0), packedB + s * sliceOfB + j0 / lanes * strip,
                        strip);
            }
        } finally { // else who waits for it would wait for ever
            packed.incrementAndGet();
        }
    }

    /// Until all is packed that all tasks need. Those who pack it were begun before.
    private void awaitPacked() {
        for (int spins = 0; packed.get() < packs; spins++) {
            pause(spins);
        }
    }

    /// Soon after the others at best; where there are more threads than processors, their turn.
    private static void pause(int spins) {
        if (spins < SPINS) {
            Thread.onSpinWait();
        } else {
            Thread.yield();
        }
    }

    private void multiply(int task) {
        int i0 = task % parts * rows;
        int in = min(rows, p.m() - i0);
        int j0 = task / parts % across * columns;
        int jn = min(columns, p.n() - j0);
        int sum = task / parts / across;
        int first = sum * slicesOfSum;
        // its own, which it finds in its own cache: buffers that threads give each other cost attention a fifth
        long bytesOfA = packedA == 0 ? ceilDiv(in, height) * panel : 0;
        long bytesOfB = packedB == 0 ? ceilDiv(jn, lanes) * strip : 0;
        long own = Scratch.bytes(Product.SCRATCH, bytesOfA + bytesOfB + (sum == 0 ? 0 : in * ldSum));
        long c = sum == 0 ? p.atC(i0, j0) : own + bytesOfA + bytesOfB;
        long ldc = sum == 0 ? p.ldc() : ldSum;
        try {
            for (int s = first; s < min(slices, first + slicesOfSum); s++) {
                int kn = steps(s);
                boolean add = s > first || sum == 0 && p.accumulate();
                long a = packedA + s * sliceOfA;
                if (packedA == 0) {
                    a = own;
                    panels.packA(i0, in, s * depth, kn, a, panel, row);
                }
                long b = packedB + s * sliceOfB;
                if (packedB == 0) {
                    b = own + bytesOfA;
                    panels.packB(s * depth, kn, j0, jn, b, strip);
                }
                awaitPacked();
                for (int j = 0; j < jn; j += chunk) {
                    for (int i = 0; i < in; i += height) {
                        panels.tile(min(height, in - i), min(chunk, jn - j), kn, a + i / height * panel, row,
                                b + j / lanes * strip, p.code().isa.bytes(), strip, c + i * ldc + 4L * j, ldc, add);
                    }
                }
            }
        } finally { // as above
            if (sums > 1) {
                add(task % parts, sum, in, c);
            }
        }
    }

    /// Adds a sum to C when it has those before it, so that the order is always the same. A task waits for tasks that
    /// were begun before it, and only for the last of their work.
    private void add(int part, int sum, int rows, long from) {
        for (int spins = 0; added.get(part) < sum; spins++) {
            pause(spins);
        }
        for (int i = 0; i < rows && sum > 0; i++) {
            long c = p.atC(part * this.rows + i, 0);
            p.code().add.call(p.n(), c, from + i * ldSum, c);
        }
        added.set(part, sum + 1);
    }
}
