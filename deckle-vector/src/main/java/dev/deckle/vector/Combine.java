package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;

/// Passes over two rows that softmax and attention share. Less than a vector is done number by number.
final class Combine {
    private Combine() {}

    /// `y = p (d - mean) scale`: the gradient of a softmax.
    static void productOfDifference(long p, long d, float mean, float scale, long y, int n) {
        FloatVector m = broadcast(F, mean);
        FloatVector s = broadcast(F, scale);
        int i = 0;
        for (; i <= n - N; i += N) {
            fromMemorySegment(F, ALL, d + 4L * i, ORDER).sub(m)
                    .mul(fromMemorySegment(F, ALL, p + 4L * i, ORDER)).mul(s).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Native.setFloat(y + 4L * i, (Native.getFloat(d + 4L * i) - mean) * Native.getFloat(p + 4L * i) * scale);
        }
    }

    /// `y = a scale + b`.
    static void addScaled(long a, float scale, long b, long y, int n) {
        FloatVector s = broadcast(F, scale);
        int i = 0;
        for (; i <= n - N; i += N) {
            fromMemorySegment(F, ALL, a + 4L * i, ORDER)
                    .fma(s, fromMemorySegment(F, ALL, b + 4L * i, ORDER)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Native.setFloat(y + 4L * i, Math.fma(Native.getFloat(a + 4L * i), scale, Native.getFloat(b + 4L * i)));
        }
    }
}
