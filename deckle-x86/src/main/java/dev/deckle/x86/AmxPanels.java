package dev.deckle.x86;

import static java.lang.Math.ceilDiv;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.NativeCall;
import dev.deckle.kernel.Scratch;
import dev.deckle.x86.Tile.Form;

/// A product of pairs of bf16 by the matrix unit. B is packed as for vectors, and A to be tiles, see [AmxTile]:
/// ```
/// a panel: [block of 16 steps][32 rows][16 steps]
/// ```
record AmxPanels(Product p, AmxCode unit) implements Panels {
    private static final int SIDE = AmxTile.SIDE;
    private static final int BLOCK = 2 * AmxTile.BYTES; // of a panel, in bytes

    @Override
    public int height() {
        return AmxCode.SIDE;
    }

    /// Twice as many as for vectors: the unit is through with a panel of A so soon that the memory it comes from would
    /// be the limit.
    @Override
    public int columns() {
        return 256;
    }

    @Override
    public long row(int depth) {
        return AmxTile.ROW;
    }

    @Override
    public long panel(int depth) {
        return (long) ceilDiv(depth, SIDE) * BLOCK;
    }

    @Override
    public void packA(int i0, int rows, int k0, int kn, int height, long to, long panel, long ld) {
        for (int i = 0; i < rows; i += height) {
            int some = Math.min(height, rows - i);
            long at = to + i / height * panel;
            if (p.a().form() == Form.ROWS) {
                rows(i0 + i, some, k0, kn, at);
            } else {
                columns(i0 + i, some, k0, kn, at);
            }
        }
    }

    private void rows(int i0, int rows, int k0, int kn, long to) {
        for (int s = 0; s < kn; s += SIDE, to += BLOCK) {
            int steps = Math.min(SIDE, kn - s);
            if (steps < SIDE) {
                Native.zero(to, BLOCK);
            }
            p.round(i0, rows, k0 + s, steps, to, AmxTile.ROW);
        }
    }

    /// Strips of 16 rows, a vector for each step, and each 16 vectors of them transposed.
    private void columns(int i0, int rows, int k0, int kn, long to) {
        int blocks = ceilDiv(kn, SIDE);
        long strip = (long) blocks * AmxTile.BYTES;
        long strips = Scratch.bytes(Product.SCRATCH, 2 * strip);
        p.across(p.a(), i0, rows, SIDE, k0, kn, strips, strip, AmxTile.ROW);
        for (int t = 0; t * SIDE < rows; t++) {
            long from = strips + t * strip;
            Native.zero(from + (long) kn * AmxTile.ROW, (long) (blocks * SIDE - kn) * AmxTile.ROW);
            NativeCall.call(p.code().transpose(), from, AmxTile.ROW, to + (long) t * AmxTile.BYTES, BLOCK, blocks,
                    AmxTile.BYTES, 1, 0, 0, 0, 0);
        }
    }

    @Override
    public void packB(int k0, int kn, int j0, int columns, long to, long strip) {
        p.packB(k0, kn, j0, columns, to, strip);
        int missing = -kn & SIDE - 1;
        for (int s = 0; s * SIDE < columns && p.b().form() == Form.COLUMNS; s++) {
            Native.zero(to + s * strip + (long) kn * AmxTile.ROW, (long) missing * AmxTile.ROW);
        }
    }

    @Override
    public void tile(
            int rows, int columns, int kn, long ai, long ldai, long bi, long ldbi, long strip, long ci, boolean add) {
        unit.multiply(rows, columns, ceilDiv(kn, SIDE), ai, bi, strip, ci, p.ldc(), add);
    }
}
