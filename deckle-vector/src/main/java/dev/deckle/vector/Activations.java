package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BLOCK;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;

import dev.deckle.kernel.UnaryFn;
import jdk.incubator.vector.FloatVector;

/// The activations that contain an exponential, and their slopes, block by block: first the exponential of the block,
/// then what is made of it. Arrays are whole vectors.
final class Activations {
    private static final FloatVector ZERO = broadcast(F, 0f);
    private static final FloatVector HALF = broadcast(F, 0.5f);
    private static final FloatVector ONE = broadcast(F, 1f);
    private static final FloatVector TWO = broadcast(F, 2f);

    private static final float SQRT_HALF = (float) Math.sqrt(0.5);
    private static final FloatVector INV_SQRT_2_PI = broadcast(F, (float) (1 / Math.sqrt(2 * Math.PI)));

    // GELU_TANH: (1 + tanh u) / 2 = sigmoid(2u) with 2u = x (2 sqrt(2 / pi) + CUBIC x^2)
    private static final double SLOPE = 2 * Math.sqrt(2 / Math.PI);
    private static final FloatVector LINEAR = broadcast(F, (float) SLOPE);
    private static final FloatVector CUBIC = broadcast(F, (float) (SLOPE * 0.044715));
    private static final FloatVector CUBIC_SLOPE = broadcast(F, (float) (SLOPE * 0.044715 * 3));
    private static final FloatVector FAR = broadcast(F, 100f);

    // tanh x = x + x^3 (T3 + T5 x^2 + ...) for |x| < 0.6
    private static final FloatVector TANH_NEAR = broadcast(F, 0.6f);
    private static final FloatVector T3 = broadcast(F, -0.333333f);
    private static final FloatVector T5 = broadcast(F, 0.13331959f);
    private static final FloatVector T7 = broadcast(F, -0.053786684f);
    private static final FloatVector T9 = broadcast(F, 0.020805385f);
    private static final FloatVector T11 = broadcast(F, -0.005905868f);

    // erf x = x (A0 + A1 x^2 + ...) for |x| < 1
    private static final FloatVector A0 = broadcast(F, 1.1283791f);
    private static final FloatVector A1 = broadcast(F, -0.37612626f);
    private static final FloatVector A2 = broadcast(F, 0.112836f);
    private static final FloatVector A3 = broadcast(F, -0.026854444f);
    private static final FloatVector A4 = broadcast(F, 0.0051895357f);
    private static final FloatVector A5 = broadcast(F, -0.0008020842f);
    private static final FloatVector A6 = broadcast(F, 7.889123e-05f);

    // erf x = 1 - e^(-x^2) t (B0 + B1 t + ...), t = 1 / (1 + x / 2), above
    private static final FloatVector B0 = broadcast(F, 0.2782154f);
    private static final FloatVector B1 = broadcast(F, 0.3187754f);
    private static final FloatVector B2 = broadcast(F, 0.110158995f);
    private static final FloatVector B3 = broadcast(F, 0.41778514f);
    private static final FloatVector B4 = broadcast(F, -0.08505865f);
    private static final FloatVector B5 = broadcast(F, -0.04026958f);

    private Activations() {}

    /// `y = f(x)`.
    static void map(UnaryFn f, long x, long y, long bytes) {
        long e = Lanes.block(0);
        for (long i = 0; i < bytes; i += BLOCK) {
            long m = Math.min(BLOCK, bytes - i);
            exponential(f, x + i, e, m);
            switch (f) {
                case SIGMOID -> sigmoid(e, y + i, m);
                case SILU, GELU_TANH -> timesSigmoid(x + i, e, y + i, m);
                case TANH -> tanh(x + i, e, y + i, m);
                case ERF -> erf(x + i, 1, e, y + i, m);
                case GELU -> {
                    erf(x + i, SQRT_HALF, e, e, m);
                    gelu(x + i, e, y + i, m);
                }
                default -> throw new AssertionError(f);
            }
        }
    }

