package dev.deckle.vector;

import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.first;
import static dev.deckle.vector.Lanes.load;
import static dev.deckle.vector.Lanes.store;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.VectorMask;

/// `log sum exp(logits) - logits[target]` by row: two passes over a row, which stays in the cache between them.
final class CrossEntropy {
    private CrossEntropy() {}

    static void forward(long logits, long targets, long loss, long lse, long rows, int classes, long ignore) {
        for (long r = 0; r < rows; r++) {
            long row = logits + 4 * r * classes;
            long target = Native.getLong(targets + 8 * r);
            float max = Softmax.max(row, classes);
            double logSum = max + Math.log(Softmax.sumExp(row, classes, max));
            Native.setFloat(lse + 4 * r, (float) logSum);
            Native.setFloat(loss + 4 * r, target == ignore ? 0 : (float) (logSum - Native.getFloat(row + 4 * target)));
        }
    }

    static void backward(
            long logits, long targets, long lse, long g, long dlogits, long rows, int classes, long ignore) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * classes;
            long target = Native.getLong(targets + 8 * r);
            if (target == ignore) {
                Native.zero(dlogits + row, 4L * classes);
            } else {
                float gr = Native.getFloat(g + 4 * r);
                probabilities(logits + row, dlogits + row, classes, Native.getFloat(lse + 4 * r), gr);
                long at = dlogits + row + 4 * target;
                Native.setFloat(at, Native.getFloat(at) - gr);
            }
        }
    }

    /// `y = g exp(x - lse)`.
    private static void probabilities(long x, long y, int n, float lse, float g) {
        int i = 0;
        for (; i <= n - N; i += N) {
            store(VectorMath.exp(load(x + 4L * i).sub(lse)).mul(g), y + 4L * i);
        }
        if (i < n) {
            rest(x + 4L * i, y + 4L * i, first(n - i), lse, g);
        }
    }

    private static void rest(long x, long y, VectorMask<Float> mask, float lse, float g) {
        store(VectorMath.exp(load(x, mask).sub(lse)).mul(g), y, mask);
    }
}
