package dev.deckle.vector;

import static dev.deckle.tensor.DType.F32;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AttentionTileTest {
    private static final float INF = Float.POSITIVE_INFINITY;

    /// Rows that see -3, -2, -1... columns, then all; with and without a mask; two tiles one after the other, so that
    /// the second one rescales.
    @ParameterizedTest
    @ValueSource(ints = {-3, 0, 1, 20, 300})
    void tiles(int visible) {
        for (int cols : Twin.SIZES) {
            for (int masked = 0; masked < 3; masked++) {
                tile(5, cols, visible, masked);
            }
        }
    }

    private static void tile(int rows, int cols, int visible, int masked) {
        int ss = cols + 3;
        int d = 21;
        int os = d + 2;
        int ms = masked == 2 ? 0 : cols + 1;
        float[] masks = Twin.normal(rows * (cols + 1), 9);
        for (int i = 0; i < masks.length; i += 3) {
            masks[i] = -INF;
        }
        String what = "tile of " + cols + ", visible " + visible + ", mask " + masked;
        try (Twin twin = new Twin()) {
            var first = twin.array(Twin.normal(rows * ss, 1, 4));
            var second = twin.array(Twin.normal(rows * ss, 2, 8));
            var mask = twin.array(masks);
            float[] nothing = new float[rows];
            var l = twin.array(nothing);
            Arrays.fill(nothing, -INF);
            var m = twin.array(nothing);
            var o = twin.array(Twin.normal(rows * os, 3));
            for (var s : new Twin.Array[] {first, second}) {
                twin.run(k -> k.attentionTile(F32, s.at(), ss, rows, cols, visible, masked == 0 ? 0 : mask.at(), ms,
                        0.7, m.at(), l.at(), o.at(), os, d));
                twin.same(s, 1e-7, 1e-5, what + ": p");
                twin.same(m, 0, 1e-6, what + ": m");
                twin.same(l, 1e-7, 1e-5, what + ": l");
                twin.same(o, 1e-7, 1e-5, what + ": o");
            }
            float[] sums = Twin.normal(rows, 4);
            sums[2] = -INF; // a row that saw nothing
            var lse = twin.array(sums);
            var delta = twin.array(Twin.normal(rows, 5));
            var s = twin.array(Twin.normal(rows * ss, 6));
            var dp = twin.array(Twin.normal(rows * ss, 7));
            twin.run(k -> k.attentionTileGrad(F32, s.at(), dp.at(), ss, rows, cols, visible,
                    masked == 0 ? 0 : mask.at(), ms, 0.7, lse.at(), delta.at()));
            twin.same(s, 1e-7, 1e-5, what + ": gradient's p");
            twin.same(dp, 1e-6, 1e-5, what + ": ds");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 15, 16, 33, 64})
    void ends(int d) {
        int rows = 5;
        int os = d + 3;
        int ys = d + 1;
        try (Twin twin = new Twin()) {
            var m = twin.array(0.5f, -INF, 30, -2, 0);
            var l = twin.array(2, 0, 1, 70_000, Float.NaN);
            var o = twin.array(Twin.normal(rows * os, 1));
            var y = twin.result(rows * ys);
            var lse = twin.result(rows);
            twin.run(k -> k.attentionEnd(F32, m.at(), l.at(), o.at(), os, y.at(), ys, lse.at(), rows, d));
            twin.same(y, 1e-7, 1e-6, "rows of " + d + " at their end");
            twin.same(lse, 1e-7, 1e-6, "their lse");
            assertEquals(-INF, lse.expected(1));
            assertEquals(0, y.expected(ys), "of a row that has seen nothing");
        }
    }

    @Test
    void nanIsNotLost() {
        for (int at : new int[] {0, 16, 20}) {
            float[] scores = Twin.normal(21, 1);
            scores[at] = Float.NaN;
            try (Twin twin = new Twin()) {
                var s = twin.array(scores);
                var m = twin.array(-INF);
                var l = twin.array(0);
                twin.run(k -> k.attentionTile(F32, s.at(), 21, 1, 21, 21, 0, 0, 1, m.at(), l.at(), 0, 0, 0));
                assertTrue(Float.isNaN(l.expected(0)));
                twin.same(l, 0, 0, "the sum with NaN at " + at);
            }
        }
    }

    @Test
    void largeScoresDoNotOverflow() {
        try (Twin twin = new Twin()) {
            var s = twin.array(1000, 999, -1000, 990);
            var m = twin.array(-INF);
            var l = twin.array(0);
            twin.run(k -> k.attentionTile(F32, s.at(), 4, 1, 4, 4, 0, 0, 1, m.at(), l.at(), 0, 0, 0));
            twin.same(s, 1e-7, 1e-6, "p of large scores");
            assertEquals(1000, m.expected(0));
            twin.same(m, 0, 0, "the largest score");
        }
    }
}
