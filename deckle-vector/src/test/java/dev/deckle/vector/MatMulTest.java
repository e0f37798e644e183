package dev.deckle.vector;

import static dev.deckle.tensor.DType.BF16;
import static dev.deckle.tensor.DType.F32;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Team;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MatMulTest {
    private static final List<MatMul.Kind> KINDS = List.of(MatMul.Kind.FLOATS, MatMul.Kind.rounded(F32, BF16),
            MatMul.Kind.rounded(F32, F32), MatMul.Kind.rounded(BF16, BF16), MatMul.Kind.rounded(BF16, F32));

    private static void check(int m, int n, int k, boolean transposeA, boolean transposeB, boolean accumulate,
            Team team) {
        for (MatMul.Kind kind : KINDS) {
            check(kind, m, n, k, transposeA, transposeB, accumulate, team);
        }
    }

    /// One product in all its layouts. Rows of all operands have a few elements between them, and the tolerance is 64
    /// roundings of the likely size of the partial sums.
    private static void check(MatMul.Kind kind, int m, int n, int k, boolean transposeA, boolean transposeB,
            boolean accumulate,
            Team team) {
        int ars = transposeA ? 1 : k + 3;
        int acs = transposeA ? m + 5 : 1;
        int brs = transposeB ? 1 : n + 2;
        int bcs = transposeB ? k + 1 : 1;
        int crs = n + 4;
        try (Twin twin = new Twin(List.of(Twin.VECTOR))) {
            float[] as = Twin.normal(transposeA ? k * acs : m * ars, 1);
            float[] bs = Twin.normal(transposeB ? n * bcs : k * brs, 2);
            var a = twin.array(as);
            var b = twin.array(bs);
            long halfA = twin.halves(as);
            long halfB = twin.halves(bs);
            var c = twin.array(Twin.normal(m * crs, 3));
            twin.run(x -> multiply(x, kind, m, n, k, kind.a() == BF16 ? halfA : a.at(), ars, acs,
                    kind.b() == BF16 ? halfB : b.at(), brs, bcs, c.at(), crs, accumulate, team));
            String what = kind + " (" + m + ", " + n + ", " + k + ") transposed " + transposeA + transposeB + " at ";
            for (int i = 0; i < m; i++) {
                for (int j = 0; j < crs; j++) {
                    int at = i * crs + j;
                    double tolerance =
                            j < n ? 64 * Math.ulp(1f) * (1 + magnitude(as, i, ars, acs, bs, j, brs, bcs, k)) : 0;
                    twin.close(c, at, tolerance, what + i + ", " + j);
                }
            }
        }
    }

    private static void multiply(
            Kernels x, MatMul.Kind kind, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        if (kind.rounded()) {
            x.matmulRounded(kind.a(), kind.b(), m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate, team);
        } else {
            x.matmul(F32, m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate, team);
        }
    }

    private static double magnitude(
            float[] a, int i, int ars, int acs, float[] b, int j, int brs, int bcs, int k) {
        double sum = 0;
        for (int p = 0; p < k; p++) {
            sum += Math.abs((double) a[i * ars + p * acs] * b[p * brs + j * bcs]);
        }
        return sum / Math.sqrt(Math.max(k, 1));
    }

    private static void layouts(int m, int n, int k) {
        for (int layout = 0; layout < 8; layout++) {
            check(m, n, k, (layout & 1) > 0, (layout & 2) > 0, (layout & 4) > 0, Team.serial());
        }
    }

    @Test
    void awkwardSizes() {
        int[] sizes = Twin.SIZES;
        for (int i = 0; i < sizes.length; i++) {
            for (int j = 0; j < sizes.length; j++) {
                layouts(sizes[i], sizes[j], sizes[(3 * i + 7 * j + 5) % sizes.length]);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"8, 300, 70", "9, 300, 70", "97, 33, 256", "96, 32, 257", "95, 31, 513", "200, 530, 40", "1, 1, 1000"})
    void edgesOfBlocks(int m, int n, int k) {
        layouts(m, n, k);
    }

    @Test
    void roundingToBf16() {
        float[] x = {1.00390625f, 1.01171875f, 1.0039063f, -1.00390625f, Float.NaN, Float.intBitsToFloat(0x7F800001),
            3.4e38f, Float.NEGATIVE_INFINITY, 0, -0f, 1e-40f, Float.intBitsToFloat(0x7F7F7FFF), 5};
        try (Twin twin = new Twin(List.of(Twin.VECTOR))) {
            var y = twin.result(5 * x.length);
            float[] many = new float[5 * x.length];
            for (int i = 0; i < many.length; i++) {
                many[i] = x[i % x.length];
            }
            Half.round(twin.array(many).at(), y.at(), many.length);
            for (int i = 0; i < many.length; i++) {
                Twin.close(Bf16.round(many[i]), y.found(i).getFirst(), 0, "rounded " + many[i]);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void floatsToBf16AndBack(boolean add) {
        float[] edges = {1.00390625f, 1.01171875f, 1.0039063f, -1.00390625f, Float.NaN, 3.4e38f, -0f, 1e-40f,
            Float.NEGATIVE_INFINITY};
        for (int n : Twin.SIZES) {
            float[] values = Twin.normal(n, 1);
            System.arraycopy(edges, 0, values, 0, Math.min(n, edges.length));
            try (Twin twin = new Twin()) {
                var x = twin.array(values);
                var y = twin.array(Twin.normal((n + 1) / 2, 2)); // two to a float
                var z = twin.result(n);
                twin.run(k -> {
                    k.narrow(x.at(), y.at(), n, add);
                    k.widen(y.at(), z.at(), n);
                });
                twin.same(z, 0, 0, n + " floats through BF16");
                if (n % 2 != 0) {
                    int last = Float.floatToRawIntBits(y.expected(n / 2));
                    y.found(n / 2).forEach(bits -> assertEquals(last, Float.floatToRawIntBits(bits),
                            "what lies behind the last of " + n));
                }
            }
        }
    }

    @Test
    void moreColumnsThanArePackedAtOnce() {
        check(10, 8200, 9, false, true, false, new Team(2));
        check(2, 8200, 9, false, false, false, new Team(2));
    }

    @ParameterizedTest
    @CsvSource({"200, 1100, 300", "3, 1100, 300", "1100, 3, 300"})
    void sameBitsForAnyTeam(int m, int n, int k) {
        KINDS.forEach(kind -> sameBitsForAnyTeam(kind, m, n, k));
    }

    private static void sameBitsForAnyTeam(MatMul.Kind kind, int m, int n, int k) {
        int[] bits = new int[m * n];
        for (int threads = 1; threads <= 3; threads++) {
            try (Twin twin = new Twin(List.of(Twin.VECTOR))) {
                var a = twin.array(Twin.normal(m * k, 1));
                var b = twin.array(Twin.normal(n * k, 2));
                long halfA = twin.halves(Twin.normal(m * k, 1));
                long halfB = twin.halves(Twin.normal(n * k, 2));
                var c = twin.result(m * n);
                multiply(Twin.VECTOR, kind, m, n, k, kind.a() == BF16 ? halfA : a.at(), k, 1,
                        kind.b() == BF16 ? halfB : b.at(), 1, k, c.at(), n, false, new Team(threads));
                for (int i = 0; i < bits.length; i++) {
                    int found = Float.floatToRawIntBits(c.found(i).getFirst());
                    if (threads > 1) {
                        assertEquals(bits[i], found, threads + " threads at " + i);
                    }
                    bits[i] = found;
                }
            }
        }
    }
}
