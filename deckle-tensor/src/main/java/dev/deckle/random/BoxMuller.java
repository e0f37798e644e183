package dev.deckle.random;

import dev.deckle.kernel.Native;

/// Normal numbers from pairs of uniform ones (Box and Muller 1958) in F32, to the last bit as PyTorch's vectorised path
/// computes them: with the polynomials of Moshier's Cephes library for logarithm, sine and cosine, and with a fused
/// multiply-add wherever a product is added to something. The exact functions would differ from it by up to three units
/// in the last place, in every fortieth number by more than one.
final class BoxMuller {
    private static final float TWO_PI = (float) (2 * Math.PI);
    private static final float SQRT_HALF = 0.70710678f;
    private static final float LN2_LOW = -2.12194440e-4f; // ln 2 in two parts, the upper one exact
    private static final float LN2_HIGH = 0.693359375f;
    private static final float[] LOG = {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f,
        1.4249322787e-1f, -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};

    private static final float FOUR_OVER_PI = 1.27323954473516f;
    private static final float[] QUARTER_PI = {-0.78515625f, -2.4187564849853515625e-4f, -3.77489497744594108e-8f};
    private static final float[] COS = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f};
    private static final float[] SIN = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};

    private BoxMuller() {}

    /// Two numbers uniform in [0, 1), the first for the radius and the second for the angle, become two normal ones in
    /// their places. The angle from the nearest multiple of a half pi goes through the polynomials of cosine and sine,
    /// and its octant says which is which.
    ///
    /// @param first its address, as `second`
    static void replace(long first, long second, float mean, float std) {
        float radius = (float) Math.sqrt(-2 * log(1 - Native.getFloat(first))); // of 0 never the logarithm
        float angle = TWO_PI * Native.getFloat(second);
        int octant = (int) (angle * FOUR_OVER_PI) + 1 & ~1;
        float r = angle;
        for (float part : QUARTER_PI) {
            r = Math.fma(octant, part, r);
        }
        boolean swapped = (octant & 2) != 0;
        float x = swapped ? sin(r) : cos(r);
        float y = swapped ? cos(r) : sin(r);
        float cosine = (octant - 2 & 4) == 0 ? -x : x;
        float sine = (octant & 4) != 0 ? -y : y;
        Native.setFloat(first, Math.fma(radius * cosine, std, mean));
        Native.setFloat(second, Math.fma(radius * sine, std, mean));
    }

    /// The natural logarithm of a normal positive number: of its exponent, and by a polynomial of its mantissa, which
    /// is brought to between sqrt(1/2) and sqrt(2), less 1.
    private static float log(float x) {
        int bits = Float.floatToRawIntBits(x);
        float e = (bits >> 23) - 126;
        float m = Float.intBitsToFloat(bits & 0x807fffff | 0x3f000000); // 0.5 to 1
        if (m < SQRT_HALF) {
            e -= 1;
            m = m - 1 + m;
        } else {
            m -= 1;
        }
        float z = m * m;
        float y = polynomial(LOG, m) * m;
        y = Math.fma(y, z, e * LN2_LOW);
        y = Math.fma(z, -0.5f, y);
        return Math.fma(e, LN2_HIGH, m + y);
    }

    private static float cos(float r) {
        float z = r * r;
        float y = polynomial(COS, z) * z;
        return Math.fma(y, z, -(z * 0.5f)) + 1;
    }

    private static float sin(float r) {
        float z = r * r;
        return Math.fma(polynomial(SIN, z) * z, r, r);
    }

    private static float polynomial(float[] coefficients, float x) {
        float y = coefficients[0];
        for (int i = 1; i < coefficients.length; i++) {
            y = Math.fma(y, x, coefficients[i]);
        }
        return y;
    }
}