    /// `dx = dy f'(x)`.
    static void gradient(UnaryFn f, long x, long dy, long dx, long bytes) {
        long e = Lanes.block(0);
        long erf = Lanes.block(1);
        for (long i = 0; i < bytes; i += BLOCK) {
            long m = Math.min(BLOCK, bytes - i);
            exponential(f, x + i, e, m);
            switch (f) {
                case EXP -> expGradient(e, dy + i, dx + i, m);
                case SIGMOID -> sigmoidGradient(e, 1, dy + i, dx + i, m);
                case TANH -> sigmoidGradient(e, 4, dy + i, dx + i, m); // 1 - tanh(x)^2 = 4 s (1 - s), s = sigmoid(2x)
                case SILU -> siluGradient(x + i, e, dy + i, dx + i, m);
                case GELU_TANH -> geluTanhGradient(x + i, e, dy + i, dx + i, m);
                case GELU -> {
                    erf(x + i, SQRT_HALF, e, erf, m);
                    geluGradient(x + i, e, erf, dy + i, dx + i, m);
                }
                default -> throw new AssertionError(f);
            }
        }
    }

    /// The exponential that f is made of.
    private static void exponential(UnaryFn f, long x, long e, long bytes) {
        switch (f) {
            case EXP -> Exp.whole(x, e, bytes, 1, 0);
            case SIGMOID, SILU -> Exp.whole(x, e, bytes, -1, 0);
            case TANH -> Exp.whole(x, e, bytes, -2, 0);
            case ERF -> {
                square(x, e, bytes);
                Exp.whole(e, e, bytes, -1, 0);
            }
            case GELU -> {
                square(x, e, bytes);
                Exp.whole(e, e, bytes, -0.5f, 0);
            }
            case GELU_TANH -> {
                cubic(x, e, bytes);
                Exp.whole(e, e, bytes, -1, 0);
            }
            default -> throw new AssertionError(f);
        }
    }

