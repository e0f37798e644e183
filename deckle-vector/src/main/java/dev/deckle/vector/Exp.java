package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;

/// The exponential, the one transcendental pass that softmax, attention, cross entropy and all activations share.
///
/// `e^x = 2^n e^r` with n the integer nearest to x / ln 2, so |r| <= ln(2) / 2, where a polynomial (minimax, fitted for
/// this file) is within 3e-9. The error is below 1 unit in the last place. Where the result would come near the
/// subnormal numbers, below x = -86.9, it is 0: they are slow on some machines and nothing to a softmax.
///
/// The Vector API's own EXP was not taken: interpreted and compiled it gives different bits.
final class Exp {
    private static final FloatVector LOG2_E = broadcast(F, (float) (1 / Math.log(2)));
    /// Minus ln 2 in two parts; the first has 12 bits, so that its product with n is exact.
    private static final FloatVector LN_2_HIGH = broadcast(F, -0.693115234375f);
    private static final FloatVector LN_2_LOW = broadcast(F, -3.194618494528623e-5f);
    /// 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits.
    private static final FloatVector ROUND = broadcast(F, 0x1.8p23f);
    private static final int ONE_HALF = Float.floatToRawIntBits(0.5f);

    // e^r = 1 + r + r^2 (C2 + C3 r + ... + C6 r^4)
    private static final FloatVector C2 = broadcast(F, 0.49999994f);
    private static final FloatVector C3 = broadcast(F, 0.16666521f);
    private static final FloatVector C4 = broadcast(F, 0.04166839f);
    private static final FloatVector C5 = broadcast(F, 0.008368717f);
    private static final FloatVector C6 = broadcast(F, 0.0013814599f);

    private static final FloatVector ZERO = broadcast(F, 0f);
    private static final FloatVector INFINITY = broadcast(F, Float.POSITIVE_INFINITY);
    private static final FloatVector LOWEST = broadcast(F, -86.9f);
    private static final FloatVector HIGHEST = broadcast(F, 89f);

    private Exp() {}

    /// `y = exp(x mul + add)`.
    static void map(long x, long y, long n, float mul, float add) {
        long rest = n % N;
        long done = 4 * (n - rest);
        whole(x, y, done, mul, add);
        if (rest > 0) {
            long pad = Lanes.pad(0, x + done, rest);
            whole(pad, pad, BYTES, mul, add);
            Native.copy(pad, y + done, 4 * rest);
        }
    }

    /// The same for whole vectors.
    static void whole(long x, long y, long bytes, float mul, float add) {
        FloatVector a = broadcast(F, mul);
        FloatVector b = broadcast(F, add);
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = fromMemorySegment(F, ALL, x + i, ORDER).fma(a, b);
            FloatVector t = v.fma(LOG2_E, ROUND);
            FloatVector n = t.sub(ROUND);
            FloatVector r = n.fma(LN_2_LOW, n.fma(LN_2_HIGH, v));
            FloatVector q = C6.fma(r, C5).fma(r, C4).fma(r, C3).fma(r, C2);
            FloatVector p = q.mul(r).fma(r, r);
            // 2^(n-1), doubled at the end: 2^128 is no float, but e^88.7 is
            FloatVector half = t.reinterpretAsInts().lanewise(LSHL, 23).add(ONE_HALF).reinterpretAsFloats();
            FloatVector e = p.fma(half, half);
            e.add(e).blend(INFINITY, v.compare(GT, HIGHEST)).blend(ZERO, v.compare(LT, LOWEST))
                    .intoMemorySegment(ALL, y + i, ORDER);
        }
    }
}
