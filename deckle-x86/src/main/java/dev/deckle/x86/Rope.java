package dev.deckle.x86;

import static dev.deckle.x86.emit.Kernel.scalar;

import dev.deckle.kernel.Native;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import dev.deckle.x86.emit.Routine;
import dev.deckle.x86.emit.Value;

/// Rotary positions: pairs of numbers of a row, each turned by its angle.
final class Rope {
    private final Isa isa;
    private final Kernel halves;
    private final Kernel neighbours;

    Rope(Isa isa) {
        this.isa = isa;
        halves = new Kernel(isa, Rope::halves);
        neighbours = new Kernel(isa, Rope::neighbours);
    }

    void rows(
            long x, long xs, long y, long ys, long cos, long sin, long as, long rows, int n, boolean interleaved,
            boolean inverse) {
        int half = n / 2;
        float sign = inverse ? -1 : 1;
        if (!interleaved) {
            long apart = 4L * half;
            halves.call(rows, half, as, xs, ys, scalar(sign), x, x + apart, y, y + apart, cos, sin);
            return;
        }
        neighbours.call(rows, 2L * half, as, xs, ys, scalar(sign), x, y, cos, sin);
        int whole = 2 * half / isa.lanes * isa.lanes / 2;
        for (long r = 0; r < rows; r++) {
            for (int i = whole; i < half; i++) {
                long angle = 4 * (r * as + i);
                pair(x + 4 * (r * xs + 2 * i), y + 4 * (r * ys + 2 * i), Native.getFloat(cos + angle),
                        sign * Native.getFloat(sin + angle));
            }
        }
    }

    /// Element i and the one half a row on.
    private static void halves(Routine r) {
        var rows = r.count();
        var half = r.count();
        var as = r.count();
        var xs = r.count();
        var ys = r.count();
        Value sign = r.scalar();
        Value u = r.floats(xs).load();
        Value v = r.floats(xs).load();
        var first = r.floats(ys);
        var second = r.floats(ys);
        Value c = r.floats(as).load();
        Value s = r.floats(as).load().times(sign);
        r.rows(rows, () -> r.each(half,
                first.set(u.times(c).minus(v.times(s))),
                second.set(v.times(c).plus(u.times(s)))));
    }

    /// Neighbours: each lane by the cosine, plus or minus its partner by the sine.
    private static void neighbours(Routine r) {
        var rows = r.count();
        var n = r.count();
        var as = r.count();
        var xs = r.count();
        var ys = r.count();
        Value sign = r.scalar();
        Value x = r.floats(xs).load();
        var y = r.floats(ys);
        Value c = r.twice(as).load();
        Value s = r.twice(as).load().times(sign);
        r.rows(rows, () -> r.eachWhole(n, y.set(x.alternately(c, x.neighboursSwapped().times(s)))));
    }

    private static void pair(long x, long y, float c, float s) {
        float u = Native.getFloat(x);
        float v = Native.getFloat(x + 4);
        Native.setFloat(y, u * c - v * s);
        Native.setFloat(y + 4, v * c + u * s);
    }
}
