package dev.deckle.vector;

import dev.deckle.kernel.Native;

/// The online softmax over one tile of scores, and the way back, row by row in passes that other kernels have.
final class AttentionTile {
    private AttentionTile() {}

    static void forward(
            long s, long ss, int rows, int cols, long visible, long mask, long ms,
            float scale, long m, long l, long o, long os, int d) {
        float factor = mask == 0 ? scale : 1;
        for (int i = 0; i < rows; i++) {
            int seen = seen(visible, i, cols);
            long row = s + 4 * i * ss;
            if (mask != 0) {
                Combine.addScaled(row, scale, mask + 4 * i * ms, row, seen);
            }
            float before = Native.getFloat(m + 4L * i);
            float max = Math.max(before, Reduce.maxOfNumbers(row, seen, factor));
            // nothing seen yet: any finite number makes exp(-Infinity - shift) 0 instead of NaN
            float shift = max == Float.NEGATIVE_INFINITY ? 0 : max;
            Exp.map(row, row, seen, factor, -shift);
            float decay = (float) Math.exp(before - shift);
            Native.setFloat(m + 4L * i, max);
            Native.setFloat(l + 4L * i, (float) (Native.getFloat(l + 4L * i) * decay + Reduce.sum(row, seen)));
            zero(row, seen, cols);
            if (decay != 1) {
                Elementwise.affine(o + 4 * i * os, decay, 0, o + 4 * i * os, d);
            }
        }
    }

    static void end(long m, long l, long o, long os, long y, long ys, long lse, int rows, int d) {
        for (int i = 0; i < rows; i++) {
            double sum = Native.getFloat(l + 4L * i);
            Elementwise.affine(o + 4 * i * os, sum == 0 ? 0 : (float) (1 / sum), 0, y + 4 * i * ys, d);
            Native.setFloat(lse + 4L * i, (float) (Native.getFloat(m + 4L * i) + Math.log(sum)));
        }
    }

    static void backward(
            long s, long dp, long ss, int rows, int cols, long visible, long mask, long ms,
            float scale, long lse, long delta) {
        float factor = mask == 0 ? scale : 1;
        for (int i = 0; i < rows; i++) {
            float logSum = Native.getFloat(lse + 4L * i);
            int seen = logSum == Float.NEGATIVE_INFINITY ? 0 : seen(visible, i, cols);
            long p = s + 4 * i * ss;
            long row = dp + 4 * i * ss;
            if (mask != 0) {
                Combine.addScaled(p, scale, mask + 4 * i * ms, p, seen);
            }
            Exp.map(p, p, seen, factor, -logSum);
            Combine.productOfDifference(p, row, Native.getFloat(delta + 4L * i), scale, row, seen);
            zero(p, seen, cols);
            zero(row, seen, cols);
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
}
