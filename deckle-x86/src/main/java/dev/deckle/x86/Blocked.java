package dev.deckle.x86;

import static dev.deckle.x86.Product.evenly;
import static java.lang.Math.ceilDiv;

import dev.deckle.x86.Tile.Form;

/// A large product, after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): blocks of
/// A and B are packed to lie in memory just as the tile will read them, then tasks of some rows by some columns of C
/// run through them, slice by slice along k.
///
/// ```
/// packed A: [slice][panel]  a panel: `height` rows of `depth`, or `depth` columns of `height`, as A has them
/// packed B: [slice][strip]  a strip: `depth` vectors
/// ```
/// A block is as deep as the buffers allow, usually all of k, so that a task finishes its part of C while it is in the
/// cache.
final class Blocked {
    /// A part of an axis.
    private record Span(int start, int size) {
        /// The part from `start` on, of `most` or what is left.
        static Span of(int start, int most, int all) {
            return new Span(start, Math.min(most, all - start));
        }
    }

    /// Columns of a task: a slice of them is half a megabyte of B, which stays in the second-level cache.
    private static final int COLUMNS = 256;
    /// Panels of a task.
    private static final int PANELS = 8;
    /// The deepest block, of which the buffers still hold a thousand rows and columns.
    private static final int MAX_DEPTH = 8192;
    /// Bytes between packed rows, which if they were a power of two apart would fall on each other in the cache; and
    /// between packed panels of columns, because the last column is stored as a whole vector.
    private static final int SPARE = 64;

    private final Product p;
    private final int lanes;
    private final int depth;
    private final int height;
    // in bytes
    private final long strip;
    private final long row;
    private final long panel;
    private final long packedA;
    private final long packedB;

    private Blocked(Product p, long buffer) {
        this.p = p;
        Isa isa = p.code().isa;
        lanes = isa.lanes;
        depth = evenly(p.k(), Product.DEPTH, lanes);
        height = evenly(p.m(), isa.rows, 1);
        strip = (long) depth * isa.bytes();
        row = p.aForm() == Form.ROWS ? 4L * depth + SPARE : 4L * height;
        panel = p.aForm() == Form.ROWS ? height * row : depth * row + SPARE;
        packedA = buffer;
        packedB = buffer + PackBuffers.HALF;
    }

    static void run(Product p) {
        long buffer = PackBuffers.take();
        try {
            new Blocked(p, buffer).run();
        } finally {
            PackBuffers.giveBack(buffer);
        }
    }

    private void run() {
        int slices = Math.min(ceilDiv(p.k(), depth), MAX_DEPTH / depth);
        int kMost = slices * depth;
        int nFit = (int) (PackBuffers.HALF / (slices * strip)) * lanes;
        int mFit = (int) (PackBuffers.HALF / (slices * panel)) * height;
        int nMost = evenly(p.n(), nFit / COLUMNS * COLUMNS, COLUMNS);
        int mMost = evenly(p.m(), mFit, height);
        for (int k0 = 0; k0 < p.k(); k0 += kMost) {
            Span ks = Span.of(k0, kMost, p.k());
            for (int n0 = 0; n0 < p.n(); n0 += nMost) {
                Span ns = Span.of(n0, nMost, p.n());
                for (int m0 = 0; m0 < p.m(); m0 += mMost) {
                    Span ms = Span.of(m0, mMost, p.m());
                    pack(ms, ns, ks);
                    multiply(ms, ns, ks);
                }
            }
        }
    }

    private Span slice(Span ks, int i) {
        return Span.of(i * depth, depth, ks.size);
    }

    private long panelAt(Span ms, int slice, int i) {
        return packedA + ((long) slice * ceilDiv(ms.size, height) + i) * panel;
    }

    private long stripAt(Span ns, int slice, int i) {
        return packedB + ((long) slice * ceilDiv(ns.size, lanes) + i) * strip;
    }

    /// B stays packed for the next rows of the same columns.
    private void pack(Span ms, Span ns, Span ks) {
        int slices = ceilDiv(ks.size, depth);
        int rows = PANELS * height;
        int partsA = ceilDiv(ms.size, rows);
        int partsB = ms.start > 0 ? 0 : ceilDiv(ns.size, COLUMNS);
        p.team().parallelFor((partsA + partsB) * slices, task -> {
            int part = task / slices;
            Span slice = slice(ks, task % slices);
            int k0 = ks.start + slice.start;
            if (part < partsA) {
                Span is = Span.of(part * rows, rows, ms.size);
                long to = panelAt(ms, task % slices, part * PANELS);
                p.packA(ms.start + is.start, is.size, k0, slice.size, height, to, panel, row);
            } else {
                Span js = Span.of((part - partsA) * COLUMNS, COLUMNS, ns.size);
                long to = stripAt(ns, task % slices, js.start / lanes);
                p.packB(k0, slice.size, ns.start + js.start, js.size, to, strip);
            }
        });
    }

    private void multiply(Span ms, Span ns, Span ks) {
        int slices = ceilDiv(ks.size, depth);
        int panels = ceilDiv(ms.size, height);
        int parts = ceilDiv(panels, PANELS);
        p.team().parallelFor(parts * ceilDiv(ns.size, COLUMNS), task -> {
            int first = task % parts * PANELS;
            Span js = Span.of(task / parts * COLUMNS, COLUMNS, ns.size);
            for (int s = 0; s < slices; s++) {
                long b = stripAt(ns, s, js.start / lanes);
                boolean add = p.accumulate() || ks.start > 0 || s > 0;
                for (int i = first; i < Math.min(panels, first + PANELS); i++) {
                    Span is = Span.of(i * height, height, ms.size);
                    p.tile(is.size, js.size, slice(ks, s).size, panelAt(ms, s, i), row, b, p.code().isa.bytes(), strip,
                            p.atC(ms.start + is.start, ns.start + js.start), add);
                }
            }
        });
    }
}
