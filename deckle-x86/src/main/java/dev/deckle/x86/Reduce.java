package dev.deckle.x86;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.ReduceFn;
import dev.deckle.kernel.Scratch;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import dev.deckle.x86.emit.Routine;
import dev.deckle.x86.emit.Value;

/// Sums and maxima, in an order that depends on the shape only. Long sums are cut into pieces, so that the rounding
/// error grows with the length of a piece and not of the whole.
final class Reduce {
    /// Floats of a row summed in float before the sum goes on in double.
    private static final int PIECE = 4096;
    /// Rows summed before their sums are added to those of all.
    private static final int ROWS = 128;

    private final Kernel sum;
    private final Kernel max;
    private final Kernel dots;
    private final Kernel sumDown;
    private final Kernel maxDown;

    Reduce(Isa isa) {
        sum = new Kernel(isa, r -> along(r, ReduceFn.SUM));
        max = new Kernel(isa, r -> along(r, ReduceFn.MAX));
        dots = new Kernel(isa, Reduce::dots);
        sumDown = new Kernel(isa, r -> down(r, ReduceFn.SUM));
        maxDown = new Kernel(isa, r -> down(r, ReduceFn.MAX));
    }

    void reduce(ReduceFn f, long x, long y, long outer, long n, long inner) {
        if (inner == 1 && f == ReduceFn.MAX) {
            max.call(outer, n, x, y);
        } else if (inner == 1) {
            sums(x, y, outer, n);
        } else {
            for (long o = 0; o < outer; o++) {
                columns(f, x + 4 * o * n * inner, y + 4 * o * inner, n, inner);
            }
        }
    }

    private static float neutral(ReduceFn f) {
        return f == ReduceFn.SUM ? 0 : Float.NEGATIVE_INFINITY;
    }

    private static Value join(ReduceFn f, Value a, Value b) {
        return f == ReduceFn.SUM ? a.plus(b) : Functions.max(a, b);
    }

    void rowDots(long a, long as, long b, long bs, long y, long rows, int n) {
        dots.call(rows, n, as, bs, a, b, y);
    }

    private static void dots(Routine r) {
        var rows = r.count();
        var n = r.count();
        var as = r.count();
        var bs = r.count();
        Value a = r.floats(as).load();
        Value b = r.floats(bs).load();
        var y = r.column();
        r.rows(rows, () -> r.once(y.set(r.sum(n, a.times(b)))));
    }

    // ---- along rows

    private static void along(Routine r, ReduceFn f) {
        var rows = r.count();
        var n = r.count();
        Value x = r.floats(n).load();
        var y = r.column();
        r.rows(rows, () -> r.once(y.set(r.fold(n, neutral(f), (a, b) -> join(f, a, b), x))));
    }

    private void sums(long x, long y, long rows, long n) {
        if (n <= PIECE) {
            sum.call(rows, n, x, y);
            return;
        }
        for (long r = 0; r < rows; r++) {
            long to = y + 4 * r;
            double total = 0;
            for (long i = 0; i < n; i += PIECE) {
                sum.call(1, Math.min(PIECE, n - i), x + 4 * (r * n + i), to);
                total += Native.getFloat(to);
            }
            Native.setFloat(to, (float) total);
        }
    }

    // ---- down columns

    /// Joins rows to one.
    private static void down(Routine r, ReduceFn f) {
        var rows = r.count();
        var n = r.count();
        Value x = r.floats(n).load();
        var y = r.floats();
        r.rows(rows, () -> r.each(n, y.set(join(f, y.load(), x))));
    }

    private void columns(ReduceFn f, long x, long y, long n, long inner) {
        for (long i = 0; i < inner; i++) {
            Native.setFloat(y + 4 * i, neutral(f));
        }
        if (f == ReduceFn.MAX) {
            maxDown.call(n, inner, x, y);
            return;
        }
        long some = Scratch.bytes(Product.SCRATCH, 4 * inner);
        for (long j = 0; j < n; j += ROWS) {
            Native.zero(some, 4 * inner);
            sumDown.call(Math.min(ROWS, n - j), inner, x + 4 * j * inner, some);
            sumDown.call(1, inner, some, y);
        }
    }
}
