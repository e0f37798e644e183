package dev.deckle.x86;

import static dev.deckle.x86.emit.Kernel.scalar;
import static dev.deckle.x86.emit.Value.Comparison.EQUAL;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Scratch;
import dev.deckle.x86.emit.Array;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import dev.deckle.x86.emit.Routine;
import dev.deckle.x86.emit.Routine.Count;
import dev.deckle.x86.emit.Value;

/// The online softmax over one tile of scores, and the way back.
final class AttentionTile {
    private final Kernel forward;
    private final Kernel forwardMasked;
    private final Kernel end;
    private final Kernel backward;
    private final Kernel backwardMasked;

    AttentionTile(Isa isa) {
        forward = new Kernel(isa, r -> forward(r, false));
        forwardMasked = new Kernel(isa, r -> forward(r, true));
        end = new Kernel(isa, AttentionTile::end);
        backward = new Kernel(isa, r -> backward(r, false));
        backwardMasked = new Kernel(isa, r -> backward(r, true));
    }

    void forward(
            long s, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long m, long l, long o, long os, int d) {
        long seen = counts(rows);
        for (int i = 0; i < rows; i++) {
            Native.setLong(seen + 8L * i, seen(visible, i, cols));
        }
        (mask == 0 ? forward : forwardMasked)
                .call(rows, seen, cols, d, ss, ms, os, scalar(scale), s, mask, m, l, o);
    }

    private static void forward(Routine r, boolean masked) {
        Count rows = r.count();
        Count seen = r.countOfRow();
        Count cols = r.count();
        Count d = r.count();
        Count ss = r.count();
        Count ms = r.count();
        Count os = r.count();
        Value scale = r.scalar();
        Array s = r.floats(ss);
        Array mask = r.floats(ms);
        Array m = r.column();
        Array l = r.column();
        Array o = r.floats(os);
        r.rows(rows, () -> {
            Value z = scores(r, seen, s, scale, mask, masked);
            Value before = r.once(m.load());
            Value max = r.once(Softmax.max(r, seen, z).max(before));
            // nothing seen yet: any finite number makes exp(-Infinity - shift) 0 instead of NaN
            Value shift = r.once(max.is(EQUAL, Float.NEGATIVE_INFINITY).choose(Value.of(0), max));
            Value p = Functions.exp(z.minus(shift));
            Value sum = r.sum(seen, p, s.set(p));
            Value decay = r.once(Functions.exp(before.minus(shift)));
            r.once(m.set(max));
            r.once(l.set(l.load().fma(decay, sum)));
            r.each(seen, cols, s.set(Value.of(0)));
            r.each(d, o.set(o.load().times(decay)));
        });
    }

    void end(long m, long l, long o, long os, long y, long ys, long lse, int rows, int d) {
        end.call(rows, d, os, ys, m, l, o, y, lse);
    }

    private static void end(Routine r) {
        Count rows = r.count();
        Count d = r.count();
        Count os = r.count();
        Count ys = r.count();
        Array m = r.column();
        Array l = r.column();
        Array o = r.floats(os);
        Array y = r.floats(ys);
        Array lse = r.column();
        r.rows(rows, () -> {
            Value sum = r.once(l.load());
            Value scale = r.once(sum.is(EQUAL, 0).choose(Value.of(0), sum.reciprocal()));
            r.each(d, y.set(o.load().times(scale)));
            r.once(lse.set(m.load().plus(Functions.log(sum)))); // -Infinity where nothing was seen
        });
    }

    void backward(
            long s, long dp, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long lse, long delta) {
        long seen = counts(rows);
        for (int i = 0; i < rows; i++) {
            boolean none = Native.getFloat(lse + 4L * i) == Float.NEGATIVE_INFINITY;
            Native.setLong(seen + 8L * i, none ? 0 : seen(visible, i, cols));
        }
        (mask == 0 ? backward : backwardMasked)
                .call(rows, seen, cols, ss, ms, scalar(scale), s, dp, mask, lse, delta);
    }

    private static void backward(Routine r, boolean masked) {
        Count rows = r.count();
        Count seen = r.countOfRow();
        Count cols = r.count();
        Count ss = r.count();
        Count ms = r.count();
        Value scale = r.scalar();
        Array s = r.floats(ss);
        Array dp = r.floats(ss);
        Array mask = r.floats(ms);
        Array lse = r.column();
        Array delta = r.column();
        r.rows(rows, () -> {
            Value z = scores(r, seen, s, scale, mask, masked);
            Value p = Functions.exp(z.minus(lse.load()));
            r.each(seen, s.set(p), dp.set(dp.load().minus(delta.load()).times(p).times(scale)));
            r.each(seen, cols, s.set(Value.of(0)), dp.set(Value.of(0)));
        });
    }

    /// `s scale + mask`: with a mask put in the place of s, to be read twice; without one a formula.
    private static Value scores(Routine r, Count seen, Array s, Value scale, Array mask, boolean masked) {
        if (!masked) {
            return s.load().times(scale);
        }
        r.each(seen, s.set(s.load().fma(scale, mask.load())));
        return s.load();
    }

    private static long counts(int rows) {
        return Scratch.bytes(Product.SCRATCH, 8L * rows);
    }

    /// How many of `cols` columns row i sees.
    private static int seen(long visible, int i, int cols) {
        return Math.clamp(Math.min(visible, cols) + i, 0, cols);
    }
}
