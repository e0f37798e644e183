package dev.deckle.vector;

import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.all;
import static dev.deckle.vector.Lanes.first;
import static dev.deckle.vector.Lanes.load;
import static dev.deckle.vector.Lanes.store;
import static jdk.incubator.vector.VectorOperators.F2D;
import static jdk.incubator.vector.VectorOperators.MAX;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.ReduceFn;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/// Sums and maxima in an order that depends on the shape only. Long sums are cut into blocks, so that the rounding
/// error grows with the length of a block and not of the whole.
final class Reduce {
    private static final VectorSpecies<Double> D = DoubleVector.SPECIES_PREFERRED;
    /// Floats summed in float before the sum continues in double.
    private static final int BLOCK = 4096;
    /// Rows of a column summed before their sum is added to those before.
    private static final int ROWS = 128;

    private Reduce() {}

    static void reduce(ReduceFn f, long x, long y, long outer, long n, long inner) {
        for (long o = 0; o < outer; o++) {
            long from = x + 4 * o * n * inner;
            if (inner == 1) {
                Native.setFloat(y + 4 * o, f == ReduceFn.SUM ? (float) sum(from, n) : max(from, n));
            } else {
                columns(f, from, y + 4 * o * inner, n, inner);
            }
        }
    }

    // ---- along rows

    static double sum(long x, long n) {
        double sum = 0;
        for (long i = 0; i < n; i += BLOCK) {
            sum += blockSum(x + 4 * i, (int) Math.min(BLOCK, n - i));
        }
        return sum;
    }

    private static float blockSum(long x, int n) {
        FloatVector s0 = all(0f);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int i = 0;
        for (; i <= n - 4 * N; i += 4 * N) {
            long at = x + 4L * i;
            s0 = s0.add(load(at));
            s1 = s1.add(load(at + BYTES));
            s2 = s2.add(load(at + 2 * BYTES));
            s3 = s3.add(load(at + 3 * BYTES));
        }
        return Lanes.sum(s0.add(s1).add(s2.add(s3))) + blockRest(x + 4L * i, n - i);
    }

    private static float blockRest(long x, int n) {
        FloatVector s = all(0f);
        int i = 0;
        for (; i <= n - N; i += N) {
            s = s.add(load(x + 4L * i));
        }
        return Lanes.sum(i == n ? s : s.add(load(x + 4L * i, first(n - i))));
    }

    private static float max(long x, long n) {
        FloatVector m = all(Float.NEGATIVE_INFINITY);
        long whole = n - n % N;
        for (long i = 0; i < whole; i += N) {
            m = m.max(load(x + 4 * i));
        }
        float max = m.reduceLanes(MAX);
        for (long i = whole; i < n; i++) {
            max = Math.max(max, Native.getFloat(x + 4 * i));
        }
        return max;
    }

    // ---- down columns

    private static void columns(ReduceFn f, long x, long y, long n, long inner) {
        for (long i = 0; i < inner; i += N) {
            VectorMask<Float> mask = first((int) Math.min(N, inner - i));
            if (f == ReduceFn.SUM) {
                sumColumns(x + 4 * i, y + 4 * i, n, 4 * inner, mask);
            } else {
                maxColumns(x + 4 * i, y + 4 * i, n, 4 * inner, mask);
            }
        }
    }

    private static void sumColumns(long x, long y, long n, long stride, VectorMask<Float> mask) {
        FloatVector sum = all(0f);
        for (long j = 0; j < n; j += ROWS) {
            sum = sum.add(sumRows(x + j * stride, (int) Math.min(ROWS, n - j), stride, mask));
        }
        store(sum, y, mask);
    }

    private static FloatVector sumRows(long x, int n, long stride, VectorMask<Float> mask) {
        FloatVector sum = all(0f);
        for (int j = 0; j < n; j++) {
            sum = sum.add(load(x + j * stride, mask));
        }
        return sum;
    }

    private static void maxColumns(long x, long y, long n, long stride, VectorMask<Float> mask) {
        FloatVector max = all(Float.NEGATIVE_INFINITY);
        for (long j = 0; j < n; j++) {
            max = max.max(load(x + j * stride, mask));
        }
        store(max, y, mask);
    }

    // ---- sum of squares

    static double sumOfSquares(long x, long n) {
        DoubleVector s0 = DoubleVector.zero(D);
        DoubleVector s1 = s0;
        long whole = n - n % N;
        for (long i = 0; i < whole; i += N) {
            FloatVector v = load(x + 4 * i);
            DoubleVector low = (DoubleVector) v.convertShape(F2D, D, 0);
            DoubleVector high = (DoubleVector) v.convertShape(F2D, D, 1);
            s0 = low.fma(low, s0);
            s1 = high.fma(high, s1);
        }
        double sum = sumLanes(s0.add(s1));
        for (long i = whole; i < n; i++) {
            double e = Native.getFloat(x + 4 * i);
            sum += e * e;
        }
        return sum;
    }

    private static double sumLanes(DoubleVector v) {
        double sum = 0;
        for (double lane : v.toArray()) {
            sum += lane;
        }
        return sum;
    }
}
