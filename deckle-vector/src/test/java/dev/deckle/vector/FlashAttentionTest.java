package dev.deckle.vector;

import static dev.deckle.tensor.DType.F32;
import static dev.deckle.tensor.DType.F64;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.deckle.kernel.Family;
import dev.deckle.kernel.FlashAttention;
import dev.deckle.kernel.FlashAttention.Shape;
import dev.deckle.kernel.FlashAttention.View;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.ScalarKernels;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Tiled attention against [PlainAttention], the definition with all scores, in double.
class FlashAttentionTest {
    private static final Kernels SCALAR = ScalarKernels.INSTANCE;
    private static final Kernels VECTOR = Twin.VECTOR;

    enum Mask { NONE, PER_HEAD, PER_KEY, EMPTY_ROWS }

    /// One problem with its arrays, every head's rows apart as in (batch, rows, heads, columns) where `interleaved`.
    private static final class Case implements AutoCloseable {
        final Arena arena = Arena.ofShared();
        final DType t;
        final PlainAttention plain;
        final Shape shape;
        final View q;
        final View k;
        final View v;
        final View out;
        final View dout;
        final View dq;
        final View dk;
        final View dv;
        final long lse;
        final boolean interleaved;

        Case(DType t, boolean rounded, int b, int h, int kv, int tq, int tk, int d, int dv, long offset, int window,
                Mask kind, boolean interleaved) {
            this.t = t;
            this.interleaved = interleaved;
            double scale = 1 / Math.sqrt(d);
            plain = new PlainAttention(b, h, kv, tq, tk, d, dv, scale, offset, window);
            Random random = new Random(31L * tq + tk);
            for (double[] x : new double[][] {plain.q, plain.k, plain.v, plain.dout}) {
                // what fits a float, so that both sides see the same inputs
                Arrays.setAll(x, i -> (float) random.nextGaussian());
            }
            long[] strides = mask(kind, random);
            View mask = View.NONE;
            if (kind != Mask.NONE) {
                int n = b * h * tq * tk;
                long address = allocate(n);
                for (int i = 0; i < n; i++) {
                    set(address, i, plain.mask[i]);
                }
                mask = new View(address, strides[0], strides[1], strides[2]);
            }
            shape = new Shape(t, rounded, b, h, kv, tq, tk, d, dv, scale, offset, window, mask);
            q = view(plain.q, b, h, tq, d);
            k = view(plain.k, b, kv, tk, d);
            v = view(plain.v, b, kv, tk, dv);
            dout = view(plain.dout, b, h, tq, dv);
            out = view(stale(plain.out), b, h, tq, dv);
            dq = view(stale(plain.dq), b, h, tq, d);
            dk = view(stale(plain.dk), b, kv, tk, d);
            this.dv = view(stale(plain.dv), b, kv, tk, dv);
            lse = allocate(b * h * tq);
            plain.run();
        }

        /// Fills the full (batch, heads, queries, keys) mask of the definition; returns strides that describe it.
        private long[] mask(Mask kind, Random random) {
            int tq = plain.queries;
            int tk = plain.keys;
            int perHead = tq * tk;
            long[] strides = kind == Mask.PER_KEY
                    ? new long[] {(long) plain.heads * perHead, 0, 0}
                    : new long[] {(long) plain.heads * perHead, perHead, tk};
            double[] drawn = new double[plain.mask.length];
            Arrays.setAll(drawn,
                    i -> random.nextInt(4) == 0 ? Double.NEGATIVE_INFINITY : (float) random.nextGaussian());
            for (int i = 0; i < drawn.length && kind != Mask.NONE; i++) {
                int b = i / perHead / plain.heads;
                int h = i / perHead % plain.heads;
                int row = i / tk % tq;
                plain.mask[i] = kind == Mask.EMPTY_ROWS && row % 3 == 1
                        ? Double.NEGATIVE_INFINITY
                        : drawn[(int) (b * strides[0] + h * strides[1] + row * strides[2]) + i % tk];
            }
            return strides;
        }

        private long allocate(int n) {
            return arena.allocate((long) t.bytes() * n + 64, 64).address();
        }

        /// What is in the memory of a result before it is written.
        private static double[] stale(double[] result) {
            double[] values = new double[result.length];
            Arrays.fill(values, Double.NaN);
            return values;
        }

