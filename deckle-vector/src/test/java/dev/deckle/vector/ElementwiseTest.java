package dev.deckle.vector;

import static dev.deckle.tensor.DType.F32;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.UnaryFn;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Maps against their definition. The tolerance is 4 ulp of the result; functions with a difference of near numbers in
/// them also get the rounding of that difference.
class ElementwiseTest {
    private static final float[] EDGES = {
        0f, -0f, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN, 1000, -1000, Float.MIN_VALUE,
        -Float.MIN_VALUE, Float.MIN_NORMAL, -1e-39f, Float.MAX_VALUE, -Float.MAX_VALUE, 1, -1, 88, 88.7228f, 88.8f,
        89.5f,
        -86.8f, -86.95f, -88, -104, 0.6f, -0.6f, 0.59999f, 1e-20f, -1e-20f, 17, 9.1f, -9.1f, 0.7071067f, 0.70710684f
    };
    private static final double ULP = Math.ulp(1f);

    private static double absolute(UnaryFn f) {
        return switch (f) {
            case EXP, SIGMOID -> 0x1p-125; // below it exp gives 0
            case SIN, COS, NEG, ABS, SIGN, LOG, SQRT, RSQRT, RECIPROCAL, TANH, ERF, LOG_SIGMOID, RELU -> 0;
            case SILU, GELU, GELU_TANH -> 4 * ULP; // 1 + erf(x) near -1
        };
    }

    private static double relative(UnaryFn f) {
        return switch (f) {
            // a rounding of the argument of exp is multiplied by the argument
            case GELU_TANH, SILU, SIGMOID, GELU -> 32 * ULP;
            case NEG, ABS, SIGN, EXP, LOG, SQRT, RSQRT, RECIPROCAL, SIN, COS, TANH, ERF, LOG_SIGMOID, RELU -> 4 * ULP;
        };
    }

    private static float[] argument(UnaryFn f, int n) {
        float[] x = Twin.normal(n, f.ordinal(), 4);
        for (int i = 0; i < n && (f == UnaryFn.LOG || f == UnaryFn.SQRT || f == UnaryFn.RSQRT); i++) {
            x[i] = Math.abs(x[i]);
        }
        return x;
    }

    @ParameterizedTest
    @EnumSource
    void unary(UnaryFn f) {
        for (int n : Twin.SIZES) {
            check(f, argument(f, n));
        }
        check(f, EDGES);
    }

    private static void check(UnaryFn f, float[] values) {
        try (Twin twin = new Twin()) {
            var x = twin.array(values);
            var y = twin.result(values.length);
            twin.run(k -> k.unary(F32, f, x.at(), y.at(), values.length));
            twin.same(y, absolute(f), relative(f), f + " of " + values.length);
            twin.run(k -> k.unary(F32, f, x.at(), x.at(), values.length)); // in place
            twin.same(x, absolute(f), relative(f), f + " in place");
        }
    }

    @ParameterizedTest
    @EnumSource
    void unaryGrad(UnaryFn f) {
        for (int n : Twin.SIZES) {
            checkGrad(f, argument(f, n), Twin.normal(n, 5));
        }
        float[] edges = EDGES.clone();
        float[] ones = new float[edges.length];
        Arrays.fill(ones, 1);
        if (f == UnaryFn.GELU_TANH) {
            edges[2] = edges[3] = 0; // at infinity the definition is NaN, and the kernel is the limit
        }
        checkGrad(f, edges, ones);
    }

    private static void checkGrad(UnaryFn f, float[] values, float[] dys) {
        int n = values.length;
        try (Twin twin = new Twin()) {
            var x = twin.array(values);
            var dy = twin.array(dys);
            var dx = twin.result(n);
            twin.run(k -> k.unaryGrad(F32, f, x.at(), dy.at(), dx.at(), n));
            twin.same(dx, 1e-6, 32 * ULP, f + " gradient of " + n);
            twin.run(k -> k.unaryGrad(F32, f, x.at(), dy.at(), dy.at(), n));
            twin.same(dy, 1e-6, 32 * ULP, f + " gradient in place");
        }
    }

