package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static jdk.incubator.vector.VectorOperators.F2D;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.MAX;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.ReduceFn;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/// Sums, products and maxima, in an order that depends on the shape only. Long sums are cut into pieces, so that the
/// rounding error grows with the length of a piece and not of the whole.
final class Reduce {
    private static final VectorSpecies<Double> D = DoubleVector.SPECIES_PREFERRED;
    /// Floats summed in float before the sum goes on in double.
    private static final int PIECE = 4096;
    /// Rows of a column summed before their sum is added to the column's.
    private static final int ROWS = 128;

    private Reduce() {}

    static void reduce(ReduceFn f, long x, long y, long outer, long n, long inner) {
        for (long o = 0; o < outer; o++) {
            long from = x + 4 * o * n * inner;
            long to = y + 4 * o * inner;
            if (inner == 1) {
                Native.setFloat(to, f == ReduceFn.SUM ? (float) sum(from, n) : max(from, n));
            } else if (f == ReduceFn.SUM) {
                sumColumns(from, to, n, inner);
            } else {
                maxColumns(from, to, n, inner);
            }
        }
    }

    // ---- along rows

    static double sum(long x, long n) {
        double sum = 0;
        for (long i = 0; i < n; i += PIECE) {
            sum += piece(x + 4 * i, (int) Math.min(PIECE, n - i));
        }
        return sum;
    }

    private static float piece(long x, int n) {
        FloatVector s0 = broadcast(F, 0f);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int i = 0;
        for (; i <= n - 4 * N; i += 4 * N) {
            long at = x + 4L * i;
            s0 = s0.add(fromMemorySegment(F, ALL, at, ORDER));
            s1 = s1.add(fromMemorySegment(F, ALL, at + BYTES, ORDER));
            s2 = s2.add(fromMemorySegment(F, ALL, at + 2 * BYTES, ORDER));
            s3 = s3.add(fromMemorySegment(F, ALL, at + 3 * BYTES, ORDER));
        }
        for (; i <= n - N; i += N) {
            s0 = s0.add(fromMemorySegment(F, ALL, x + 4L * i, ORDER));
        }
        long pad = Lanes.pad(7);
        s0.add(s1).add(s2.add(s3)).intoMemorySegment(ALL, pad, ORDER);
        float sum = Lanes.sum(pad);
        for (; i < n; i++) {
            sum += Native.getFloat(x + 4L * i);
        }
        return sum;
    }

    /// The sum of `a b`.
    static float dot(long a, long b, int n) {
        FloatVector s0 = broadcast(F, 0f);
        FloatVector s1 = s0;
        int i = 0;
        for (; i <= n - 2 * N; i += 2 * N) {
            long at = 4L * i;
            s0 = fromMemorySegment(F, ALL, a + at, ORDER).fma(fromMemorySegment(F, ALL, b + at, ORDER), s0);
            s1 = fromMemorySegment(F, ALL, a + at + BYTES, ORDER)
                    .fma(fromMemorySegment(F, ALL, b + at + BYTES, ORDER), s1);
        }
        for (; i <= n - N; i += N) {
            s0 = fromMemorySegment(F, ALL, a + 4L * i, ORDER).fma(fromMemorySegment(F, ALL, b + 4L * i, ORDER), s0);
        }
        long pad = Lanes.pad(7);
        s0.add(s1).intoMemorySegment(ALL, pad, ORDER);
        float sum = Lanes.sum(pad);
        for (; i < n; i++) {
            sum += Native.getFloat(a + 4L * i) * Native.getFloat(b + 4L * i);
        }
        return sum;
    }

    /// NaN wins.
    private static float max(long x, long n) {
        FloatVector m = broadcast(F, Float.NEGATIVE_INFINITY);
        long whole = n - n % N;
        for (long i = 0; i < whole; i += N) {
            m = m.max(fromMemorySegment(F, ALL, x + 4 * i, ORDER));
        }
        float max = m.reduceLanes(MAX);
        for (long i = whole; i < n; i++) {
            max = Math.max(max, Native.getFloat(x + 4 * i));
        }
        return max;
    }