        private View view(double[] values, int b, int heads, int rows, int columns) {
            long address = allocate(b * heads * rows * columns);
            View view = interleaved
                    ? new View(address, (long) rows * heads * columns, columns, (long) heads * columns)
                    : new View(address, (long) heads * rows * columns, (long) rows * columns, columns);
            for (int i = 0; i < values.length; i++) {
                set(address, place(i, heads, rows, columns), values[i]);
            }
            return view;
        }

        /// Where element i of a (batch, heads, rows, columns) array is.
        private int place(int i, int heads, int rows, int columns) {
            if (!interleaved) {
                return i;
            }
            int row = i / columns % rows;
            int head = i / columns / rows % heads;
            int batch = i / columns / rows / heads;
            return ((batch * rows + row) * heads + head) * columns + i % columns;
        }

        private void set(long address, int i, double value) {
            if (t == F32) {
                Native.setFloat(address + 4L * i, (float) value);
            } else {
                Native.ALL.set(ValueLayout.JAVA_DOUBLE, address + 8L * i, value);
            }
        }

        private double get(long address, int i) {
            return t == F32 ? Native.getFloat(address + 4L * i)
                    : Native.ALL.get(ValueLayout.JAVA_DOUBLE, address + 8L * i);
        }

        void run(Kernels products, Kernels rows, Team team) {
            FlashAttention attention = new FlashAttention(products, rows);
            attention.forward(shape, q, k, v, out, lse, team);
            attention.backward(shape, q, k, v, out, lse, dout, dq, dk, dv, team);
        }

        void check(double tolerance) {
            same("lse", plain.lse, lse, plain.heads, plain.queries, 1, false, tolerance);
            same("out", plain.out, out.address(), plain.heads, plain.queries, plain.valueDim, interleaved, tolerance);
            same("dq", plain.dq, dq.address(), plain.heads, plain.queries, plain.dim, interleaved, 4 * tolerance);
            same("dk", plain.dk, dk.address(), plain.kvHeads, plain.keys, plain.dim, interleaved, 4 * tolerance);
            same("dv", plain.dv, dv.address(), plain.kvHeads, plain.keys, plain.valueDim, interleaved, 4 * tolerance);
        }

        /// The outputs and gradients, each as in memory.
        double[][] results() {
            double[][] all = new double[4][];
            int i = 0;
            for (double[] like : new double[][] {plain.out, plain.dq, plain.dk, plain.dv}) {
                long address = List.of(out, dq, dk, dv).get(i).address();
                all[i] = new double[like.length];
                Arrays.setAll(all[i++], e -> get(address, e));
            }
            return all;
        }

        private void same(
                String what, double[] expected, long address, int heads, int rows, int columns, boolean strided,
                double tolerance) {
            for (int i = 0; i < expected.length; i++) {
                double found = get(address, strided ? place(i, heads, rows, columns) : i);
                Twin.close(expected[i], found, tolerance * (1 + Math.abs(expected[i])),
                        shape + " " + what + " [" + i + "]");
            }
        }

        @Override
        public void close() {
            arena.close();
        }
    }

    private static void check(
            int b, int h, int kv, int tq, int tk, int d, int dv, long offset, Mask mask, boolean interleaved) {
        check(b, h, kv, tq, tk, d, dv, offset, 0, mask, interleaved);
    }

    private static void check(
            int b, int h, int kv, int tq, int tk, int d, int dv, long offset, int window, Mask mask,
            boolean interleaved) {
        try (Case c = new Case(F32, false, b, h, kv, tq, tk, d, dv, offset, window, mask, interleaved)) {
            for (Kernels k : Twin.BACKENDS) {
                c.run(k, k, Team.serial());
                c.check(5e-6);
            }
            c.run(SCALAR, SCALAR, Team.serial());
            c.check(5e-6);
        }
        try (Case c = new Case(F64, false, b, h, kv, tq, tk, d, dv, offset, window, mask, interleaved)) {
            c.run(SCALAR, SCALAR, Team.serial());
            c.check(1e-13);
        }
        rounded(b, h, kv, tq, tk, d, dv, offset, window, mask, interleaved);
    }

