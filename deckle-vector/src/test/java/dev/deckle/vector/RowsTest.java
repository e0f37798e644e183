package dev.deckle.vector;

import static dev.deckle.tensor.DType.F32;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.deckle.kernel.ReduceFn;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Kernels that go row by row, against their definition. A sum of n terms may err by a few roundings of the sum of
/// magnitudes; the inputs are standard normal, so absolute tolerances say the same.
class RowsTest {
    private static final double ULP = Math.ulp(1f);
    private static final float INF = Float.POSITIVE_INFINITY;

    @ParameterizedTest
    @EnumSource
    void reduce(ReduceFn f) {
        for (int n : Twin.SIZES) {
            for (int inner : new int[] {1, 3, 16, 31, 100}) {
                for (int outer : new int[] {1, 5}) {
                    try (Twin twin = new Twin()) {
                        var x = twin.array(Twin.normal(outer * n * inner, 1));
                        var y = twin.result(outer * inner);
                        twin.run(k -> k.reduce(F32, f, x.at(), y.at(), outer, n, inner));
                        double tolerance = f == ReduceFn.MAX ? 0 : 16 * ULP * Math.sqrt(n);
                        twin.same(y, tolerance, 0, f + " of (" + outer + ", " + n + ", " + inner + ")");
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 20})
    void longSumsKeepTheirDigits(int inner) {
        int n = 200_000;
        float[] values = new float[n * inner];
        Arrays.fill(values, 0.1f);
        try (Twin twin = new Twin()) {
            var x = twin.array(values);
            var y = twin.result(inner);
            twin.run(k -> k.reduce(F32, ReduceFn.SUM, x.at(), y.at(), 1, n, inner));
            // one float accumulator would be wrong in the fourth digit
            twin.same(y, 0, 4e-5, "sum of " + n + " by " + inner);
        }
    }

    @Test
    void maximumOfEdges() {
        for (int at : new int[] {0, 15, 16, 40}) {
            float[] values = Twin.normal(41, 3);
            values[at] = Float.NaN;
            try (Twin twin = new Twin()) {
                var x = twin.array(values);
                var y = twin.result(41);
                twin.run(k -> k.reduce(F32, ReduceFn.MAX, x.at(), y.at(), 1, 41, 1));
                assertEquals(Float.NaN, y.expected(0), "NaN wins");
                twin.same(y, 0, 0, "NaN wins in its row");
                twin.run(k -> k.reduce(F32, ReduceFn.MAX, x.at(), y.at(), 1, 1, 41));
                twin.same(y, 0, 0, "NaN wins in its column");
            }
        }
        try (Twin twin = new Twin()) {
            var y = twin.result(3);
            twin.run(k -> {
                k.reduce(F32, ReduceFn.MAX, y.at(), y.at(), 1, 0, 3);
            });
            twin.same(y, 0, 0, "the maximum of nothing");
            assertEquals(Float.NEGATIVE_INFINITY, y.expected(2));
        }
    }

    @Test
    void rowDots() {
        int rows = 3;
        for (int n : Twin.SIZES) {
            int as = n + 2;
            int bs = n + 5;
            try (Twin twin = new Twin()) {
                var a = twin.array(Twin.normal(rows * as, 1));
                var b = twin.array(Twin.normal(rows * bs, 2));
                var y = twin.result(rows);
                twin.run(k -> k.rowDots(F32, a.at(), as, b.at(), bs, y.at(), rows, n));
                twin.same(y, 16 * ULP * Math.sqrt(n), 0, "dots of " + n);
            }
        }
    }

    @Test
    void sumOfSquares() {
        for (int n : Twin.SIZES) {
            float[] values = Twin.normal(n, 1, 1e25); // squares overflow a float
            double expected = 0;
            for (float v : values) {
                expected += (double) v * v;
            }
            try (Twin twin = new Twin()) {
                var x = twin.array(values);
                double sum = expected;
                twin.run(k -> assertEquals(sum, k.sumOfSquares(F32, x.at(), n), sum * 1e-14));
            }
        }
    }

    private static final float[][] ROWS_OF_EDGES = {
        {1000, -1000, 0}, {-INF, 0, 1}, {-INF, -INF, -INF}, {INF, 0, 1}, {Float.NaN, 0, 1}, {0, 1, Float.NaN},
        {1e-40f, -1e-40f, 0}, {-1000, -1000, -1000}, {3e38f, 3e38f, -3e38f}
    };

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void softmax(boolean log) {
        for (int n : Twin.SIZES) {
            softmax(log, 3, n, Twin.normal(3 * n, 1, 3), 1e-6);
        }
        for (float[] row : ROWS_OF_EDGES) {
            softmax(log, 1, 3, row, 1e-4);
            // the same numbers in whole vectors and in the rest
            float[] wide = new float[53];
            for (int i = 0; i < wide.length; i++) {
                wide[i] = row[i % 3];
            }
            softmax(log, 1, 53, wide, 1e-4);
        }
    }

    private static void softmax(boolean log, int rows, int n, float[] values, double tolerance) {
        try (Twin twin = new Twin()) {
            var x = twin.array(values);
            var y = twin.result(rows * n);
            twin.run(k -> k.softmax(F32, log, x.at(), y.at(), rows, n));
            twin.same(y, tolerance * 0.1, tolerance, "softmax of " + n + " log " + log);
            twin.run(k -> k.softmax(F32, log, x.at(), x.at(), rows, n));
            twin.same(x, tolerance * 0.1, tolerance, "softmax in place");
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void softmaxGrad(boolean log) {
        for (int n : Twin.SIZES) {
            try (Twin twin = new Twin()) {
                var y = twin.array(Twin.normal(3 * n, 1));
                var dy = twin.array(Twin.normal(3 * n, 2));
                var dx = twin.result(3 * n);
                twin.run(k -> k.softmaxGrad(F32, log, y.at(), dy.at(), dx.at(), 3, n));
                twin.same(dx, 2e-5, 1e-6, "softmax gradient of " + n + " log " + log);
                twin.run(k -> k.softmaxGrad(F32, log, y.at(), dy.at(), dy.at(), 3, n));
                twin.same(dy, 2e-5, 1e-6, "softmax gradient in place");
            }
        }
    }

    @Test
    void rmsNorm() {
        for (int n : Twin.SIZES) {
            try (Twin twin = new Twin()) {
                var x = twin.array(Twin.normal(3 * n, 1));
                var w = twin.array(Twin.normal(n, 2));
                var y = twin.result(3 * n);
                var rstd = twin.result(3);
                twin.run(k -> k.rmsNorm(F32, x.at(), w.at(), y.at(), rstd.at(), 3, n, 1e-3));
                twin.same(y, 1e-6, 1e-6, "rmsNorm of " + n);
                twin.same(rstd, 0, 1e-6, "rmsNorm rstd of " + n);
                var dy = twin.array(Twin.normal(3 * n, 3));
                var dx = twin.array(Twin.normal(3 * n, 5)); // both are added to
                var dw = twin.array(Twin.normal(n, 4));
                twin.run(k -> k.rmsNormGrad(F32, x.at(), w.at(), rstd.at(), dy.at(), dx.at(), dw.at(), 3, n));
                twin.same(dx, 1e-5, 2e-6, "rmsNorm gradient of " + n);
                twin.same(dw, 2e-6, 2e-6, "rmsNorm weight gradient of " + n);
            }
        }
    }

    @Test
    void layerNorm() {
        for (int n : Twin.SIZES) {
            try (Twin twin = new Twin()) {
                float[] values = Twin.normal(3 * n, 1);
                for (int i = 0; i < values.length; i++) {
                    values[i] += 100; // a variance by mean of squares would lose four digits
                }
                var x = twin.array(values);
                var w = twin.array(Twin.normal(n, 2));
                var b = twin.array(Twin.normal(n, 5));
                var y = twin.result(3 * n);
                var mean = twin.result(3);
                var rstd = twin.result(3);
                twin.run(k -> k.layerNorm(
                        F32, x.at(), w.at(), b.at(), y.at(), mean.at(), rstd.at(), 3, n, 1e-3));
                // the mean is rounded at 100: 4e-6, times rstd (up to 30 where n = 1) and the weight
                twin.same(y, n == 1 ? 1e-3 : 1e-4, 1e-5, "layerNorm of " + n);
                twin.same(mean, 0, 1e-6, "layerNorm mean of " + n);
                twin.same(rstd, 0, 1e-5, "layerNorm rstd of " + n);
                var dy = twin.array(Twin.normal(3 * n, 3));
                var dx = twin.array(Twin.normal(3 * n, 5));
                var dw = twin.array(Twin.normal(n, 4));
                var db = twin.array(Twin.normal(n, 6));
                twin.run(k -> k.layerNormGrad(F32, x.at(), w.at(), mean.at(), rstd.at(), dy.at(), dx.at(), dw.at(),
                        db.at(), 3, n));
                twin.same(dx, n == 1 ? 2e-2 : 2e-4, 1e-5, "layerNorm gradient of " + n);
                twin.same(dw, n == 1 ? 2e-3 : 1e-4, 1e-5, "layerNorm weight gradient of " + n);
                twin.same(db, 1e-6, 1e-6, "layerNorm bias gradient of " + n);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"false, false", "false, true", "true, false", "true, true"})
    void rope(boolean interleaved, boolean inverse) {
        for (int half : Twin.SIZES) {
            int n = 2 * half;
            int rows = 3;
            try (Twin twin = new Twin()) {
                float[] cos = Twin.normal(rows * half, 1);
                float[] sin = Twin.normal(rows * half, 2);
                int xs = n + 5;
                int ys = n + 2;
                var x = twin.array(Twin.normal(rows * xs, 3));
                var y = twin.array(Twin.normal(rows * ys, 4)); // between the rows nothing may change
                var c = twin.array(cos);
                var s = twin.array(sin);
                twin.run(k -> k.rope(
                        F32, x.at(), xs, y.at(), ys, c.at(), s.at(), half, rows, n, interleaved, inverse));
                twin.same(y, 1e-6, 1e-6, "rope of " + n);
                twin.run(k -> k.rope(
                        F32, x.at(), xs, x.at(), xs, c.at(), s.at(), 0, rows, n, interleaved, inverse));
                twin.same(x, 1e-6, 1e-6, "rope in place");
            }
        }
    }

    @Test
    void crossEntropy() {
        for (int n : Twin.SIZES) {
            if (n > 0) {
                float[] logits = Twin.normal(4 * n, 1, 3);
                Arrays.fill(logits, n, 2 * n, -1000);
                logits[2 * n - 1] = 1000;
                crossEntropy(logits, n, 0, n - 1, -100, n / 2);
            }
        }
        crossEntropy(new float[] {Float.NaN, 1, -INF, 1, 2, 3, 0, -INF, 1, -INF, -INF, -INF}, 3, 1, 2, 1, 0);
    }

    private static void crossEntropy(float[] values, int n, long... classes) {
        try (Twin twin = new Twin()) {
            var logits = twin.array(values);
            long targets = twin.longs(classes);
            var loss = twin.result(4);
            var lse = twin.result(4);
            var g = twin.array(0.5f, 1, 2, -1);
            var dlogits = twin.result(4 * n);
            twin.run(k -> {
                k.crossEntropy(F32, logits.at(), targets, loss.at(), lse.at(), 4, n, -100);
                k.crossEntropyGrad(F32, logits.at(), targets, lse.at(), g.at(), dlogits.at(), 4, n, -100);
            });
            twin.same(loss, 2e-6, 1e-6, "cross entropy of " + n);
            twin.same(lse, 1e-6, 1e-6, "lse of " + n);
            // 1000 has an ulp of 6e-5, which is what lse is rounded to
            twin.same(dlogits, 2e-6, 1e-5, "cross entropy gradient of " + n);
            twin.run(k -> k.crossEntropyWithGrad(
                    F32, logits.at(), targets, loss.at(), lse.at(), dlogits.at(), 4, n, -100));
            twin.same(loss, 2e-6, 1e-6, "cross entropy with its gradient of " + n);
            twin.same(lse, 1e-6, 1e-6, "lse with the gradient of " + n);
            twin.same(dlogits, 2e-6, 1e-5, "gradient with the cross entropy of " + n);
            var copy = twin.array(values);
            twin.run(k -> k.crossEntropyWithGrad(
                    F32, copy.at(), targets, loss.at(), lse.at(), copy.at(), 4, n, -100));
            twin.same(loss, 2e-6, 1e-6, "cross entropy with its gradient in place");
            twin.same(copy, 2e-6, 1e-5, "gradient with the cross entropy in place");
            twin.run(k -> k.crossEntropyGrad(
                    F32, logits.at(), targets, lse.at(), g.at(), logits.at(), 4, n, -100));
            twin.same(logits, 2e-6, 1e-5, "cross entropy gradient in place");
        }
    }
}
