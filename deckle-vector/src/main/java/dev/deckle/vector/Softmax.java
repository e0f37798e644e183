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

/// The softmax of rows, its logarithm and their gradients.
final class Softmax {
    private Softmax() {}

    static void forward(boolean log, long x, long y, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            float max = max(x + row, n);
            if (log) {
                float logSum = (float) Math.log(sumExp(x + row, n, max));
                shift(x + row, y + row, n, max, logSum);
            } else {
                float sum = exp(x + row, y + row, n, max);
                scale(y + row, n, 1 / sum);
            }
        }
    }

    static void backward(boolean log, long y, long dy, long dx, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            if (log) {
                logGrad(y + row, dy + row, dx + row, n, (float) Reduce.sum(dy + row, n));
            } else {
                grad(y + row, dy + row, dx + row, n, Rows.dot(y + row, dy + row, n));
            }
        }
    }

    /// The largest number of a row. NaN is passed over: it comes out of the exponentials that follow.
    static float max(long x, int n) {
        FloatVector max = all(Float.NEGATIVE_INFINITY);
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector v = load(x + 4L * i);
            max = max.blend(v, v.compare(GT, max));
        }
        float m = max.reduceLanes(MAX);
        for (; i < n; i++) {
            float e = Native.getFloat(x + 4L * i);
            m = e > m ? e : m;
        }
        return m;
    }

    /// The sum of `exp(x - max)`.
    static float sumExp(long x, int n, float max) {
        FloatVector sum = all(0f);
        int i = 0;
        for (; i <= n - N; i += N) {
            sum = sum.add(VectorMath.exp(load(x + 4L * i).sub(max)));
        }
        float s = Lanes.sum(sum);
        return i == n ? s : s + restSumExp(x + 4L * i, n - i, max);
    }

    private static float restSumExp(long x, int n, float max) {
        var mask = first(n);
        return Lanes.sum(all(0f).blend(VectorMath.exp(load(x, mask).sub(max)), mask));
    }

    /// `y = exp(x - max)`, and returns the sum.
    static float exp(long x, long y, int n, float max) {
        FloatVector sum = all(0f);
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector e = VectorMath.exp(load(x + 4L * i).sub(max));
            sum = sum.add(e);
            store(e, y + 4L * i);
        }
        float s = Lanes.sum(sum);
        return i == n ? s : s + restExp(x + 4L * i, y + 4L * i, n - i, max);
    }

    private static float restExp(long x, long y, int n, float max) {
        var mask = first(n);
        FloatVector e = VectorMath.exp(load(x, mask).sub(max));
        store(e, y, mask);
        return Lanes.sum(all(0f).blend(e, mask));
    }

    private static void scale(long y, int n, float factor) {
        int i = 0;
        for (; i <= n - N; i += N) {
            store(load(y + 4L * i).mul(factor), y + 4L * i);
        }
        if (i < n) {
            store(load(y + 4L * i, first(n - i)).mul(factor), y + 4L * i, first(n - i));
        }
    }

    /// `y = x - max - logSum`, in this order: the difference to the maximum is what has small numbers.
    private static void shift(long x, long y, int n, float max, float logSum) {
        int i = 0;
        for (; i <= n - N; i += N) {
            store(load(x + 4L * i).sub(max).sub(logSum), y + 4L * i);
        }
        if (i < n) {
            store(load(x + 4L * i, first(n - i)).sub(max).sub(logSum), y + 4L * i, first(n - i));
        }
    }

    private static void grad(long y, long dy, long dx, int n, float dot) {
        int i = 0;
        for (; i <= n - N; i += N) {
            store(load(dy + 4L * i).sub(dot).mul(load(y + 4L * i)), dx + 4L * i);
        }
        for (; i < n; i++) {
            Native.setFloat(dx + 4L * i, (Native.getFloat(dy + 4L * i) - dot) * Native.getFloat(y + 4L * i));
        }
    }

    private static void logGrad(long y, long dy, long dx, int n, float sum) {
        int i = 0;
        for (; i <= n - N; i += N) {
            store(VectorMath.exp(load(y + 4L * i)).fma(all(-sum), load(dy + 4L * i)), dx + 4L * i);
        }
        for (; i < n; i++) {
            float p = (float) Math.exp(Native.getFloat(y + 4L * i));
            Native.setFloat(dx + 4L * i, Native.getFloat(dy + 4L * i) - p * sum);
        }
    }
}
