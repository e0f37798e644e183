package dev.deckle.x86;

import static java.lang.Math.ceilDiv;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import dev.deckle.x86.Operand.Source;
import dev.deckle.x86.Tile.Form;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;

/// A product of bf16. A pair of bf16 that are neighbours along k is four bytes, as a float is, and the processor
/// multiplies and adds pairs lane by lane as it does floats. So this is the [Product] of two matrices with half the
/// steps along k.
///
/// Weights W (out, in) lie as pairs in x W^T. Everything else becomes pairs as it is packed: floats are rounded, and
/// two rows are woven into one where they run across k, as W does in dY W and both operands do in dY^T X. Nothing is
/// converted as a whole, except where A is used too seldom to be packed.
final class HalfProduct {
    /// Bytes of a row of pairs are a multiple of this: of a vector.
    private static final int UNIT = 64;
    /// Rows, or steps along k, in one task of rounding.
    private static final int ROWS = 16;

    private HalfProduct() {}

    /// @param from what B's numbers are
    static void run(
            Code code, Source from, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        boolean floats = from == Source.FLOATS;
        boolean aRows = acs == 1 || k == 1;
        boolean aColumns = ars == 1 || m == 1;
        boolean bRows = brs == 1 && (floats || k % 2 == 0);
        boolean bColumns = bcs == 1 || n == 1;
        int steps = (k + 1) / 2;
        if (!aRows && !aColumns || !bRows && !bColumns) { // which is rare
            try (Arena arena = Arena.ofConfined()) {
                Operand left = aRows || aColumns
                        ? left(aRows, a, ars, acs)
                        : left(true, Products.gather(arena, a, ars, acs, m, k), k, 1);
                Operand right = bRows || bColumns ? right(from, bRows, b, brs, bcs)
                        : floats ? right(from, false, Products.gather(arena, b, brs, bcs, k, n), n, 1)
                                : right(from, true, gather(arena, b, brs, bcs, n, k), 1, 2L * steps);
                multiply(new Product(code, m, n, steps, k % 2 != 0, left, right, c, 4 * crs, accumulate, team));
            }
        } else {
            multiply(new Product(code, m, n, steps, k % 2 != 0, left(aRows, a, ars, acs),
                    right(from, bRows, b, brs, bcs), c, 4 * crs, accumulate, team));
        }
    }

    private static Operand left(boolean rows, long a, long ars, long acs) {
        return new Operand(Source.FLOATS, a, rows ? Form.ROWS : Form.COLUMNS, 4 * (rows ? ars : acs));
    }

    private static Operand right(Source from, boolean rows, long b, long brs, long bcs) {
        return rows
                ? new Operand(from == Source.HALVES ? Source.READY : from, b, Form.ROWS, from.bytes * bcs)
                : new Operand(from, b, Form.COLUMNS, from.bytes * brs);
    }

    private static void multiply(Product p) {
        if (p.packsA()) {
            p.run();
            return;
        }
        long rounded = PackBuffers.take();
        try {
            if (p.a().form() == Form.ROWS) {
                rows(p, rounded);
            } else {
                columns(p, rounded);
            }
        } finally {
            PackBuffers.giveBack(rounded);
        }
    }

    /// A rounded, as many rows at a time as there is memory for, then multiplied.
    private static void rows(Product p, long to) {
        long row = ceilDiv(4L * p.k(), UNIT) * UNIT;
        int most = (int) Math.min(p.m(), Math.max(1, PackBuffers.BYTES / row));
        for (int i0 = 0; i0 < p.m(); i0 += most) {
            int first = i0;
            int some = Math.min(most, p.m() - i0);
            p.team().parallelFor(ceilDiv(some, ROWS), task -> {
                int i = task * ROWS;
                p.round(p.a(), first + i, Math.min(ROWS, some - i), 0, p.k(), to + i * row, row);
            });
            new Product(p.code(), some, p.n(), p.k(), p.odd(), new Operand(Source.READY, to, Form.ROWS, row), p.b(),
                    p.atC(i0, 0), p.ldc(), p.accumulate(), p.team()).run();
        }
    }

    /// The same with steps along k.
    private static void columns(Product p, long to) {
        int lanes = p.code().isa.lanes;
        long step = ceilDiv(4L * p.m(), UNIT) * UNIT;
        int most = (int) Math.min(p.k(), PackBuffers.BYTES / step);
        for (int k0 = 0; k0 < p.k(); k0 += most) {
            int first = k0;
            int some = Math.min(most, p.k() - k0);
            p.team().parallelFor(ceilDiv(some, ROWS), task -> {
                int s = task * ROWS;
                p.across(p.a(), 0, p.m(), lanes, first + s, Math.min(ROWS, some - s), to + s * step,
                        p.code().isa.bytes(), step);
            });
            new Product(p.code(), p.m(), p.n(), some, p.odd() && k0 + some == p.k(),
                    new Operand(Source.READY, to, Form.COLUMNS, step), p.b().from(0, k0), p.c(), p.ldc(),
                    p.accumulate() || k0 > 0, p.team()).run();
        }
    }

    /// Columns of B (k, n), contiguous and of an even length: what is missing is 0.
    private static long gather(Arena arena, long b, long brs, long bcs, int n, int k) {
        int even = k + k % 2;
        long to = arena.allocate(2L * n * even, 64).address();
        for (int j = 0; j < n; j++) {
            for (int p = 0; p < k; p++) {
                Native.ALL.set(ValueLayout.JAVA_SHORT, to + 2 * ((long) j * even + p),
                        Native.ALL.get(ValueLayout.JAVA_SHORT, b + 2 * (p * brs + j * bcs)));
            }
        }
        return to;
    }
}
