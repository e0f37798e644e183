package dev.deckle.kernel;

import static dev.deckle.tensor.DType.F32;
import static dev.deckle.tensor.DType.F64;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.tensor.DType;
import java.lang.foreign.Arena;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The definition itself, against numbers worked out elsewhere (by PyTorch 2.13 in float64 where ten digits are given)
/// and, for gradients, against finite differences.
class ScalarKernelsTest {
    private static final ScalarKernels K = ScalarKernels.INSTANCE;
    private static final double[] ROWS = {1, 2, 3, 4, -1, 0, 0.5, 2};

    private final Arena arena = Arena.ofConfined();

    @AfterEach
    void close() {
        arena.close();
    }

    private long array(DType t, double... values) {
        long address = arena.allocate((long) t.bytes() * Math.max(values.length, 1), 64).address();
        for (int i = 0; i < values.length; i++) {
            ScalarKernels.set(t, address, i, values[i]);
        }
        return address;
    }

    private long array(double... values) {
        return array(F64, values);
    }

    private static double[] read(DType t, long address, int n) {
        double[] values = new double[n];
        for (int i = 0; i < n; i++) {
            values[i] = ScalarKernels.get(t, address, i);
        }
        return values;
    }

    private static double[] read(long address, int n) {
        return read(F64, address, n);
    }

    private long longs(long... values) {
        long address = arena.allocate(8L * values.length, 8).address();
        for (int i = 0; i < values.length; i++) {
            Native.setLong(address + 8L * i, values[i]);
        }
        return address;
    }

    private static double[] normal(int n, long seed) {
        return new Random(seed).doubles(n, -2, 2).toArray();
    }

    // ---- forward, known numbers

    @Test
    void layerNorm() {
        long y = array(new double[8]);
        long mean = array(0, 0);
        long rstd = array(0, 0);
        K.layerNorm(F64, array(ROWS), array(1, 1, 1, 1), array(0, 0, 0, 0), y, mean, rstd, 2, 4, 1e-5);
        assertArrayEquals(new double[] {-1.34163542, -.4472118067, .4472118067, 1.34163542,
            -1.270165173, -.3464086835, .1154695612, 1.501104295}, read(y, 8), 1e-9);
        assertArrayEquals(new double[] {2.5, 0.375}, read(mean, 2));
    }

    @Test
    void rmsNorm() {
        long y = array(new double[8]);
        K.rmsNorm(F64, array(ROWS), array(1, 1, 1, 1), y, array(0, 0), 2, 4, 1e-6);
        assertArrayEquals(new double[] {.3651483473, .7302966947, 1.095445042, 1.460593389,
            -.8728712284, 0, .4364356142, 1.745742457}, read(y, 8), 1e-9);
    }

    @Test
    void softmaxAndItsLogarithm() {
        long x = array(1, 2, 3, 4);
        long y = array(new double[4]);
        K.softmax(F64, false, x, y, 1, 4);
        assertArrayEquals(
                new double[] {.03205860328, .08714431874, .2368828181, .6439142599}, read(y, 4), 1e-10);
        K.softmax(F64, true, x, y, 1, 4);
        double lse = 4.440189698561196;
        assertArrayEquals(new double[] {1 - lse, 2 - lse, 3 - lse, 4 - lse}, read(y, 4), 1e-14);
    }

    @Test
    void activations() {
        double[] x = {-2, -1, 0, 1, 2};
        assertMap(UnaryFn.SILU, x, -.238405844, -.2689414214, 0, .7310585786, 1.761594156);
        assertMap(UnaryFn.GELU, x, -.0455002639, -.1586552539, 0, .8413447461, 1.954499736);
        assertMap(UnaryFn.GELU_TANH, x, -.04540230591, -.1588080094, 0, .8411919906, 1.954597694);
    }

    private void assertMap(UnaryFn f, double[] x, double... expected) {
        long y = array(new double[x.length]);
        K.unary(F64, f, array(x), y, x.length);
        assertArrayEquals(expected, read(y, x.length), 1e-9, f.toString());
    }