    /// With numbers that are rounded to BF16: near what they are without, and as the definition has it, but for what is
    /// so near the middle of two numbers of BF16 that another order of sums rounds it to the other one.
    private static void rounded(
            int b, int h, int kv, int tq, int tk, int d, int dv, long offset, int window, Mask mask,
            boolean interleaved) {
        try (Case c = new Case(F32, true, b, h, kv, tq, tk, d, dv, offset, window, mask, interleaved)) {
            c.run(SCALAR, SCALAR, Team.serial());
            c.check(0.03);
            double[][] definition = c.results();
            for (Kernels k : Twin.BACKENDS) {
                if (!k.supports(Family.MATMUL, DType.BF16)) {
                    continue;
                }
                c.run(k, k, Team.serial());
                double[][] found = c.results();
                for (int i = 0; i < found.length; i++) {
                    for (int e = 0; e < found[i].length; e++) {
                        Twin.close(definition[i][e], found[i][e], 0.005 * (1 + Math.abs(definition[i][e])),
                                c.shape + " rounded, " + k.describe() + ": result " + i + " [" + e + "]");
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        // around the blocks of 64 queries and 256 keys
        "1, 1", "1, 7", "5, 1", "63, 63", "64, 64", "65, 65", "1, 255", "1, 256", "1, 257", "64, 256", "65, 257",
        "127, 255", "129, 513", "3, 512", "100, 31", "0, 5"
    })
    void lengths(int tq, int tk) {
        check(1, 1, 1, tq, tk, 16, 16, Shape.NOT_CAUSAL, Mask.NONE, false);
        // causal; with more queries than keys, some see nothing
        check(1, 1, 1, tq, tk, 8, 24, tk - tq, Mask.NONE, true);
    }

    @ParameterizedTest
    @CsvSource({"-70", "-1", "0", "1", "63", "64", "65", "200"})
    void causalOffsets(long offset) {
        check(1, 2, 1, 130, 130, 8, 8, offset, Mask.NONE, false);
    }

    @ParameterizedTest
    @CsvSource({"1", "2", "63", "64", "65", "100", "255", "256", "257", "600"})
    void windows(int window) {
        check(1, 2, 1, 130, 130, 8, 8, 0, window, Mask.NONE, false);
        check(2, 4, 2, 70, 331, 8, 12, 261, window, Mask.PER_KEY, true);
        check(1, 1, 1, 1, 300, 8, 8, 299, window, Mask.NONE, false);
        check(1, 1, 1, 70, 33, 8, 8, -37, window, Mask.NONE, true); // the first queries see nothing
    }

    @ParameterizedTest
    @CsvSource({"6, 6", "6, 3", "6, 2", "6, 1"})
    void groupedHeads(int heads, int kvHeads) {
        check(2, heads, kvHeads, 33, 70, 12, 20, 37, Mask.NONE, true);
        check(2, heads, kvHeads, 33, 70, 12, 20, Shape.NOT_CAUSAL, Mask.NONE, false);
    }

    @ParameterizedTest
    @CsvSource({"PER_HEAD", "PER_KEY", "EMPTY_ROWS"})
    void masks(Mask mask) {
        check(2, 4, 2, 66, 260, 8, 8, Shape.NOT_CAUSAL, mask, false);
        check(2, 4, 2, 66, 260, 8, 8, 194, mask, true);
    }

    @Test
    void backendsMix() {
        try (Case c = new Case(F32, false, 1, 2, 2, 70, 70, 16, 16, 0, 0, Mask.NONE, true)) {
            c.run(VECTOR, SCALAR, Team.serial());
            c.check(5e-6);
            c.run(SCALAR, VECTOR, Team.serial());
            c.check(5e-6);
        }
    }

    @Test
    void sameBitsForAnyTeam() {
        int[] bits = null;
        for (int threads = 1; threads <= 3; threads++) {
            try (Case c = new Case(F32, false, 2, 4, 2, 150, 300, 32, 32, 150, 0, Mask.NONE, true)) {
                c.run(VECTOR, VECTOR, new Team(threads));
                int[] found = new int[3 * 2 * 2 * 300 * 32];
                for (int i = 0; i < found.length / 3; i++) {
                    found[i] = Native.getInt(c.dk.address() + 4L * i);
                    found[i + found.length / 3] = Native.getInt(c.dv.address() + 4L * i);
                    found[i + 2 * found.length / 3] = Native.getInt(c.dq.address() + 4L * i);
                }
                bits = bits == null ? found : bits;
                assertEquals(-1, Arrays.mismatch(bits, found), threads + " threads");
            }
        }
    }

    @Test
    void headsMustBeAMultiple() {
        var e = assertThrows(IllegalArgumentException.class,
                () -> new Shape(F32, false, 1, 4, 3, 1, 1, 1, 1, 1, 0, 0, View.NONE));
        assertEquals("the number of query heads must be a multiple of the key-value heads, but 4 is none of 3",
                e.getMessage());
    }
}