    @ParameterizedTest
    @EnumSource
    void binary(BinaryFn f) {
        if (f.comparison()) {
            assertThrows(IllegalArgumentException.class, () -> binary(f, EDGES, 1, EDGES, 1));
            return;
        }
        for (int n : Twin.SIZES) {
            for (int strides = 0; strides < 4; strides++) {
                int sa = strides & 1;
                int sb = strides >> 1;
                binary(f, Twin.normal(sa == 0 ? 1 : n, 1), sa, Twin.normal(sb == 0 ? 1 : n, 2), sb, n);
            }
        }
        for (float edge : EDGES) {
            binary(f, EDGES, 1, new float[] {edge}, 0);
        }
    }

    private static void binary(BinaryFn f, float[] as, int sa, float[] bs, int sb) {
        binary(f, as, sa, bs, sb, as.length);
    }

    private static void binary(BinaryFn f, float[] as, int sa, float[] bs, int sb, int n) {
        try (Twin twin = new Twin()) {
            var a = twin.array(as);
            var b = twin.array(bs);
            var y = twin.result(n);
            twin.run(k -> k.binary(F32, f, a.at(), sa, b.at(), sb, y.at(), n));
            // computed in double and rounded once equals computed in float
            twin.same(y, 0, 0, f + " of " + n + " with strides " + sa + sb);
        }
    }

    @Test
    void affine() {
        for (int n : Twin.SIZES) {
            try (Twin twin = new Twin()) {
                var x = twin.array(Twin.normal(n, 1));
                var y = twin.result(n);
                twin.run(k -> k.affine(F32, x.at(), 1.7, -0.3, y.at(), n));
                twin.same(y, 2 * ULP, 2 * ULP, "affine of " + n);
            }
        }
    }

    @Test
    void swiglu() {
        for (int n : Twin.SIZES) {
            try (Twin twin = new Twin()) {
                var gate = twin.array(Twin.normal(n, 1, 3));
                var up = twin.array(Twin.normal(n, 2));
                var dy = twin.array(Twin.normal(n, 3));
                var y = twin.result(n);
                var dgate = twin.result(n);
                var dup = twin.result(n);
                twin.run(k -> {
                    k.swiglu(F32, gate.at(), up.at(), y.at(), n);
                    k.swigluGrad(F32, gate.at(), up.at(), dy.at(), dgate.at(), dup.at(), n);
                });
                twin.same(y, 1e-7, 8 * ULP, "swiglu of " + n);
                twin.same(dgate, 1e-6, 8 * ULP, "swiglu gate gradient of " + n);
                twin.same(dup, 1e-7, 8 * ULP, "swiglu up gradient of " + n);
                twin.run(k -> k.swigluGrad(F32, gate.at(), up.at(), dy.at(), gate.at(), up.at(), n));
                twin.same(gate, 1e-6, 8 * ULP, "swiglu gate gradient in place");
                twin.same(up, 1e-7, 8 * ULP, "swiglu up gradient in place");
            }
        }
    }

    @Test
    void adamw() {
        for (int n : Twin.SIZES) {
            try (Twin twin = new Twin()) {
                var p = twin.array(Twin.normal(n, 1));
                var g = twin.array(Twin.normal(n, 2));
                var m = twin.array(new float[n]);
                var v = twin.array(new float[n]);
                for (int step = 1; step <= 3; step++) {
                    double c1 = 1 - Math.pow(0.9, step);
                    double c2 = 1 - Math.pow(0.999, step);
                    twin.run(k -> k.adamw(
                            F32, p.at(), g.at(), m.at(), v.at(), n, 0.7, 0.05, 0.9, 0.999, 1e-8, 0.1, c1, c2));
                }
                twin.same(p, 2e-7, 8 * ULP, "adamw parameters of " + n);
                twin.same(m, 1e-8, 8 * ULP, "adamw m of " + n);
                twin.same(v, 1e-8, 8 * ULP, "adamw v of " + n);
            }
        }
    }
}