    @Test
    void crossEntropyAndIgnoredRows() {
        long logits = array(2, 1, .1, .5, 2.5, .3, 1, 1, 1);
        long loss = array(new double[3]);
        long lse = array(new double[3]);
        K.crossEntropy(F64, logits, longs(0, 1, 2), loss, lse, 3, 3, -100);
        double[] losses = read(loss, 3);
        assertEquals(.5785639426554937, (losses[0] + losses[1] + losses[2]) / 3, 1e-15);
        assertEquals(1 + Math.log(3), read(lse, 3)[2], 1e-15);

        K.crossEntropy(F64, logits, longs(0, 1, -100), loss, lse, 3, 3, -100);
        assertEquals(0, read(loss, 3)[2]);
        long d = array(new double[9]);
        K.crossEntropyGrad(F64, logits, longs(0, 1, -100), lse, array(1, 1, 1), d, 3, 3, -100);
        assertArrayEquals(new double[3], java.util.Arrays.copyOfRange(read(d, 9), 6, 9));
    }

    @Test
    void adamw() {
        long p = array(1, -2);
        long m = array(0, 0);
        long v = array(0, 0);
        double[][] grads = {{.5, -1}, {.1, .2}, {-.3, .4}};
        for (int step = 1; step <= 3; step++) {
            double[] doubled = {2 * grads[step - 1][0], 2 * grads[step - 1][1]}; // undone by the scale
            K.adamw(F64, p, array(doubled), m, v, 2, 0.5, .1, .9, .999, 1e-8, .01,
                    1 - Math.pow(.9, step), 1 - Math.pow(.999, step));
        }
        assertArrayEquals(new double[] {.7959078149, -1.829730435}, read(p, 2), 1e-9);
    }

    @Test
    void matmulInAllLayouts() {
        // (2, 3) by (3, 2)
        double[] expected = {58, 64, 139, 154};
        long a = array(1, 2, 3, 4, 5, 6);
        long at = array(1, 4, 2, 5, 3, 6);
        long b = array(7, 8, 9, 10, 11, 12);
        long bt = array(7, 9, 11, 8, 10, 12);
        long c = array(new double[4]);
        K.matmul(F64, 2, 2, 3, a, 3, 1, b, 2, 1, c, 2, false, Team.serial());
        assertArrayEquals(expected, read(c, 4));
        K.matmul(F64, 2, 2, 3, at, 1, 2, bt, 1, 3, c, 2, false, Team.serial());
        assertArrayEquals(expected, read(c, 4));
        K.matmul(F64, 2, 2, 3, a, 3, 1, bt, 1, 3, c, 2, true, Team.serial());
        assertArrayEquals(new double[] {116, 128, 278, 308}, read(c, 4));
        K.matmul(F64, 2, 2, 0, a, 3, 1, b, 2, 1, c, 2, true, Team.serial());
        assertArrayEquals(new double[] {116, 128, 278, 308}, read(c, 4));
        K.matmul(F64, 2, 2, 0, a, 3, 1, b, 2, 1, c, 2, false, Team.serial());
        assertArrayEquals(new double[4], read(c, 4));
    }

    /// Both operands are rounded, 1 + 2^-8 to 1 and 1 + 3 2^-8 to 1 + 2^-6, and the sum, which has more bits, is not.
    @Test
    void productsOfBf16() {
        long a = array(F32, 1.00390625, 256, 1.01171875, 1);
        long b = array(F32, 1.01171875, 1);
        long half = arena.allocate(4, 8).address();
        K.narrow(b, half, 2, false);
        for (boolean rounded : new boolean[] {false, true}) {
            long c = array(F32, 0, 0, 7);
            for (int i = 0; i < 2; i++) { // the second time added
                if (rounded) {
                    K.matmulRounded(F32, F32, 2, 1, 2, a, 1, 2, b, 1, 2, c, 1, i > 0, Team.serial()); // A transposed
                } else {
                    K.matmulRounded(F32, DType.BF16, 2, 1, 2, a, 1, 2, half, 1, 2, c, 1, i > 0, Team.serial());
                }
            }
            assertArrayEquals(new double[] {2 * (1.015625 + 1.015625), 2 * (256 * 1.015625 + 1), 7}, read(F32, c, 3));
        }
    }

