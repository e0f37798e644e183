package dev.deckle.x86;

import static dev.deckle.x86.Product.ceilDiv;
import static dev.deckle.x86.Product.evenly;

import dev.deckle.x86.Tile.Form;

/// A large product, after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): blocks of A
/// and B are packed to lie in memory just as the tile will read them, then tasks of some rows by some columns of C run
/// through them, slice by slice along k.
///
/// ```
/// packed A: [slice][panel]  panel: `height` rows of `depth`, or `depth` vectors holding a column of `height` each
/// packed B: [slice][strip]  strip: `depth` vectors
/// ```
/// A block is as deep as the buffers allow, usually all of k, so that a task finishes its part of C while it is in the
/// cache. Packed rows have a cache line to spare: rows a power of two apart would fall on each other in the cache.
final class Blocked {
    /// Columns of a task: with their depth, half a megabyte of B.
    private static final int COLUMNS = 256;
    private static final int PANELS = 8;
    /// The deepest block, of which the buffers still hold a thousand rows and columns.
    private static final int MAX_DEPTH = 8192;
    private static final int SPARE = 64;

    private final Product p;
    private final int lanes;
    private final int depth;
    private final int height;
    private final long strip;
    private final long row;
    private final long panel;

    Blocked(Product p) {
        this.p = p;
        Isa isa = p.code().isa;
        lanes = isa.lanes;
        depth = evenly(p.k(), Product.DEPTH, lanes);
        height = evenly(p.m(), isa.rows, 1);
        strip = (long) depth * isa.bytes();
        row = p.aForm() == Form.ROWS ? 4L * depth + SPARE : 4L * height;
        panel = p.aForm() == Form.ROWS ? height * row : depth * row + SPARE;
    }

    void run() {
        int slices = Math.min(ceilDiv(p.k(), depth), MAX_DEPTH / depth);
        int kMost = slices * depth;
        int nFit = (int) (PackBuffers.HALF / (slices * strip)) * lanes;
        int mFit = (int) (PackBuffers.HALF / (slices * panel)) * height;
        int nMost = evenly(p.n(), nFit / COLUMNS * COLUMNS, COLUMNS);
        int mMost = evenly(p.m(), mFit, height);
        long buffer = PackBuffers.take();
        try {
            for (int k0 = 0; k0 < p.k(); k0 += kMost) {
                for (int n0 = 0; n0 < p.n(); n0 += nMost) {
                    for (int m0 = 0; m0 < p.m(); m0 += mMost) {
                        Block block = new Block(m0, Math.min(mMost, p.m() - m0), n0, Math.min(nMost, p.n() - n0),
                                k0, Math.min(kMost, p.k() - k0), buffer, buffer + PackBuffers.HALF);
                        block.pack(m0 == 0);
                        block.multiply();
                    }
                }
            }
        } finally {
            PackBuffers.giveBack(buffer);
        }
    }

    /// Rows m0.., columns n0.. and k0.. of the product, as many as fit the buffers.
    private final class Block {
        private final int m0;
        private final int mn;
        private final int n0;
        private final int nn;
        private final int k0;
        private final int kn;
        private final long packedA;
        private final long packedB;
        private final int slices;
        private final int panels;
        private final int strips;

        Block(int m0, int mn, int n0, int nn, int k0, int kn, long packedA, long packedB) {
            this.m0 = m0;
            this.mn = mn;
            this.n0 = n0;
            this.nn = nn;
            this.k0 = k0;
            this.kn = kn;
            this.packedA = packedA;
            this.packedB = packedB;
            slices = ceilDiv(kn, depth);
            panels = ceilDiv(mn, height);
            strips = ceilDiv(nn, lanes);
        }

        private int depthOf(int slice) {
            return Math.min(depth, kn - slice * depth);
        }

        private long panelAt(int slice, int i) {
            return packedA + ((long) slice * panels + i) * panel;
        }

        private long stripAt(int slice, int i) {
            return packedB + ((long) slice * strips + i) * strip;
        }

        /// B stays packed for the next rows of the same columns.
        void pack(boolean packB) {
            int rows = PANELS * height;
            int partsA = ceilDiv(mn, rows);
            int partsB = packB ? ceilDiv(nn, COLUMNS) : 0;
            p.team().parallelFor((partsA + partsB) * slices, task -> {
                int slice = task % slices;
                int part = task / slices;
                int ks = k0 + slice * depth;
                if (part < partsA) {
                    int i = part * rows;
                    p.packA(m0 + i, Math.min(rows, mn - i), ks, depthOf(slice), height,
                            panelAt(slice, part * PANELS), panel, row);
                } else {
                    int j = (part - partsA) * COLUMNS;
                    p.packB(ks, depthOf(slice), n0 + j, Math.min(COLUMNS, nn - j), stripAt(slice, j / lanes), strip);
                }
            });
        }

        void multiply() {
            int parts = ceilDiv(panels, PANELS);
            p.team().parallelFor(parts * ceilDiv(nn, COLUMNS), task -> {
                int first = task % parts * PANELS;
                int j = task / parts * COLUMNS;
                for (int slice = 0; slice < slices; slice++) {
                    boolean add = p.accumulate() || k0 + slice > 0;
                    for (int q = first; q < Math.min(panels, first + PANELS); q++) {
                        int i = q * height;
                        p.tile(Math.min(height, mn - i), Math.min(COLUMNS, nn - j), depthOf(slice),
                                panelAt(slice, q), row, stripAt(slice, j / lanes), p.code().isa.bytes(), strip,
                                p.atC(m0 + i, n0 + j), add);
                    }
                }
            });
        }
    }
}
