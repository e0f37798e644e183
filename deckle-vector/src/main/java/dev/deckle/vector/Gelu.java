package dev.deckle.vector;

import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.load;
import static dev.deckle.vector.Lanes.store;
import static jdk.incubator.vector.VectorOperators.GT;

import jdk.incubator.vector.FloatVector;

/// GELU, `x Phi(x)` with the normal distribution Phi, and its approximation by tanh, over whole vectors.
final class Gelu {
    private static final float SQRT_HALF = (float) Math.sqrt(0.5);
    private static final float INV_SQRT_2_PI = (float) (1 / Math.sqrt(2 * Math.PI));
    private static final float CUBIC = 0.044715f;
    /// (1 + tanh(u)) / 2 is sigmoid(2u), and u is sqrt(2 / pi) (x + CUBIC x^3).
    private static final float TWICE_SQRT_2_OVER_PI = (float) (2 * Math.sqrt(2 / Math.PI));

    private Gelu() {}

    static void gelu(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = load(x + i);
            store(v.mul(phi(v)), y + i);
        }
    }

    static void geluGrad(long x, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = load(x + i);
            store(v.mul(density(v)).add(phi(v)).mul(load(dy + i)), dx + i);
        }
    }

    private static FloatVector phi(FloatVector x) {
        return VectorMath.erf(x.mul(SQRT_HALF)).fma(0.5f, 0.5f);
    }

    private static FloatVector density(FloatVector x) {
        return VectorMath.exp(x.mul(x).mul(-0.5f)).mul(INV_SQRT_2_PI);
    }

    static void geluTanh(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = load(x + i);
            store(v.mul(VectorMath.sigmoid(inner(v))), y + i);
        }
    }

    /// `(x s(u))' = s + x s (1 - s) u'`.
    static void geluTanhGrad(long x, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = load(x + i);
            FloatVector u = inner(v);
            // far out s is 0 or 1, and 0 times a u' that overflows would be NaN
            FloatVector slope = v.mul(sigmoidSlope(u)).mul(innerSlope(v)).blend(0f, v.abs().compare(GT, 100f));
            store(slope.add(VectorMath.sigmoid(u)).mul(load(dy + i)), dx + i);
        }
    }

    private static FloatVector inner(FloatVector x) {
        return x.mul(x).fma(CUBIC, 1f).mul(x).mul(TWICE_SQRT_2_OVER_PI);
    }

    private static FloatVector innerSlope(FloatVector x) {
        return x.mul(x).fma(3 * CUBIC, 1f).mul(TWICE_SQRT_2_OVER_PI);
    }

    /// `s (1 - s)` with s = sigmoid(x), as `e / (1 + e)^2` with e = e^-|x|: no digits are lost on either side.
    static FloatVector sigmoidSlope(FloatVector x) {
        FloatVector e = VectorMath.exp(x.abs().neg());
        FloatVector d = e.add(1f);
        return e.div(d.mul(d));
    }
}
