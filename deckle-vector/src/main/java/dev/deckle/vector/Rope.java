package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/// Rotary positions: each pair (u, v) becomes (u c - v s, v c + u s).
final class Rope {
    /// Neighbours change places.
    private static final VectorShuffle<Float> SWAP = VectorShuffle.fromOp(F, i -> i ^ 1);
    /// Each element of the lower, or the upper, half twice.
    private static final VectorShuffle<Float> TWICE_LOW = VectorShuffle.fromOp(F, i -> i / 2);
    private static final VectorShuffle<Float> TWICE_HIGH = VectorShuffle.fromOp(F, i -> N / 2 + i / 2);
    private static final VectorMask<Float> EVEN = VectorMask.fromLong(F, 0x5555555555555555L);

    private Rope() {}

    static void rows(
            long x, long xs, long y, long ys, long cos, long sin, long as, long rows, int n,
            boolean interleaved, boolean inverse) {
        int half = n / 2;
        float sign = inverse ? -1 : 1;
        for (long r = 0; r < rows; r++) {
            long angles = 4 * r * as;
            if (interleaved) {
                neighbours(x + 4 * r * xs, y + 4 * r * ys, cos + angles, sin + angles, half, sign);
            } else {
                halves(x + 4 * r * xs, y + 4 * r * ys, cos + angles, sin + angles, half, sign);
            }
        }
    }

    private static void halves(long x, long y, long cos, long sin, int half, float sign) {
        FloatVector direction = broadcast(F, sign);
        long apart = 4L * half;
        int i = 0;
        for (; i <= half - N; i += N) {
            FloatVector c = fromMemorySegment(F, ALL, cos + 4L * i, ORDER);
            FloatVector s = fromMemorySegment(F, ALL, sin + 4L * i, ORDER).mul(direction);
            FloatVector u = fromMemorySegment(F, ALL, x + 4L * i, ORDER);
            FloatVector v = fromMemorySegment(F, ALL, x + 4L * i + apart, ORDER);
            u.mul(c).sub(v.mul(s)).intoMemorySegment(ALL, y + 4L * i, ORDER);
            v.mul(c).add(u.mul(s)).intoMemorySegment(ALL, y + 4L * i + apart, ORDER);
        }
        for (; i < half; i++) {
            pair(x + 4L * i, y + 4L * i, apart, Native.getFloat(cos + 4L * i), sign * Native.getFloat(sin + 4L * i));
        }
    }

    private static void neighbours(long x, long y, long cos, long sin, int half, float sign) {
        // -s, s, -s, s...: what the partner of each element is multiplied by
        FloatVector signs = broadcast(F, sign).blend(broadcast(F, -sign), EVEN);
        int i = 0;
        for (; i <= half - N; i += N) {
            FloatVector c = fromMemorySegment(F, ALL, cos + 4L * i, ORDER);
            FloatVector s = fromMemorySegment(F, ALL, sin + 4L * i, ORDER);
            FloatVector low = fromMemorySegment(F, ALL, x + 8L * i, ORDER);
            FloatVector high = fromMemorySegment(F, ALL, x + 8L * i + BYTES, ORDER);
            low.mul(c.rearrange(TWICE_LOW)).add(low.rearrange(SWAP).mul(s.rearrange(TWICE_LOW).mul(signs)))
                    .intoMemorySegment(ALL, y + 8L * i, ORDER);
            high.mul(c.rearrange(TWICE_HIGH)).add(high.rearrange(SWAP).mul(s.rearrange(TWICE_HIGH).mul(signs)))
                    .intoMemorySegment(ALL, y + 8L * i + BYTES, ORDER);
        }
        for (; i < half; i++) {
            pair(x + 8L * i, y + 8L * i, 4, Native.getFloat(cos + 4L * i), sign * Native.getFloat(sin + 4L * i));
        }
    }

    private static void pair(long x, long y, long apart, float c, float s) {
        float u = Native.getFloat(x);
        float v = Native.getFloat(x + apart);
        Native.setFloat(y, u * c - v * s);
        Native.setFloat(y + apart, v * c + u * s);
    }
}
