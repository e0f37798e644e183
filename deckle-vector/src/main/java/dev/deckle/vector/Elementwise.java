package dev.deckle.vector;

import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.all;
import static dev.deckle.vector.Lanes.load;
import static dev.deckle.vector.Lanes.store;
import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LE;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.ScalarKernels;
import dev.deckle.kernel.UnaryFn;
import dev.deckle.tensor.DType;

/// Maps of one array, or two, into another. Each function has its own loop over whole vectors, because a loop shared by
/// several functions would call them through a table and allocate every vector. What is left over, less than a vector,
/// goes through the same loop on a copy.
final class Elementwise {
    private Elementwise() {}

    // ---- one operand

    static void unary(UnaryFn f, long x, long y, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        wholeUnary(f, x, y, done);
        if (rest > 0) {
            long pad = Pad.in(0, x + done, rest);
            wholeUnary(f, pad, pad, BYTES);
            Native.copy(pad, y + done, 4 * rest);
        }
    }

    /// `bytes` is a multiple of [Lanes#BYTES].
    private static void wholeUnary(UnaryFn f, long x, long y, long bytes) {
        switch (f) {
            case NEG -> neg(x, y, bytes);
            case ABS -> abs(x, y, bytes);
            case EXP -> exp(x, y, bytes);
            case LOG -> log(x, y, bytes);
            case SQRT -> sqrt(x, y, bytes);
            case RSQRT -> rsqrt(x, y, bytes);
            case RECIPROCAL -> reciprocal(x, y, bytes);
            case TANH -> tanh(x, y, bytes);
            case ERF -> erf(x, y, bytes);
            case SIGMOID -> sigmoid(x, y, bytes);
            case RELU -> relu(x, y, bytes);
            case SILU -> silu(x, y, bytes);
            case GELU -> Gelu.gelu(x, y, bytes);
            case GELU_TANH -> Gelu.geluTanh(x, y, bytes);
            // rare in training: not worth their lines
            case SIGN, SIN, COS, LOG_SIGMOID -> ScalarKernels.INSTANCE.unary(DType.F32, f, x, y, bytes / 4);
        }
    }

