package dev.deckle.kernel;

import static dev.deckle.kernel.ScalarKernels.get;
import static dev.deckle.kernel.ScalarKernels.set;

import dev.deckle.tensor.DType;

/// The two attention tiles of [ScalarKernels].
final class ScalarAttention {
    private ScalarAttention() {}

    /// How many of `cols` columns row i sees.
    private static int seen(long visible, int i, int cols) {
        return Math.clamp(Math.min(visible, cols) + i, 0, cols);
    }

    private static double scaled(DType t, long s, long at, double scale, long mask, long maskAt) {
        double z = get(t, s, at) * scale;
        return mask == 0 ? z : z + get(t, mask, maskAt);
    }

    static void tile(
            DType t, long s, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long m, long l, long o, long os, int d) {
        for (int i = 0; i < rows; i++) {
            int seen = seen(visible, i, cols);
            double before = get(t, m, i);
            double max = before;
            for (int j = 0; j < seen; j++) {
                max = Math.max(max, scaled(t, s, i * ss + j, scale, mask, i * ms + j));
            }
            // nothing seen yet: any finite number in place of the maximum turns exp(-Infinity - max) into 0, not NaN
            double shift = max == Double.NEGATIVE_INFINITY ? 0 : max;
            double sum = 0;
            for (int j = 0; j < cols; j++) {
                double p = j < seen ? Math.exp(scaled(t, s, i * ss + j, scale, mask, i * ms + j) - shift) : 0;
                set(t, s, i * ss + j, p);
                sum += p;
            }
            double decay = Math.exp(before - shift);
            for (int j = 0; j < d; j++) {
                set(t, o, i * os + j, get(t, o, i * os + j) * decay);
            }
            set(t, m, i, max);
            set(t, l, i, get(t, l, i) * decay + sum);
        }
    }

    static void end(DType t, long m, long l, long o, long os, long y, long ys, long lse, int rows, int d) {
        for (int i = 0; i < rows; i++) {
            double sum = get(t, l, i);
            for (int j = 0; j < d; j++) {
                set(t, y, i * ys + j, sum == 0 ? 0 : get(t, o, i * os + j) / sum);
            }
            set(t, lse, i, get(t, m, i) + Math.log(sum)); // -Infinity where nothing was seen
        }
    }

    static void tileGrad(
            DType t, long s, long dp, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long lse, long delta) {
        for (int i = 0; i < rows; i++) {
            double logSum = get(t, lse, i);
            int seen = logSum == Double.NEGATIVE_INFINITY ? 0 : seen(visible, i, cols);
            for (int j = 0; j < cols; j++) {
                long at = i * ss + j;
                double p = j < seen ? Math.exp(scaled(t, s, at, scale, mask, i * ms + j) - logSum) : 0;
                double ds = j < seen ? p * (get(t, dp, at) - get(t, delta, i)) * scale : 0;
                set(t, s, at, p);
                set(t, dp, at, ds);
            }
        }
    }
}
