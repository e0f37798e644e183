package dev.deckle.x86;

import static dev.deckle.x86.Product.evenly;
import static java.lang.Math.ceilDiv;

import dev.deckle.kernel.Scratch;
import dev.deckle.x86.emit.Isa;

/// A large product, after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): A is
/// packed to lie in memory just as the tile will read it, shared by the team. Then each task makes some columns of C,
/// slice by slice along k, from packed columns of B, which stay in its second-level cache while its rows of A go
/// through.
///
/// ```
/// packed A: [slice][panel]  a panel: `height` rows of `depth`, or `depth` columns of `height`, as A has them;
///                           for the matrix unit see [AmxPanels]
/// packed B: [strip]         a strip: `depth` vectors; where the team shares it [slice][columns of a task][strip]
/// ```
/// Who packs B: where the tasks differ in their columns alone, each packs its own, because B packed in advance goes out
/// to memory and comes back. Where several tasks have the same columns, B is packed once for all of them, beside A: the
/// gradient of a matrix of 384 by 384 from 3,072 rows had spent two fifths of its time on packing B four times.
final class Blocked {
    /// A part of an axis.
    private record Span(int start, int size) {
        /// The part from `start` on, of `most` or what is left.
        static Span of(int start, int most, int all) {
            return new Span(start, Math.min(most, all - start));
        }
    }

    /// Panels of a task at most, of the height that vectors have: to pack B for a thousand rows is a hundredth of the
    /// work.
    private static final int PANELS = 72;
    /// Panels of a task at least, of that height: to pack B for a hundred rows is some hundredths of the work.
    private static final int FEWEST = 7;
    /// Tasks that are worth smaller ones. The gradient of a matrix of 384 by 384 was three tasks, which kept two
    /// threads busy for three quarters of the time: 150 GFLOP/s in place of 187 in f32, 229 in place of 305 in bf16
    /// (Zen 4).
    private static final int TASKS = 12;
    /// Panels in a task of packing, of that height.
    private static final int PACKED = 8;
    /// The deepest block, of which the buffers still hold a thousand rows.
    private static final int MAX_DEPTH = 8192;

    private final Product p;
    private final Panels panels;
    private final int lanes;
    private final int depth;
    private final int height;
    private final int columns;
    private final int fewest; // panels of a task
    private final int most;
    private final int packed; // panels of a task of packing
    private final int across; // tasks that lie beside each other
    // in bytes
    private final long strip;
    private final long columnsOfB; // packed
    private final long row;
    private final long panel;
    private final long packedA;
    private long packedB; // 0 where each task packs its own

    private Blocked(Product p, long buffer) {
        this.p = p;
        Isa isa = p.code().isa;
        panels = Panels.of(p);
        lanes = isa.lanes;
        depth = evenly(p.k(), Product.DEPTH, lanes);
        height = panels.height();
        columns = panels.columns();
        across = ceilDiv(p.n(), columns);
        fewest = Math.max(1, FEWEST * isa.rows / height);
        most = Math.min(PANELS, PANELS * isa.rows / height);
        packed = Math.min(PACKED, PACKED * isa.rows / height);
        strip = (long) depth * isa.bytes();
        columnsOfB = ceilDiv(Math.min(columns, p.n()), lanes) * strip;
        row = panels.row(depth);
        panel = panels.panel(depth);
        packedA = buffer;
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
        int mMost = evenly(p.m(), (int) (PackBuffers.BYTES / (slices * panel)) * height, height);
        boolean shared = parts(Span.of(0, mMost, p.m())) > 1 && across * slices * columnsOfB <= PackBuffers.BYTES;
        packedB = shared ? PackBuffers.take() : 0;
        try {
            for (int k0 = 0; k0 < p.k(); k0 += kMost) {
                Span ks = Span.of(k0, kMost, p.k());
                for (int m0 = 0; m0 < p.m(); m0 += mMost) {
                    Span ms = Span.of(m0, mMost, p.m());
                    pack(ms, ks, shared && m0 == 0);
                    multiply(ms, ks);
                }
            }
        } finally {
            if (shared) {
                PackBuffers.giveBack(packedB);
            }
        }
    }

    private Span slice(Span ks, int i) {
        return Span.of(i * depth, depth, ks.size);
    }

    private long panelAt(Span ms, int slice, int i) {
        return packedA + ((long) slice * ceilDiv(ms.size, height) + i) * panel;
    }

    private long columnsAt(int slice, int j) {
        return packedB + ((long) slice * across + j) * columnsOfB;
    }

    private Span columns(int j) {
        return Span.of(j * columns, columns, p.n());
    }

    /// Panels of one task.
    private int each(Span ms) {
        int all = ceilDiv(ms.size, height);
        return ceilDiv(all, Math.max(ceilDiv(all, most), Math.min(ceilDiv(TASKS, across), all / fewest)));
    }

    /// Tasks that have the same columns.
    private int parts(Span ms) {
        return ceilDiv(ceilDiv(ms.size, height), each(ms));
    }

    private void pack(Span ms, Span ks, boolean andB) {
        int slices = ceilDiv(ks.size, depth);
        int rows = packed * height;
        int ofA = ceilDiv(ms.size, rows) * slices;
        int ofB = andB ? across * slices : 0;
        p.team().parallelFor(ofA + ofB, task -> {
            int slice = task % slices; // the number of tasks of A is a multiple of them
            Span s = slice(ks, slice);
            if (task < ofA) {
                int part = task / slices;
                Span is = Span.of(part * rows, rows, ms.size);
                panels.packA(ms.start + is.start, is.size, ks.start + s.start, s.size, height,
                        panelAt(ms, slice, part * packed), panel, row);
            } else {
                int j = (task - ofA) / slices;
                Span js = columns(j);
                panels.packB(ks.start + s.start, s.size, js.start, js.size, columnsAt(slice, j), strip);
            }
        });
    }

    private void multiply(Span ms, Span ks) {
        int slices = ceilDiv(ks.size, depth);
        int all = ceilDiv(ms.size, height);
        int each = each(ms);
        int parts = parts(ms);
        p.team().parallelFor(parts * across, task -> {
            int first = task % parts * each;
            int j = task / parts;
            Span js = columns(j);
            for (int s = 0; s < slices; s++) {
                Span slice = slice(ks, s);
                long b = packedB == 0 ? ownColumns(ks, slice, js) : columnsAt(s, j);
                boolean add = p.accumulate() || ks.start > 0 || s > 0;
                for (int i = first; i < Math.min(all, first + each); i++) {
                    Span is = Span.of(i * height, height, ms.size);
                    panels.tile(is.size, js.size, slice.size, panelAt(ms, s, i), row, b, p.code().isa.bytes(), strip,
                            p.atC(ms.start + is.start, js.start), add);
                }
            }
        });
    }

    private long ownColumns(Span ks, Span slice, Span js) {
        long b = Scratch.bytes(Product.SCRATCH, columnsOfB);
        panels.packB(ks.start + slice.start, slice.size, js.start, js.size, b, strip);
        return b;
    }
}