    @Test
    void floatsToBf16AndBack() {
        long x = array(F32, 1.00390625, -1.01171875, Double.NaN, 3.4e38, 0.1);
        long y = arena.allocate(10, 2).address();
        long z = array(F32, 1, 1, 1, 1, 1);
        K.narrow(x, y, 5, false);
        K.widen(y, z, 5);
        assertArrayEquals(new double[] {1, -1.015625, Double.NaN, Double.POSITIVE_INFINITY, 0.10009765625},
                read(F32, z, 5));
        K.narrow(x, y, 2, true); // 2 + 2^-8 and -2 - 7 2^-8 before they are rounded
        K.widen(y, z, 5);
        assertArrayEquals(new double[] {2, -2.03125, Double.NaN, Double.POSITIVE_INFINITY, 0.10009765625},
                read(F32, z, 5));
    }

    @Test
    void reduceAlongTheMiddle() {
        long x = array(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, Double.NaN); // (2, 3, 2)
        long y = array(new double[4]);
        K.reduce(F64, ReduceFn.SUM, x, y, 2, 3, 2);
        assertArrayEquals(new double[] {9, 12, 27, Double.NaN}, read(y, 4));
        K.reduce(F64, ReduceFn.MAX, x, y, 2, 3, 2);
        assertArrayEquals(new double[] {5, 6, 11, Double.NaN}, read(y, 4));
        K.reduce(F64, ReduceFn.MAX, x, y, 1, 0, 2);
        assertEquals(Double.NEGATIVE_INFINITY, read(y, 1)[0]);
    }

    @Test
    void ropeTurnsAndTurnsBack() {
        double[] x = {1, 2, 3, 4};
        long cos = array(Math.cos(0.3), Math.cos(0.7));
        long sin = array(Math.sin(0.3), Math.sin(0.7));
        long y = array(new double[4]);
        for (boolean interleaved : new boolean[] {false, true}) {
            K.rope(F64, array(x), 4, y, 4, cos, sin, 2, 1, 4, interleaved, false);
            int second = interleaved ? 1 : 2;
            assertEquals(Math.cos(0.3) - Math.sin(0.3) * x[second], read(y, 4)[0], 1e-15);
            assertEquals(Math.cos(0.3) * x[second] + Math.sin(0.3), read(y, 4)[second], 1e-15);
            K.rope(F64, y, 4, y, 4, cos, sin, 2, 1, 4, interleaved, true);
            assertArrayEquals(x, read(y, 4), 1e-15);
        }
    }

    @Test
    void affineBinaryAndSwiglu() {
        long y = array(new double[2]);
        K.affine(F64, array(1, -2), 3, 0.5, y, 2);
        assertArrayEquals(new double[] {3.5, -5.5}, read(y, 2));
        K.binary(F64, BinaryFn.SUB, array(5), 0, array(1, 2), 1, y, 2);
        assertArrayEquals(new double[] {4, 3}, read(y, 2));
        K.binary(F64, BinaryFn.POW, array(2, 3), 1, array(2), 0, y, 2);
        assertArrayEquals(new double[] {4, 9}, read(y, 2));
        K.swiglu(F64, array(1, -2), array(2, 10), y, 2);
        assertArrayEquals(new double[] {2 * .7310585786, -2.38405844}, read(y, 2), 1e-8);
    }

    @Test
    void attentionTilesInTurnAreOneSoftmax() {
        double[] scores = {0.5, -1, 2, 0.25, 1, 3};
        double[] values = {1, 2, 3, 4, 5, 6};
        long m = array(Double.NEGATIVE_INFINITY);
        long l = array(0);
        long o = array(0);
        for (int j = 0; j < 6; j += 2) {
            long s = array(scores[j], scores[j + 1]);
            K.attentionTile(F64, s, 2, 1, 2, 2, 0, 0, 0.7, m, l, o, 1, 1);
            K.matmul(F64, 1, 1, 2, s, 2, 1, array(values[j], values[j + 1]), 1, 1, o, 1, true, Team.serial());
        }
        double sum = 0;
        double out = 0;
        for (int j = 0; j < 6; j++) {
            sum += Math.exp(0.7 * scores[j]);
            out += Math.exp(0.7 * scores[j]) * values[j];
        }
        assertEquals(0.7 * 3, read(m, 1)[0], 1e-15);
        assertEquals(Math.log(sum), read(m, 1)[0] + Math.log(read(l, 1)[0]), 1e-15);
        assertEquals(out / sum, read(o, 1)[0] / read(l, 1)[0], 1e-14);
    }

