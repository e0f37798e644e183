package dev.deckle.x86;

import static dev.deckle.x86.emit.Value.Comparison.EQUAL;
import static dev.deckle.x86.emit.Value.Comparison.GREATER;
import static dev.deckle.x86.emit.Value.Comparison.LESS;
import static dev.deckle.x86.emit.Value.Comparison.LESS_OR_EQUAL;
import static dev.deckle.x86.emit.Value.Comparison.UNORDERED;

import dev.deckle.kernel.UnaryFn;
import dev.deckle.x86.emit.Value;
import java.util.Optional;

/// Functions of a number and their derivatives, as formulas of what the processor can do.
final class Functions {
    private static final float INFINITY = Float.POSITIVE_INFINITY;
    private static final float LOG2_E = (float) (1 / Math.log(2));
    /// ln 2 in two parts; the first has 12 bits, so that its product with an exponent is exact.
    private static final float LN_2_HIGH = 0.693115234375f;
    private static final float LN_2_LOW = 3.194618494528623e-5f;
    /// 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits.
    private static final float ROUND = 0x1.8p23f;

    private Functions() {}

    /// `e^x = 2^n e^r` with n the integer nearest to x / ln 2, so |r| <= ln(2) / 2, where a polynomial (minimax, fitted
    /// for this project) is within 3e-9. The error is below 1 unit in the last place. Where the result would come near
    /// the subnormal numbers, below x = -86.9, it is 0: they are slow on some machines and nothing to a softmax.
    static Value exp(Value x) {
        Value t = x.fma(LOG2_E, ROUND);
        Value n = t.minus(ROUND);
        Value r = n.fma(-LN_2_LOW, n.fma(-LN_2_HIGH, x));
        Value q = polynomial(r, 0.49999994f, 0.16666521f, 0.04166839f, 0.008368717f, 0.0013814599f);
        Value p = q.times(r).fma(r, r);
        // 2^(n-1), doubled at the end: 2^128 is no float, but e^88.7 is
        Value half = t.shiftLeft(23).plusBits(Float.floatToRawIntBits(0.5f));
        Value e = p.fma(half, half);
        Value finite = x.is(LESS, -86.9f).choose(Value.of(0), e.plus(e));
        return x.is(GREATER, 89f).choose(Value.of(INFINITY), finite);
    }

    /// `ln x = n ln 2 + ln m` with m in [sqrt(1/2), sqrt(2)), and `ln m = 2 artanh(s)` with `s = (m - 1) / (m + 1)`, a
    /// polynomial of s^2. The error is below 1 unit in the last place.
    static Value log(Value x) {
        int sqrtHalf = Float.floatToRawIntBits((float) Math.sqrt(0.5));
        Value.Condition subnormal = x.is(LESS, Float.MIN_NORMAL);
        Value bits = x.times(subnormal.choose(Value.of(0x1p25f), Value.of(1)));
        Value exponent = bits.minusBits(sqrtHalf).shiftRightSigned(23);
        Value f = bits.minusBits(exponent.shiftLeft(23)).minus(1); // m - 1
        Value n = exponent.toFloat().minus(subnormal.choose(Value.of(25), Value.of(0)));
        Value s = f.over(f.plus(2));
        Value z = s.times(s);
        Value p = polynomial(z, 0.6666666f, 0.40000337f, 0.28537238f, 0.2358357f);
        // 2 s = f - s f, which keeps the digits of f
        Value small = s.fma(z.times(p).minus(f), n.times(LN_2_LOW));
        Value y = n.fma(Value.of(LN_2_HIGH), small.plus(f));
        Value positive = x.is(EQUAL, 0).choose(Value.of(-INFINITY), y);
        Value any = x.is(LESS, 0).choose(Value.of(Float.NaN), positive);
        return x.is(LESS, INFINITY).choose(any, x); // Infinity and NaN
    }

    static Value sigmoid(Value x) {
        return exp(x.negated()).plus(1).reciprocal();
    }

    /// `2 sigmoid(2 x) - 1`, near zero `x + x^3 (...)`.
    private static Value tanh(Value x) {
        Value z = x.times(x);
        Value near = polynomial(z, -0.333333f, 0.13331959f, -0.053786684f, 0.020805385f, -0.005905868f)
                .times(z).fma(x, x);
        Value far = Value.of(2).over(exp(x.times(-2)).plus(1)).minus(1);
        return x.abs().is(LESS, 0.6f).choose(near, far);
    }

    /// The error function: below 1 a polynomial of x^2 times x, above `1 - e^(-x^2) t (...)` with `t = 1 / (1 + x /
    /// 2)`.
    private static Value erf(Value x, Value exponential) {
        Value u = x.times(x);
        Value near = polynomial(u, 1.1283791f, -0.37612626f, 0.112836f, -0.026854444f, 0.0051895357f, -0.0008020842f,
                7.889123e-05f).times(x);
        Value a = x.abs();
        Value t = a.fma(0.5f, 1).reciprocal();
        Value erfc = polynomial(t, 0.2782154f, 0.3187754f, 0.110158995f, 0.41778514f, -0.08505865f, -0.04026958f)
                .times(t).times(exponential);
        Value far = x.is(LESS, 0).choose(erfc.minus(1), Value.of(1).minus(erfc));
        return a.is(LESS, 1).choose(near, far);
    }