    private static void neg(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(x + i).neg(), y + i);
        }
    }

    private static void abs(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(x + i).lanewise(ABS), y + i);
        }
    }

    private static void exp(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(VectorMath.exp(load(x + i)), y + i);
        }
    }

    private static void log(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(VectorMath.log(load(x + i)), y + i);
        }
    }

    private static void sqrt(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(x + i).sqrt(), y + i);
        }
    }

    private static void rsqrt(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(all(1f).div(load(x + i).sqrt()), y + i);
        }
    }

    private static void reciprocal(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(all(1f).div(load(x + i)), y + i);
        }
    }

    private static void tanh(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(VectorMath.tanh(load(x + i)), y + i);
        }
    }

    private static void erf(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(VectorMath.erf(load(x + i)), y + i);
        }
    }

    private static void sigmoid(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(VectorMath.sigmoid(load(x + i)), y + i);
        }
    }

    private static void relu(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            var v = load(x + i);
            store(v.blend(0f, v.compare(LE, 0f)), y + i); // NaN stays
        }
    }

    private static void silu(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            var v = load(x + i);
            store(v.mul(VectorMath.sigmoid(v)), y + i);
        }
    }

    // ---- the gradient of one operand

    static void unaryGrad(UnaryFn f, long x, long dy, long dx, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        wholeUnaryGrad(f, x, dy, dx, done);
        if (rest > 0) {
            long padX = Pad.in(0, x + done, rest);
            long padDy = Pad.in(1, dy + done, rest);
            wholeUnaryGrad(f, padX, padDy, padDy, BYTES);
            Native.copy(padDy, dx + done, 4 * rest);
        }
    }

    private static void wholeUnaryGrad(UnaryFn f, long x, long dy, long dx, long bytes) {
        switch (f) {
            case EXP -> expGrad(x, dy, dx, bytes);
            case TANH -> tanhGrad(x, dy, dx, bytes);
            case SIGMOID -> sigmoidGrad(x, dy, dx, bytes);
            case RELU -> reluGrad(x, dy, dx, bytes);
            case SILU -> siluGrad(x, dy, dx, bytes);
            case GELU -> Gelu.geluGrad(x, dy, dx, bytes);
            case GELU_TANH -> Gelu.geluTanhGrad(x, dy, dx, bytes);
            case NEG, ABS, SIGN, LOG, SQRT, RSQRT, RECIPROCAL, SIN, COS, ERF, LOG_SIGMOID ->
                ScalarKernels.INSTANCE.unaryGrad(DType.F32, f, x, dy, dx, bytes / 4);
        }
    }

    private static void expGrad(long x, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(dy + i).mul(VectorMath.exp(load(x + i))), dx + i);
        }
    }

    /// `1 - tanh^2 = 4 s (1 - s)` with s = sigmoid(2x), and 1 - s = sigmoid(-2x) loses no digits.
    private static void tanhGrad(long x, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(dy + i).mul(Gelu.sigmoidSlope(load(x + i).mul(2f))).mul(4f), dx + i);
        }
    }

    private static void sigmoidGrad(long x, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(dy + i).mul(Gelu.sigmoidSlope(load(x + i))), dx + i);
        }
    }

    private static void reluGrad(long x, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            // as a product: a NaN or an infinity of dy is not hidden by a zero
            var slope = all(0f).blend(1f, load(x + i).compare(GT, 0f));
            store(load(dy + i).mul(slope), dx + i);
        }
    }

    private static void siluGrad(long x, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(dy + i).mul(SwiGlu.siluSlope(load(x + i))), dx + i);
        }
    }

    // ---- two operands

    static void binary(BinaryFn f, long a, int sa, long b, int sb, long y, long n) {
        if (n == 0) {
            return;
        }
        // one value for all becomes a vector of it, read again and again: one loop serves all four cases
        long va = sa == 0 ? Pad.spread(0, a) : a;
        long vb = sb == 0 ? Pad.spread(1, b) : b;
        long rest = n % N;
        long done = 4 * (n - rest);
        wholeBinary(f, va, sa, vb, sb, y, done);
        if (rest > 0) {
            long padA = sa == 0 ? va : Pad.in(0, a + done, rest);
            long padB = sb == 0 ? vb : Pad.in(1, b + done, rest);
            long padY = Pad.at(2);
            wholeBinary(f, padA, sa, padB, sb, padY, BYTES);
            Native.copy(padY, y + done, 4 * rest);
        }
    }

    private static void wholeBinary(BinaryFn f, long a, int sa, long b, int sb, long y, long bytes) {
        switch (f) {
            case ADD -> add(a, sa, b, sb, y, bytes);
            case SUB -> sub(a, sa, b, sb, y, bytes);
            case MUL -> mul(a, sa, b, sb, y, bytes);
            case DIV -> div(a, sa, b, sb, y, bytes);
            case MAX -> max(a, sa, b, sb, y, bytes);
            case MIN -> min(a, sa, b, sb, y, bytes);
            case POW -> ScalarKernels.INSTANCE.binary(DType.F32, f, a, sa, b, sb, y, bytes / 4);
            case EQ, NE, LT, LE, GE, GT -> throw new IllegalArgumentException(f + " is a comparison: its result is BOOL");
        }
    }

    private static void add(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(a + i * sa).add(load(b + i * sb)), y + i);
        }
    }

    private static void sub(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(a + i * sa).sub(load(b + i * sb)), y + i);
        }
    }

    private static void mul(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(a + i * sa).mul(load(b + i * sb)), y + i);
        }
    }

    private static void div(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(a + i * sa).div(load(b + i * sb)), y + i);
        }
    }

    private static void max(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(a + i * sa).max(load(b + i * sb)), y + i);
        }
    }

    private static void min(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(a + i * sa).min(load(b + i * sb)), y + i);
        }
    }

    static void affine(long x, float mul, float add, long y, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        wholeAffine(x, mul, add, y, done);
        if (rest > 0) {
            long pad = Pad.in(0, x + done, rest);
            wholeAffine(pad, mul, add, pad, BYTES);
            Native.copy(pad, y + done, 4 * rest);
        }
    }

    private static void wholeAffine(long x, float mul, float add, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            store(load(x + i).fma(mul, add), y + i);
        }
    }
}