    @Test
    void attentionTileRowsThatSeeNothing() {
        long s = array(1, 2, 3, 4);
        double none = Double.NEGATIVE_INFINITY;
        long m = array(none, none);
        long l = array(0, 0);
        K.attentionTile(F64, s, 2, 2, 2, 0, 0, 0, 1, m, l, 0, 0, 0); // row 0 sees 0 columns, row 1 sees 1
        assertArrayEquals(new double[] {0, 0, 1, 0}, read(s, 4));
        assertArrayEquals(new double[] {none, 3}, read(m, 2));
        assertArrayEquals(new double[] {0, 1}, read(l, 2));
        long dp = array(5, 6, 7, 8);
        K.attentionTileGrad(F64, s, dp, 2, 2, 2, 9, array(none, 0), 0, 1, array(none, 1), array(1, 1));
        assertArrayEquals(new double[] {0, 0, 0, Math.exp(-1)}, read(s, 4), 1e-15);
        assertArrayEquals(new double[] {0, 0, 0, 7 * Math.exp(-1)}, read(dp, 4), 1e-15);
    }

    @Test
    void f32IsRoundedOnceFromDouble() {
        long y = array(F32, 0);
        long third = array(F32, 1 / 3.0, 1 / 3.0, 1 / 3.0);
        K.reduce(F32, ReduceFn.SUM, third, y, 1, 3, 1);
        assertEquals((float) (3 * (double) (float) (1 / 3.0)), read(F32, y, 1)[0]);
        K.unary(F32, UnaryFn.EXP, third, y, 1);
        assertEquals((float) Math.exp((float) (1 / 3.0)), read(F32, y, 1)[0]);
        assertEquals(3e60, K.sumOfSquares(F32, array(F32, 1e30, 1e30, 1e30), 3), 1e54);
    }

    @Test
    void whatIsMissingSaysSo() {
        Kernels none = new Kernels() {
            @Override
            public String name() {
                return "none";
            }

            @Override
            public boolean supports(Family family, DType t) {
                return false;
            }
        };
        var e = assertThrows(UnsupportedOperationException.class, () -> none.affine(F32, 0, 1, 0, 0, 0));
        assertEquals("none has no such kernel: ask supports() first", e.getMessage());
    }

    // ---- gradients, by central differences of the sum of y dy

    @FunctionalInterface
    private interface Forward {
        void run(long x, long y);
    }

