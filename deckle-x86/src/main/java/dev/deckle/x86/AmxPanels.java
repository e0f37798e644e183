package dev.deckle.x86;

import static java.lang.Math.ceilDiv;
import static java.lang.Math.min;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.NativeCall;
import dev.deckle.kernel.Scratch;
import dev.deckle.x86.Operand.Source;
import dev.deckle.x86.Tile.Form;
import java.lang.foreign.MemorySegment;

/// A product of pairs of bf16 by the matrix unit. Both operands are packed into strips of tiles, see [AmxTile]:
/// ```
/// strip of A: [block of 16 steps][16 rows][16 steps]
/// strip of B: [block of 16 steps][16 steps][16 columns]      that is, as for vectors
/// ```
record AmxPanels(Product p, AmxCode unit) implements Panels {
    private static final int SIDE = AmxTile.SIDE;

    /// The numbers along k that are packed from `k0` on: whole blocks, and the steps of the last one if that has fewer
    /// or ends with half a pair.
    private record Steps(int blocks, int rest) {
        static Steps of(Product p, int k0, int kn) {
            int blocks = (kn - (p.endsOdd(k0, kn) ? 1 : 0)) / SIDE;
            return new Steps(blocks, kn - blocks * SIDE);
        }

        int done() {
            return blocks * SIDE;
        }

        long bytes() {
            return (long) blocks * AmxTile.BYTES;
        }
    }

    @Override
    public int height() {
        return AmxCode.SIDE;
    }

    @Override
    public int depth(boolean deep) {
        return deep ? 192 : Product.DEPTH;
    }

    /// Larger than for vectors, because the unit is through with it so soon.
    @Override
    public long chunk() {
        return 1 << 20;
    }

    @Override
    public long row(int depth) {
        return (long) depth * AmxTile.ROW;
    }

    @Override
    public long panel(int depth) {
        return 2 * row(depth);
    }

    @Override
    public void packA(int i0, int rows, int k0, int kn, long to, long panel, long strip) {
        Steps steps = Steps.of(p, k0, kn);
        boolean lieAsRows = p.a().form() == Form.ROWS;
        if (!lieAsRows && steps.blocks > 0) {
            acrossToTiles(i0, rows, k0, steps.blocks, to, strip);
        }
        for (int i = 0; i < rows; i += SIDE) {
            int some = min(SIDE, rows - i);
            long at = to + i / SIDE * strip;
            if (lieAsRows && steps.blocks > 0) {
                NativeCall.call(p.code().toTiles(p.a().source()), p.a().at(i0 + i, k0), p.a().ld(), at, some,
                        steps.blocks, 0);
            }
            if (steps.rest > 0) {
                lastBlock(lieAsRows, i0 + i, some, k0 + steps.done(), steps.rest, at + steps.bytes());
            }
        }
    }

    /// A tile of fewer than 16 steps, the others 0.
    private void lastBlock(boolean liesAsRows, int i0, int rows, int k0, int kn, long to) {
        if (liesAsRows) {
            Native.zero(to, AmxTile.BYTES);
            p.round(p.a(), i0, rows, k0, kn, to, AmxTile.ROW);
            return;
        }
        long columns = Scratch.bytes(Product.EDGE, AmxTile.BYTES);
        Native.zero(columns, AmxTile.BYTES);
        p.across(p.a(), i0, rows, SIDE, k0, kn, columns, AmxTile.BYTES, AmxTile.ROW);
        NativeCall.call(p.code().transpose(Source.READY), columns, AmxTile.ROW, to, 0, 1, 0, 1, 0, 0, 0, 0);
    }

    @Override
    public void packB(int k0, int kn, int j0, int columns, long to, long strip) {
        p.packB(k0, kn, j0, columns, to, strip);
        long missing = (long) (-kn & SIDE - 1) * AmxTile.ROW;
        for (int s = 0; s * SIDE < columns && p.b().form() == Form.COLUMNS; s++) {
            Native.zero(to + s * strip + (long) kn * AmxTile.ROW, missing);
        }
    }

    /// Whole blocks of numbers that run across the strips.
    private void acrossToTiles(int i0, int rows, int k0, int blocks, long to, long strip) {
        int whole = rows / SIDE;
        int rest = rows % SIDE;
        MemorySegment kernel = p.code().acrossToTiles(p.a().source());
        if (whole > 0) {
            NativeCall.call(kernel, p.a().at(i0, k0), p.a().ld(), to, strip, whole, blocks, p.code().mask(SIDE),
                    p.code().pairs, 0, 0, 0);
        }
        if (rest > 0) {
            NativeCall.call(kernel, p.a().at(i0 + whole * SIDE, k0), p.a().ld(), to + whole * strip, strip, 1, blocks,
                    p.code().mask(rest), p.code().pairs, 0, 0, 0);
        }
    }

    @Override
    public void tile(
            int rows, int columns, int kn, long ai, long ldai, long bi, long ldbi, long strip, long ci, long ldc,
            boolean add) {
        unit.multiply(rows, columns, ceilDiv(kn, SIDE), ai, bi, strip, ci, ldc, add);
    }
}
