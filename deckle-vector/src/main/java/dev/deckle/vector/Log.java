package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.EQ;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/// The natural logarithm: `ln x = n ln 2 + ln m` with m in [sqrt(1/2), sqrt(2)), and `ln m = 2 artanh(s)` with
/// `s = (m - 1) / (m + 1)`, a polynomial of s^2. The error is below 1 unit in the last place.
final class Log {
    private static final FloatVector ZERO = broadcast(F, 0f);
    private static final FloatVector ONE = broadcast(F, 1f);
    private static final FloatVector MIN_NORMAL = broadcast(F, Float.MIN_NORMAL);
    private static final FloatVector SCALE_UP = broadcast(F, 0x1p25f);
    private static final FloatVector SCALED_BY = broadcast(F, 25f);
    private static final FloatVector NAN = broadcast(F, Float.NaN);
    private static final FloatVector INFINITY = broadcast(F, Float.POSITIVE_INFINITY);
    private static final FloatVector MINUS_INFINITY = broadcast(F, Float.NEGATIVE_INFINITY);
    private static final FloatVector LN_2_HIGH = broadcast(F, 0.693115234375f);
    private static final FloatVector LN_2_LOW = broadcast(F, 3.194618494528623e-5f);
    private static final int SQRT_HALF = Float.floatToRawIntBits((float) Math.sqrt(0.5));

    // ln m = 2 s + s^3 (C0 + C1 s^2 + ...)
    private static final FloatVector C0 = broadcast(F, 0.6666666f);
    private static final FloatVector C1 = broadcast(F, 0.40000337f);
    private static final FloatVector C2 = broadcast(F, 0.28537238f);
    private static final FloatVector C3 = broadcast(F, 0.2358357f);

    private Log() {}

    /// `y = ln x` of whole vectors.
    static void whole(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = fromMemorySegment(F, ALL, x + i, ORDER);
            var subnormal = v.compare(LT, MIN_NORMAL);
            IntVector bits = v.mul(ONE.blend(SCALE_UP, subnormal)).reinterpretAsInts();
            IntVector exponent = bits.sub(SQRT_HALF).lanewise(ASHR, 23);
            FloatVector f = bits.sub(exponent.lanewise(LSHL, 23)).reinterpretAsFloats().sub(ONE); // m - 1
            FloatVector n = ((FloatVector) exponent.convertShape(I2F, F, 0)).sub(ZERO.blend(SCALED_BY, subnormal));
            FloatVector s = f.div(f.add(ONE).add(ONE));
            FloatVector z = s.mul(s);
            FloatVector p = C3.fma(z, C2).fma(z, C1).fma(z, C0);
            // 2 s = f - s f, which keeps the digits of f
            FloatVector small = s.fma(z.mul(p).sub(f), n.mul(LN_2_LOW));
            n.fma(LN_2_HIGH, small.add(f))
                    .blend(MINUS_INFINITY, v.compare(EQ, ZERO))
                    .blend(NAN, v.compare(LT, ZERO))
                    // Infinity and NaN
                    .blend(v, v.compare(LT, INFINITY).not())
                    .intoMemorySegment(ALL, y + i, ORDER);
        }
    }
}