    /// The gradient of `sum(y dy)` in each x[i].
    private double[] differences(double[] x, double[] dy, Forward f) {
        double h = 1e-5;
        double[] slopes = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            double[] moved = x.clone();
            moved[i] = x[i] + h;
            double up = weighted(moved, dy, f);
            moved[i] = x[i] - h;
            slopes[i] = (up - weighted(moved, dy, f)) / (2 * h);
        }
        return slopes;
    }

    private double weighted(double[] x, double[] dy, Forward f) {
        long y = array(new double[dy.length]);
        f.run(array(x), y);
        double sum = 0;
        double[] found = read(y, dy.length);
        for (int i = 0; i < dy.length; i++) {
            sum += found[i] * dy[i];
        }
        return sum;
    }

    @ParameterizedTest
    @EnumSource
    void unaryGradient(UnaryFn f) {
        double[] x = {0.3, 1.7, 0.9, 2.2, 0.05};
        double[] dy = normal(5, 2);
        long dx = array(new double[5]);
        for (double sign : new double[] {1, -1}) {
            if (sign < 0 && (f == UnaryFn.LOG || f == UnaryFn.SQRT || f == UnaryFn.RSQRT)) {
                continue;
            }
            double[] at = java.util.Arrays.stream(x).map(v -> v * sign).toArray();
            K.unaryGrad(F64, f, array(at), array(dy), dx, 5);
            double[] expected = differences(at, dy, (in, y) -> K.unary(F64, f, in, y, 5));
            for (int i = 0; i < 5; i++) {
                double tolerance = 2e-4 * Math.max(1e-3, Math.abs(expected[i]));
                assertEquals(expected[i], read(dx, 5)[i], tolerance, f + " at " + at[i]);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void softmaxGradient(boolean log) {
        double[] x = normal(6, 1);
        double[] dy = normal(6, 2);
        long y = array(new double[6]);
        long dx = array(new double[6]);
        K.softmax(F64, log, array(x), y, 2, 3);
        K.softmaxGrad(F64, log, y, array(dy), dx, 2, 3);
        assertArrayEquals(differences(x, dy, (in, out) -> K.softmax(F64, log, in, out, 2, 3)), read(dx, 6), 1e-8);
    }

    @Test
    void rmsNormGradient() {
        double[] x = normal(8, 1);
        double[] w = normal(4, 2);
        double[] dy = normal(8, 3);
        long rstd = array(0, 0);
        long dx = array(5, 5, 5, 5, 5, 5, 5, 5);
        long dw = array(10, 10, 10, 10);
        K.rmsNorm(F64, array(x), array(w), array(new double[8]), rstd, 2, 4, 1e-2);
        K.rmsNormGrad(F64, array(x), array(w), rstd, array(dy), dx, dw, 2, 4);
        long other = array(0, 0);
        assertArrayEquals(
                plus(differences(x, dy, (in, y) -> K.rmsNorm(F64, in, array(w), y, other, 2, 4, 1e-2)), 5), read(dx, 8),
                1e-8);
        double[] weights = differences(w, dy, (in, y) -> K.rmsNorm(F64, array(x), in, y, other, 2, 4, 1e-2));
        assertArrayEquals(plus(weights, 10), read(dw, 4), 1e-8);
    }

    private static double[] plus(double[] values, double more) {
        return java.util.Arrays.stream(values).map(v -> v + more).toArray();
    }

    @Test
    void layerNormGradient() {
        double[] x = normal(8, 1);
        double[] w = normal(4, 2);
        double[] b = normal(4, 4);
        double[] dy = normal(8, 3);
        long mean = array(0, 0);
        long rstd = array(0, 0);
        long dx = array(5, 5, 5, 5, 5, 5, 5, 5);
        long dw = array(10, 10, 10, 10);
        long db = array(20, 20, 20, 20);
        K.layerNorm(F64, array(x), array(w), array(b), array(new double[8]), mean, rstd, 2, 4, 1e-2);
        K.layerNormGrad(F64, array(x), array(w), mean, rstd, array(dy), dx, dw, db, 2, 4);
        long m = array(0, 0);
        long s = array(0, 0);
        assertArrayEquals(
                plus(differences(x, dy, (in, y) -> K.layerNorm(F64, in, array(w), array(b), y, m, s, 2, 4, 1e-2)), 5),
                read(dx, 8), 1e-8);
        assertArrayEquals(
                plus(differences(w, dy, (in, y) -> K.layerNorm(F64, array(x), in, array(b), y, m, s, 2, 4, 1e-2)), 10),
                read(dw, 4), 1e-8);
        assertArrayEquals(
                plus(differences(b, dy, (in, y) -> K.layerNorm(F64, array(x), array(w), in, y, m, s, 2, 4, 1e-2)), 20),
                read(db, 4), 1e-8);
    }

    @Test
    void swigluGradient() {
        double[] gate = normal(5, 1);
        double[] up = normal(5, 2);
        double[] dy = normal(5, 3);
        long dgate = array(new double[5]);
        long dup = array(new double[5]);
        K.swigluGrad(F64, array(gate), array(up), array(dy), dgate, dup, 5);
        assertArrayEquals(
                differences(gate, dy, (in, y) -> K.swiglu(F64, in, array(up), y, 5)), read(dgate, 5), 1e-8);
        assertArrayEquals(
                differences(up, dy, (in, y) -> K.swiglu(F64, array(gate), in, y, 5)), read(dup, 5), 1e-8);
    }

    @Test
    void crossEntropyGradient() {
        double[] logits = normal(12, 1);
        double[] g = {1, 0.5, 2};
        long targets = longs(3, -1, 0);
        long lse = array(0, 0, 0);
        long d = array(new double[12]);
        K.crossEntropy(F64, array(logits), targets, array(0, 0, 0), lse, 3, 4, -1);
        K.crossEntropyGrad(F64, array(logits), targets, lse, array(g), d, 3, 4, -1);
        long other = array(0, 0, 0);
        double[] expected =
                differences(logits, g, (in, y) -> K.crossEntropy(F64, in, targets, y, other, 3, 4, -1));
        assertArrayEquals(expected, read(d, 12), 1e-8);
        assertTrue(expected[0] > 0, "a class that is not the target is pushed down");
    }
}
