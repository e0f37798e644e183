package dev.deckle.vector;

import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.all;
import static dev.deckle.vector.Lanes.first;
import static dev.deckle.vector.Lanes.load;
import static dev.deckle.vector.Lanes.store;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.MAX;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/// The online softmax over one tile of scores, and the way back.
final class AttentionTile {
    private AttentionTile() {}

    static void forward(
            long s, long ss, int rows, int cols, long visible, long mask, long ms,
            float scale, long m, long l, long o, long os, int d) {
        for (int i = 0; i < rows; i++) {
            int seen = seen(visible, i, cols);
            long row = s + 4 * i * ss;
            if (mask != 0) {
                addMask(row, mask + 4 * i * ms, seen, scale);
            }
            float factor = mask == 0 ? scale : 1;
            float before = Native.getFloat(m + 4L * i);
            float max = Math.max(before, max(row, seen, factor));
            // nothing seen yet: any finite number makes exp(-Infinity - shift) 0 instead of NaN
            float shift = max == Float.NEGATIVE_INFINITY ? 0 : max;
            float sum = exp(row, seen, factor, shift);
            zero(row, seen, cols);
            float decay = (float) Math.exp(before - shift);
            Native.setFloat(m + 4L * i, max);
            Native.setFloat(l + 4L * i, Native.getFloat(l + 4L * i) * decay + sum);
            if (decay != 1) {
                scale(o + 4 * i * os, d, decay);
            }
        }
    }

    static void backward(
            long s, long dp, long ss, int rows, int cols, long visible, long mask, long ms,
            float scale, long lse, long delta) {
        for (int i = 0; i < rows; i++) {
            float logSum = Native.getFloat(lse + 4L * i);
            int seen = logSum == Float.NEGATIVE_INFINITY ? 0 : seen(visible, i, cols);
            long row = 4 * i * ss;
            if (mask != 0) {
                addMask(s + row, mask + 4 * i * ms, seen, scale);
            }
            exp(s + row, seen, mask == 0 ? scale : 1, logSum);
            gradRow(s + row, dp + row, seen, Native.getFloat(delta + 4L * i), scale);
            zero(s + row, seen, cols);
            zero(dp + row, seen, cols);
        }
    }

    /// How many of `cols` columns row i sees.
    private static int seen(long visible, int i, int cols) {
        return Math.clamp(Math.min(visible, cols) + i, 0, cols);
    }

    private static void zero(long row, int from, int to) {
        if (from < to) {
            Native.zero(row + 4L * from, 4L * (to - from));
        }
    }

    /// `s = s scale + mask`.
    private static void addMask(long s, long mask, int n, float scale) {
        int i = 0;
        for (; i <= n - N; i += N) {
            store(load(s + 4L * i).fma(all(scale), load(mask + 4L * i)), s + 4L * i);
        }
        for (; i < n; i++) {
            Native.setFloat(s + 4L * i, Native.getFloat(s + 4L * i) * scale + Native.getFloat(mask + 4L * i));
        }
    }

    /// The largest `s scale`; NaN is passed over and comes out of the exponentials.
    private static float max(long s, int n, float scale) {
        FloatVector max = all(Float.NEGATIVE_INFINITY);
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector z = load(s + 4L * i).mul(scale);
            max = max.blend(z, z.compare(GT, max));
        }
        if (i < n) {
            VectorMask<Float> rest = first(n - i);
            FloatVector z = load(s + 4L * i, rest).mul(scale);
            max = max.blend(z, z.compare(GT, max).and(rest));
        }
        return max.reduceLanes(MAX);
    }

    /// `s = exp(s scale - shift)`, and returns the sum.
    private static float exp(long s, int n, float scale, float shift) {
        FloatVector sum = all(0f);
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector p = VectorMath.exp(load(s + 4L * i).mul(scale).sub(shift));
            store(p, s + 4L * i);
            sum = sum.add(p);
        }
        float total = Lanes.sum(sum);
        return i == n ? total : total + expRest(s + 4L * i, first(n - i), scale, shift);
    }

    private static float expRest(long s, VectorMask<Float> rest, float scale, float shift) {
        FloatVector p = VectorMath.exp(load(s, rest).mul(scale).sub(shift));
        store(p, s, rest);
        return Lanes.sum(all(0f).blend(p, rest));
    }

    private static void scale(long o, int n, float factor) {
        int i = 0;
        for (; i <= n - N; i += N) {
            store(load(o + 4L * i).mul(factor), o + 4L * i);
        }
        for (; i < n; i++) {
            Native.setFloat(o + 4L * i, Native.getFloat(o + 4L * i) * factor);
        }
    }

    /// `dp = p (dp - delta) scale`.
    private static void gradRow(long p, long dp, int n, float delta, float scale) {
        int i = 0;
        for (; i <= n - N; i += N) {
            store(load(dp + 4L * i).sub(delta).mul(load(p + 4L * i)).mul(scale), dp + 4L * i);
        }
        for (; i < n; i++) {
            float d = (Native.getFloat(dp + 4L * i) - delta) * Native.getFloat(p + 4L * i) * scale;
            Native.setFloat(dp + 4L * i, d);
        }
    }
}
