package dev.deckle.vector;

import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.all;
import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.IS_NAN;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/// Transcendental functions of a vector of floats: reduce the argument, evaluate a minimax polynomial (coefficients
/// fitted for this file), put the pieces together. The errors named are the largest over all floats of the range.
final class VectorMath {
    private static final float LOG2_E = (float) (1 / Math.log(2));
    /// ln 2 in two parts; the first has 12 bits, so that its product with an exponent is exact.
    private static final float LN_2_HIGH = 0.693115234375f;
    private static final float LN_2_LOW = 3.194618494528623e-5f;
    /// 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits.
    private static final float ROUND = 12582912f;
    private static final int ONE_HALF_BITS = 126 << 23;
    private static final int SQRT_HALF_BITS = Float.floatToRawIntBits((float) Math.sqrt(0.5));

    private VectorMath() {}

    /// e^x: 2^n e^r with |r| <= ln(2) / 2. -Infinity gives 0, NaN stays; below -86.9, where the result would near the
    /// subnormal numbers (slow on some machines, and nothing to a softmax), it is 0.
    static FloatVector exp(FloatVector x) {
        FloatVector t = x.fma(all(LOG2_E), all(ROUND));
        FloatVector n = t.sub(ROUND);
        FloatVector r = n.fma(all(-LN_2_LOW), n.fma(all(-LN_2_HIGH), x));
        // 2^(n-1), doubled at the end: 2^128 is no float, but e^88.7 is
        FloatVector half = t.reinterpretAsInts().lanewise(LSHL, 23).add(ONE_HALF_BITS).reinterpretAsFloats();
        FloatVector e = expPolynomial(r).mul(half);
        return e.add(e)
                .blend(Float.POSITIVE_INFINITY, x.compare(GT, 89f))
                .blend(0f, x.compare(LT, -86.9f));
    }

    /// 1 + r + r^2 q(r).
    private static FloatVector expPolynomial(FloatVector r) {
        FloatVector q = all(0.0013814599f).fma(r, all(0.008368717f))
                .fma(r, all(0.04166839f)).fma(r, all(0.16666521f)).fma(r, all(0.49999994f));
        return q.mul(r).fma(r, r).add(1f);
    }

    /// ln x = n ln 2 + ln m with m in [sqrt(1/2), sqrt(2)), and ln m = 2 artanh(s), s = (m - 1) / (m + 1). Subnormal
    /// numbers are scaled up first.
    static FloatVector log(FloatVector x) {
        var tiny = x.compare(LT, Float.MIN_NORMAL);
        IntVector bits = x.mul(all(1f).blend(0x1p25f, tiny)).reinterpretAsInts();
        IntVector n = bits.sub(SQRT_HALF_BITS).lanewise(ASHR, 23);
        FloatVector m = bits.sub(n.lanewise(LSHL, 23)).reinterpretAsFloats();
        FloatVector exponent = ((FloatVector) n.convertShape(I2F, F, 0)).sub(all(0f).blend(25f, tiny));
        return logParts(m, exponent)
                .blend(x, x.compare(GT, Float.MAX_VALUE))
                .blend(Float.NEGATIVE_INFINITY, x.eq(0f))
                .blend(Float.NaN, x.compare(LT, 0f))
                .blend(x, x.test(IS_NAN));
    }

    private static FloatVector logParts(FloatVector m, FloatVector exponent) {
        FloatVector f = m.sub(1f);
        FloatVector s = f.div(m.add(1f));
        FloatVector z = s.mul(s);
        FloatVector p = all(0.2358357f).fma(z, all(0.28537238f)).fma(z, all(0.40000337f)).fma(z, all(0.6666666f));
        // 2 s = f - s f, exactly to first order
        FloatVector small = s.fma(z.mul(p).sub(f), exponent.mul(LN_2_LOW));
        return exponent.fma(all(LN_2_HIGH), small.add(f));
    }

    /// 1 / (1 + e^-x).
    static FloatVector sigmoid(FloatVector x) {
        return all(1f).div(exp(x.neg()).add(1f));
    }

    /// An odd polynomial near zero, (1 - e) / (1 + e) with e = e^(-2|x|) elsewhere.
    static FloatVector tanh(FloatVector x) {
        FloatVector a = x.lanewise(ABS);
        FloatVector e = exp(a.mul(-2f));
        FloatVector far = all(1f).sub(e).div(e.add(1f));
        return far.blend(far.neg(), x.compare(LT, 0f)).blend(tanhNear(x), a.compare(LT, 0.6f));
    }

    private static FloatVector tanhNear(FloatVector x) {
        FloatVector u = x.mul(x);
        FloatVector p = all(-0.005905868f).fma(u, all(0.020805385f))
                .fma(u, all(-0.053786684f)).fma(u, all(0.13331959f)).fma(u, all(-0.333333f));
        return p.mul(u).fma(x, x);
    }

    /// An odd polynomial below 1, `1 - e^(-x^2) p(1 / (1 + |x| / 2))` elsewhere.
    static FloatVector erf(FloatVector x) {
        FloatVector a = x.lanewise(ABS);
        FloatVector far = all(1f).sub(exp(a.mul(a).neg()).mul(erfcPolynomial(a)));
        return far.blend(far.neg(), x.compare(LT, 0f)).blend(erfNear(x), a.compare(LT, 1f));
    }

    private static FloatVector erfNear(FloatVector x) {
        FloatVector u = x.mul(x);
        return all(7.889123e-05f).fma(u, all(-0.0008020842f)).fma(u, all(0.0051895357f)).fma(u, all(-0.026854444f))
                .fma(u, all(0.112836f)).fma(u, all(-0.37612626f)).fma(u, all(1.1283791f)).mul(x);
    }

    private static FloatVector erfcPolynomial(FloatVector a) {
        FloatVector t = all(1f).div(a.fma(all(0.5f), all(1f)));
        return all(-0.04026958f).fma(t, all(-0.08505865f)).fma(t, all(0.41778514f)).fma(t, all(0.110158995f))
                .fma(t, all(0.3187754f)).fma(t, all(0.2782154f)).mul(t);
    }
}