    /// `c[0] + c[1] x + c[2] x^2 + ...`
    private static Value polynomial(Value x, float... c) {
        Value p = Value.of(c[c.length - 1]);
        for (int i = c.length - 2; i >= 0; i--) {
            p = p.fma(x, c[i]);
        }
        return p;
    }

    private static final float SQRT_HALF = (float) Math.sqrt(0.5);
    private static final float INV_SQRT_2_PI = (float) (1 / Math.sqrt(2 * Math.PI));
    private static final float TWO_OVER_SQRT_PI = (float) (2 / Math.sqrt(Math.PI));

    // GELU_TANH: (1 + tanh u) / 2 = sigmoid(2 u) with 2 u = x (SLOPE + CUBIC x^2)
    private static final float SLOPE = (float) (2 * Math.sqrt(2 / Math.PI));
    private static final float CUBIC = (float) (2 * Math.sqrt(2 / Math.PI) * 0.044715);
    private static final float CUBIC_SLOPE = (float) (2 * Math.sqrt(2 / Math.PI) * 0.044715 * 3);

    /// f(x), or nothing where it is too rare to have a formula.
    static Optional<Value> of(UnaryFn f, Value x) {
        return Optional.ofNullable(switch (f) {
            case NEG -> x.negated();
            case ABS -> x.abs();
            case SIGN -> sign(x);
            case EXP -> exp(x);
            case LOG -> log(x);
            case SQRT -> x.sqrt();
            case RSQRT -> x.sqrt().reciprocal();
            case RECIPROCAL -> x.reciprocal();
            case TANH -> tanh(x);
            case ERF -> erf(x, exp(x.times(x).negated()));
            case SIGMOID -> sigmoid(x);
            case RELU -> x.is(LESS_OR_EQUAL, 0).choose(Value.of(0), x); // NaN stays
            case SILU -> x.over(exp(x.negated()).plus(1));
            case GELU -> halfOfOnePlus(erf(x.times(SQRT_HALF), density(x))).times(x);
            case GELU_TANH -> x.over(exp(geluTanhArgument(x).negated()).plus(1));
            case SIN, COS, LOG_SIGMOID -> null;
        });
    }

    /// f'(x), or nothing where it is too rare to have a formula.
    static Optional<Value> slope(UnaryFn f, Value x) {
        return Optional.ofNullable(switch (f) {
            case NEG -> Value.of(-1);
            case ABS -> sign(x);
            case SIGN -> Value.of(0);
            case EXP -> exp(x);
            case LOG -> x.reciprocal();
            case SQRT -> Value.of(0.5f).over(x.sqrt());
            case RSQRT -> Value.of(-0.5f).over(x.times(x.sqrt()));
            case RECIPROCAL -> x.reciprocal().times(x.reciprocal()).negated();
            case TANH -> oneMinusSquare(x);
            case ERF -> exp(x.times(x).negated()).times(TWO_OVER_SQRT_PI);
            case SIGMOID -> {
                Value s = sigmoid(x);
                yield s.times(Value.of(1).minus(s));
            }
            case LOG_SIGMOID -> exp(x).plus(1).reciprocal();
            case RELU -> x.is(GREATER, 0).choose(Value.of(1), Value.of(0));
            case SILU -> siluSlope(x, sigmoid(x));
            case GELU -> {
                Value e = density(x);
                yield x.fma(e.times(INV_SQRT_2_PI), halfOfOnePlus(erf(x.times(SQRT_HALF), e)));
            }
            case GELU_TANH -> geluTanhSlope(x);
            case SIN, COS -> null;
        });
    }

    /// The larger number, or NaN where one of them is.
    static Value max(Value a, Value b) {
        return a.is(UNORDERED, b).choose(a.plus(b), a.max(b));
    }

    /// The smaller number, or NaN where one of them is.
    static Value min(Value a, Value b) {
        return a.is(UNORDERED, b).choose(a.plus(b), a.min(b));
    }

    private static Value sign(Value x) {
        return x.is(GREATER, 0).choose(Value.of(1), x.is(LESS, 0).choose(Value.of(-1), x));
    }

    /// `s (1 + x (1 - s))`, with s the sigmoid of x.
    static Value siluSlope(Value x, Value s) {
        return Value.of(1).minus(s).fma(x, 1).times(s);
    }

    /// `1 - tanh(x)^2 = 4 s (1 - s)`, s = sigmoid(2 x).
    private static Value oneMinusSquare(Value x) {
        Value s = sigmoid(x.times(2));
        return s.times(Value.of(1).minus(s)).times(4);
    }

    private static Value halfOfOnePlus(Value x) {
        return x.fma(0.5f, 0.5f);
    }

    /// `e^(-x^2 / 2)`
    private static Value density(Value x) {
        return exp(x.times(x).times(-0.5f));
    }

    private static Value geluTanhArgument(Value x) {
        return x.times(x).fma(CUBIC, SLOPE).times(x);
    }

    /// `s + x s (1 - s) u'`. Far out s is 0 or 1, and 0 times a u' that overflows would be NaN.
    private static Value geluTanhSlope(Value x) {
        Value s = sigmoid(geluTanhArgument(x));
        Value inner = x.times(x).fma(CUBIC_SLOPE, SLOPE).times(x).times(s).times(Value.of(1).minus(s));
        return x.abs().is(GREATER, 100).choose(Value.of(0), inner).plus(s);
    }
}