    private static void square(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = fromMemorySegment(F, ALL, x + i, ORDER);
            v.mul(v).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void cubic(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = fromMemorySegment(F, ALL, x + i, ORDER);
            v.mul(v).fma(CUBIC, LINEAR).mul(v).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    /// `1 / (1 + e)`.
    private static void sigmoid(long e, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            ONE.div(fromMemorySegment(F, ALL, e + i, ORDER).add(ONE)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    /// `x / (1 + e)`.
    private static void timesSigmoid(long x, long e, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, x + i, ORDER)
                    .div(fromMemorySegment(F, ALL, e + i, ORDER).add(ONE)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    /// `2 / (1 + e) - 1`, near zero the polynomial.
    private static void tanh(long x, long e, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = fromMemorySegment(F, ALL, x + i, ORDER);
            FloatVector u = v.mul(v);
            FloatVector near = T11.fma(u, T9).fma(u, T7).fma(u, T5).fma(u, T3).mul(u).fma(v, v);
            TWO.div(fromMemorySegment(F, ALL, e + i, ORDER).add(ONE)).sub(ONE)
                    .blend(near, v.abs().compare(LT, TANH_NEAR)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    /// `erf(x scale)` with `e = exp(-(x scale)^2)`.
    private static void erf(long x, float scale, long e, long y, long bytes) {
        FloatVector s = broadcast(F, scale);
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = fromMemorySegment(F, ALL, x + i, ORDER).mul(s);
            FloatVector u = v.mul(v);
            FloatVector near = A6.fma(u, A5).fma(u, A4).fma(u, A3).fma(u, A2).fma(u, A1).fma(u, A0).mul(v);
            FloatVector a = v.abs();
            FloatVector t = ONE.div(a.fma(HALF, ONE));
            FloatVector erfc = B5.fma(t, B4).fma(t, B3).fma(t, B2).fma(t, B1).fma(t, B0).mul(t)
                    .mul(fromMemorySegment(F, ALL, e + i, ORDER));
            FloatVector far = ONE.sub(erfc);
            far.blend(erfc.sub(ONE), v.compare(LT, ZERO)).blend(near, a.compare(LT, ONE))
                    .intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    /// `x (1 + erf) / 2`.
    private static void gelu(long x, long erf, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, erf + i, ORDER).fma(HALF, HALF)
                    .mul(fromMemorySegment(F, ALL, x + i, ORDER)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    /// `(1 + erf) / 2 + x e / sqrt(2 pi)`.
    private static void geluGradient(long x, long e, long erf, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector density = fromMemorySegment(F, ALL, e + i, ORDER).mul(INV_SQRT_2_PI);
            fromMemorySegment(F, ALL, x + i, ORDER)
                    .fma(density, fromMemorySegment(F, ALL, erf + i, ORDER).fma(HALF, HALF))
                    .mul(fromMemorySegment(F, ALL, dy + i, ORDER)).intoMemorySegment(ALL, dx + i, ORDER);
        }
    }

    private static void expGradient(long e, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, e + i, ORDER)
                    .mul(fromMemorySegment(F, ALL, dy + i, ORDER)).intoMemorySegment(ALL, dx + i, ORDER);
        }
    }

    /// `factor s (1 - s)`.
    private static void sigmoidGradient(long e, float factor, long dy, long dx, long bytes) {
        FloatVector scale = broadcast(F, factor);
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector s = ONE.div(fromMemorySegment(F, ALL, e + i, ORDER).add(ONE));
            s.mul(ONE.sub(s)).mul(scale)
                    .mul(fromMemorySegment(F, ALL, dy + i, ORDER)).intoMemorySegment(ALL, dx + i, ORDER);
        }
    }

    /// `s (1 + x (1 - s))`.
    private static void siluGradient(long x, long e, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector s = ONE.div(fromMemorySegment(F, ALL, e + i, ORDER).add(ONE));
            ONE.sub(s).fma(fromMemorySegment(F, ALL, x + i, ORDER), ONE).mul(s)
                    .mul(fromMemorySegment(F, ALL, dy + i, ORDER)).intoMemorySegment(ALL, dx + i, ORDER);
        }
    }

    /// `s + x s (1 - s) u'`. Far out s is 0 or 1, and 0 times a u' that overflows would be NaN.
    private static void geluTanhGradient(long x, long e, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = fromMemorySegment(F, ALL, x + i, ORDER);
            FloatVector s = ONE.div(fromMemorySegment(F, ALL, e + i, ORDER).add(ONE));
            v.mul(v).fma(CUBIC_SLOPE, LINEAR).mul(v).mul(s).mul(ONE.sub(s))
                    .blend(ZERO, v.abs().compare(GT, FAR)).add(s)
                    .mul(fromMemorySegment(F, ALL, dy + i, ORDER)).intoMemorySegment(ALL, dx + i, ORDER);
        }
    }

    /// `gate / (1 + exp(-gate)) up`.
    static void swiglu(long gate, long up, long y, long bytes) {
        long e = Lanes.block(0);
        for (long i = 0; i < bytes; i += BLOCK) {
            long m = Math.min(BLOCK, bytes - i);
            Exp.whole(gate + i, e, m, -1, 0);
            gated(gate + i, e, up + i, y + i, m);
        }
    }

    private static void gated(long gate, long e, long up, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, gate + i, ORDER).div(fromMemorySegment(F, ALL, e + i, ORDER).add(ONE))
                    .mul(fromMemorySegment(F, ALL, up + i, ORDER)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    static void swigluGradient(long gate, long up, long dy, long dgate, long dup, long bytes) {
        long e = Lanes.block(0);
        for (long i = 0; i < bytes; i += BLOCK) {
            long m = Math.min(BLOCK, bytes - i);
            Exp.whole(gate + i, e, m, -1, 0);
            gatedGradient(gate + i, e, up + i, dy + i, dgate + i, dup + i, m);
        }
    }

    /// `dup = dy gate s`, `dgate = dy up s (1 + gate (1 - s))`.
    private static void gatedGradient(long gate, long e, long up, long dy, long dgate, long dup, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector g = fromMemorySegment(F, ALL, gate + i, ORDER);
            FloatVector s = ONE.div(fromMemorySegment(F, ALL, e + i, ORDER).add(ONE));
            FloatVector ds = fromMemorySegment(F, ALL, dy + i, ORDER).mul(s);
            FloatVector du = fromMemorySegment(F, ALL, up + i, ORDER).mul(ds);
            ds.mul(g).intoMemorySegment(ALL, dup + i, ORDER);
            ONE.sub(s).fma(g, ONE).mul(du).intoMemorySegment(ALL, dgate + i, ORDER);
        }
    }
}