    /// The largest `x mul`, several times as fast because it passes NaN over: for softmaxes, where NaN comes out of the
    /// exponentials.
    static float maxOfNumbers(long x, int n, float mul) {
        FloatVector a = broadcast(F, mul);
        FloatVector m0 = broadcast(F, Float.NEGATIVE_INFINITY);
        FloatVector m1 = m0;
        int i = 0;
        for (; i <= n - 2 * N; i += 2 * N) {
            FloatVector v0 = fromMemorySegment(F, ALL, x + 4L * i, ORDER).mul(a);
            FloatVector v1 = fromMemorySegment(F, ALL, x + 4L * i + BYTES, ORDER).mul(a);
            m0 = m0.blend(v0, v0.compare(GT, m0));
            m1 = m1.blend(v1, v1.compare(GT, m1));
        }
        float max = m0.max(m1).reduceLanes(MAX);
        for (; i < n; i++) {
            float v = Native.getFloat(x + 4L * i) * mul;
            max = v > max ? v : max;
        }
        return max;
    }

    // ---- down columns

    private static void sumColumns(long x, long y, long n, long inner) {
        Native.zero(y, 4 * inner);
        for (long j = 0; j < n; j += ROWS) {
            int rows = (int) Math.min(ROWS, n - j);
            long from = x + 4 * j * inner;
            long i = 0;
            for (; i <= inner - N; i += N) {
                addRows(from + 4 * i, rows, 4 * inner, y + 4 * i);
            }
            for (; i < inner; i++) {
                float sum = 0;
                for (int r = 0; r < rows; r++) {
                    sum += Native.getFloat(from + 4 * (r * inner + i));
                }
                Native.setFloat(y + 4 * i, Native.getFloat(y + 4 * i) + sum);
            }
        }
    }

    private static void addRows(long x, int rows, long stride, long y) {
        FloatVector sum = broadcast(F, 0f);
        for (int r = 0; r < rows; r++) {
            sum = sum.add(fromMemorySegment(F, ALL, x + r * stride, ORDER));
        }
        sum.add(fromMemorySegment(F, ALL, y, ORDER)).intoMemorySegment(ALL, y, ORDER);
    }

    private static void maxColumns(long x, long y, long n, long inner) {
        long i = 0;
        for (; i <= inner - N; i += N) {
            maxRows(x + 4 * i, n, 4 * inner, y + 4 * i);
        }
        for (; i < inner; i++) {
            float max = Float.NEGATIVE_INFINITY;
            for (long r = 0; r < n; r++) {
                max = Math.max(max, Native.getFloat(x + 4 * (r * inner + i)));
            }
            Native.setFloat(y + 4 * i, max);
        }
    }

    private static void maxRows(long x, long rows, long stride, long y) {
        FloatVector max = broadcast(F, Float.NEGATIVE_INFINITY);
        for (long r = 0; r < rows; r++) {
            max = max.max(fromMemorySegment(F, ALL, x + r * stride, ORDER));
        }
        max.intoMemorySegment(ALL, y, ORDER);
    }

    // ---- sum of squares

    static double sumOfSquares(long x, long n) {
        DoubleVector s0 = DoubleVector.zero(D);
        DoubleVector s1 = s0;
        long whole = n - n % N;
        for (long i = 0; i < whole; i += N) {
            FloatVector v = fromMemorySegment(F, ALL, x + 4 * i, ORDER);
            DoubleVector low = (DoubleVector) v.convertShape(F2D, D, 0);
            DoubleVector high = (DoubleVector) v.convertShape(F2D, D, 1);
            s0 = low.fma(low, s0);
            s1 = high.fma(high, s1);
        }
        double sum = 0;
        for (double lane : s0.add(s1).toArray()) {
            sum += lane;
        }
        for (long i = whole; i < n; i++) {
            double e = Native.getFloat(x + 4 * i);
            sum += e * e;
        }
        return sum;
    }
}
