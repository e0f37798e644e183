package dev.deckle.x86;

import static java.lang.Math.ceilDiv;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import dev.deckle.x86.Operand.Source;
import dev.deckle.x86.Tile.Form;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// A product of bf16. A pair of bf16 that are neighbours along k is four bytes, as a float is, and the processor
/// multiplies and adds pairs lane by lane as it does floats. So this is the [Product] of two matrices with half the
/// steps along k.
///
/// Weights W (out, in) lie as pairs in x W^T, and so does x if it is of bf16. Everything else becomes pairs as it is
/// packed: floats are rounded, and two rows are woven into one where they run across k, as W does in dY W and both
/// operands do in dY^T X. Nothing is converted as a whole, except where A is used too seldom to be packed.
final class HalfProduct {
    /// Bytes of a row of pairs are a multiple of this: of a vector.
    private static final int UNIT = 64;
    /// Rows, or steps along k, in one task of rounding.
    private static final int ROWS = 16;

    private HalfProduct() {}

    /// @param fromA what A's numbers are, FLOATS or HALVES
    /// @param fromB what B's numbers are
    static void run(
            Code code, Source fromA, Source fromB, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        Optional<Operand> left = asItLies(fromA, m, k, a, ars, acs, true);
        Optional<Operand> right = asItLies(fromB, n, k, b, bcs, brs, false);
        int steps = (k + 1) / 2;
        if (left.isPresent() && right.isPresent()) {
            multiply(new Product(code, m, n, steps, k % 2 != 0, left.get(), right.get(), c, 4 * crs, accumulate, team));
            return;
        }
        try (Arena arena = Arena.ofConfined()) { // which is rare
            multiply(new Product(code, m, n, steps, k % 2 != 0,
                    left.orElseGet(() -> gathered(arena, fromA, m, k, a, ars, acs)),
                    right.orElseGet(() -> gathered(arena, fromB, n, k, b, bcs, brs)), c, 4 * crs, accumulate, team));
        }
    }

    /// An operand that need not be copied.
    ///
    /// @param apart from a line to the next: a row of A, a column of B
    /// @param along from a number of a line to the next
    /// @param odd whether lines that lie as pairs may end with half of one
    private static Optional<Operand> asItLies(
            Source from, int lines, int k, long start, long apart, long along, boolean odd) {
        boolean halves = from == Source.HALVES;
        if ((along == 1 || k == 1) && (!halves || odd || k % 2 == 0)) {
            return Optional.of(new Operand(halves ? Source.READY : from, start, Form.ROWS, from.bytes * apart));
        }
        return apart == 1 || lines == 1
                ? Optional.of(new Operand(from, start, Form.COLUMNS, from.bytes * along))
                : Optional.empty();
    }

    private static Operand gathered(Arena arena, Source from, int lines, int k, long start, long apart, long along) {
        return from == Source.FLOATS
                ? new Operand(from, Products.gather(arena, start, apart, along, lines, k), Form.ROWS, 4L * k)
                : new Operand(Source.READY, gather(arena, start, apart, along, lines, k), Form.ROWS, 2L * (k + k % 2));
    }

    private static void multiply(Product p) {
        if (p.packsA() || p.a().source() == Source.READY && !p.odd()) {
            p.run();
            return;
        }
        long pairs = PackBuffers.take();
        try {
            if (p.a().form() == Form.ROWS) {
                rows(p, pairs);
            } else {
                columns(p, pairs);
            }
        } finally {
            PackBuffers.giveBack(pairs);
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

    /// Lines of bf16, contiguous and of an even length: what is missing is 0.
    private static long gather(Arena arena, long from, long apart, long along, int lines, int k) {
        int even = k + k % 2;
        long to = arena.allocate(2L * lines * even, 64).address();
        for (int i = 0; i < lines; i++) {
            for (int p = 0; p < k; p++) {
                Native.ALL.set(ValueLayout.JAVA_SHORT, to + 2 * ((long) i * even + p),
                        Native.ALL.get(ValueLayout.JAVA_SHORT, from + 2 * (i * apart + p * along)));
            }
        }
        return to;
    }
}
