package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static dev.deckle.vector.Lanes.pad;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LE;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.ScalarKernels;
import dev.deckle.kernel.UnaryFn;
import dev.deckle.tensor.DType;
import jdk.incubator.vector.FloatVector;

/// Maps of one array, or two, into another. Each function has its own loop, because a loop shared by several would call
/// them through a table and allocate every vector.
final class Elementwise {
    private static final FloatVector ZERO = broadcast(F, 0f);
    private static final FloatVector ONE = broadcast(F, 1f);

    private Elementwise() {}

    // ---- one operand

    static void unary(UnaryFn f, long x, long y, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        wholeUnary(f, x, y, done);
        if (rest > 0) {
            long pad = pad(0, x + done, rest);
            wholeUnary(f, pad, pad, BYTES);
            Native.copy(pad, y + done, 4 * rest);
        }
    }

    private static void wholeUnary(UnaryFn f, long x, long y, long bytes) {
        switch (f) {
            case NEG -> neg(x, y, bytes);
            case ABS -> abs(x, y, bytes);
            case EXP -> Exp.whole(x, y, bytes, 1, 0);
            case LOG -> Log.whole(x, y, bytes);
            case SQRT -> sqrt(x, y, bytes);
            case RSQRT -> rsqrt(x, y, bytes);
            case RECIPROCAL -> reciprocal(x, y, bytes);
            case RELU -> relu(x, y, bytes);
            case TANH, ERF, SIGMOID, SILU, GELU, GELU_TANH -> Activations.map(f, x, y, bytes);
            // rare in training: not worth their lines
            case SIGN, SIN, COS, LOG_SIGMOID -> ScalarKernels.INSTANCE.unary(DType.F32, f, x, y, bytes / 4);
        }
    }

    private static void neg(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, x + i, ORDER).neg().intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void abs(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, x + i, ORDER).abs().intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void sqrt(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, x + i, ORDER).sqrt().intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void rsqrt(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            ONE.div(fromMemorySegment(F, ALL, x + i, ORDER).sqrt()).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void reciprocal(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            ONE.div(fromMemorySegment(F, ALL, x + i, ORDER)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void relu(long x, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector v = fromMemorySegment(F, ALL, x + i, ORDER);
            v.blend(ZERO, v.compare(LE, ZERO)).intoMemorySegment(ALL, y + i, ORDER); // NaN stays
        }
    }

    // ---- the gradient of one operand

    static void unaryGrad(UnaryFn f, long x, long dy, long dx, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        wholeUnaryGrad(f, x, dy, dx, done);
        if (rest > 0) {
            long padDy = pad(1, dy + done, rest);
            wholeUnaryGrad(f, pad(0, x + done, rest), padDy, padDy, BYTES);
            Native.copy(padDy, dx + done, 4 * rest);
        }
    }

    private static void wholeUnaryGrad(UnaryFn f, long x, long dy, long dx, long bytes) {
        switch (f) {
            case RELU -> reluGrad(x, dy, dx, bytes);
            case EXP, TANH, SIGMOID, SILU, GELU, GELU_TANH -> Activations.gradient(f, x, dy, dx, bytes);
            case NEG, ABS, SIGN, LOG, SQRT, RSQRT, RECIPROCAL, SIN, COS, ERF,
                    LOG_SIGMOID -> ScalarKernels.INSTANCE.unaryGrad(DType.F32, f, x, dy, dx, bytes / 4);
        }
    }

    private static void reluGrad(long x, long dy, long dx, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            // a product, so that a zero does not hide a NaN of dy
            ZERO.blend(ONE, fromMemorySegment(F, ALL, x + i, ORDER).compare(GT, ZERO))
                    .mul(fromMemorySegment(F, ALL, dy + i, ORDER)).intoMemorySegment(ALL, dx + i, ORDER);
        }
    }

    // ---- two operands

    static void binary(BinaryFn f, long a, int sa, long b, int sb, long y, long n) {
        if (n == 0) {
            return;
        }
        // one value for all becomes a vector of it that is read again and again: one loop serves all four cases
        long va = sa == 0 ? spread(0, a) : a;
        long vb = sb == 0 ? spread(1, b) : b;
        long rest = n % N;
        long done = 4 * (n - rest);
        wholeBinary(f, va, sa, vb, sb, y, done);
        if (rest > 0) {
            long padY = pad(2);
            wholeBinary(f, sa == 0 ? va : pad(0, a + done, rest), sa, sb == 0 ? vb : pad(1, b + done, rest), sb, padY,
                    BYTES);
            Native.copy(padY, y + done, 4 * rest);
        }
    }

    private static long spread(int which, long from) {
        long pad = pad(which);
        broadcast(F, Native.getFloat(from)).intoMemorySegment(ALL, pad, ORDER);
        return pad;
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
            case EQ, NE, LT, LE, GE,
                    GT -> throw new IllegalArgumentException(f + " is a comparison: its result is BOOL");
        }
    }

    private static void add(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, a + i * sa, ORDER)
                    .add(fromMemorySegment(F, ALL, b + i * sb, ORDER)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void sub(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, a + i * sa, ORDER)
                    .sub(fromMemorySegment(F, ALL, b + i * sb, ORDER)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void mul(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, a + i * sa, ORDER)
                    .mul(fromMemorySegment(F, ALL, b + i * sb, ORDER)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void div(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, a + i * sa, ORDER)
                    .div(fromMemorySegment(F, ALL, b + i * sb, ORDER)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void max(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, a + i * sa, ORDER)
                    .max(fromMemorySegment(F, ALL, b + i * sb, ORDER)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    private static void min(long a, int sa, long b, int sb, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, a + i * sa, ORDER)
                    .min(fromMemorySegment(F, ALL, b + i * sb, ORDER)).intoMemorySegment(ALL, y + i, ORDER);
        }
    }

    static void affine(long x, float mul, float add, long y, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        wholeAffine(x, mul, add, y, done);
        if (rest > 0) {
            long pad = pad(0, x + done, rest);
            wholeAffine(pad, mul, add, pad, BYTES);
            Native.copy(pad, y + done, 4 * rest);
        }
    }

    private static void wholeAffine(long x, float mul, float add, long y, long bytes) {
        FloatVector a = broadcast(F, mul);
        FloatVector b = broadcast(F, add);
        for (long i = 0; i < bytes; i += BYTES) {
            fromMemorySegment(F, ALL, x + i, ORDER).fma(a, b).intoMemorySegment(ALL, y + i, ORDER);
        }
    }
}
