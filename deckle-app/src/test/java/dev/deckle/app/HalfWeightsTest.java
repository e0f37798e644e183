package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.deckle.autograd.Leaf;
import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Team;
import dev.deckle.memory.Workspace;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntBinaryOperator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// Weights of BF16 that learn, on every backend of this machine, against the definition in `Kernels`: products of
/// rounded operands, summed here in F64, and a gradient that is rounded each time it has been added to.
///
/// How far a backend may be off is known. A sum of n products in F32 is within `n 2^-24` of the sum of their
/// magnitudes, in whatever order. So each gradient has a lower and an upper bound, and since rounding keeps the order
/// of numbers, it stays between the bounds when they are rounded as it is. Mostly they are one number then.
class HalfWeightsTest {
    /// rows, in, out: tails of vectors and tiles, odd ones that lack the second of a pair, nothing at all; few rows,
    /// small, and packed products; and one whose gradient is added up in two parts.
    private static final int[][] SHAPES = {
        {1, 1, 1}, {3, 7, 5}, {17, 13, 31}, {64, 100, 16}, {8, 257, 3}, {100, 31, 65}, {13, 64, 257}, {0, 5, 4},
        {5, 0, 3}, {257, 130, 150}, {301, 191, 177}, {300, 384, 65}, {5, 1030, 2100}
    };
    private static final int PASSES = 3;
    private static final double EPSILON = 0x1p-24;

    /// Sums in F64, and how far off one in F32 may be.
    private record Sums(double[] values, double[] errors) {
        /// a (m, k) times b (k, n), whose elements are where `at` and `bt` say.
        static Sums of(int m, int n, int k, double[] a, IntBinaryOperator at, double[] b, IntBinaryOperator bt) {
            Sums s = new Sums(new double[m * n], new double[m * n]);
            double[] column = new double[k];
            double[][] row = new double[m][k];
            for (int i = 0; i < m; i++) {
                for (int p = 0; p < k; p++) {
                    row[i][p] = a[at.applyAsInt(i, p)];
                }
            }
            for (int j = 0; j < n; j++) {
                for (int p = 0; p < k; p++) {
                    column[p] = b[bt.applyAsInt(p, j)];
                }
                for (int i = 0; i < m; i++) {
                    double sum = 0;
                    double magnitude = 0;
                    for (int p = 0; p < k; p++) {
                        double product = row[i][p] * column[p];
                        sum += product;
                        magnitude += Math.abs(product);
                    }
                    s.values[i * n + j] = sum;
                    s.errors[i * n + j] = (k + 4) * EPSILON * magnitude;
                }
            }
            return s;
        }

        void check(String what, Tensor found) {
            double[] f = found.toDoubles();
            assertEquals(values.length, f.length);
            for (int i = 0; i < f.length; i++) {
                if (!(Math.abs(values[i] - f[i]) <= errors[i])) {
                    fail(what + " at " + i + " is " + f[i] + ", not within " + errors[i] + " of " + values[i]);
                }
            }
        }

        /// With a number added to each of a row of n, and rounded.
        Sums plus(double[] row) {
            Sums s = new Sums(values.clone(), errors.clone());
            for (int i = 0; i < values.length; i++) {
                s.values[i] += row[i % row.length];
                s.errors[i] += EPSILON * (Math.abs(s.values[i]) + errors[i]);
            }
            return s;
        }
    }

    /// What a leaf has gathered: between two bounds.
    private static final class Gathered {
        private final DoubleUnaryOperator rounding;
        private final double[] low;
        private final double[] high;

        Gathered(int n, DType buffer) {
            rounding = buffer == DType.BF16 ? x -> Bf16.round((float) x) : x -> x;
            low = new double[n];
            high = new double[n];
        }

        void add(Sums s) {
            for (int i = 0; i < low.length; i++) {
                low[i] = bound(low[i] + s.values[i], -s.errors[i]);
                high[i] = bound(high[i] + s.values[i], s.errors[i]);
            }
        }

        private double bound(double sum, double error) {
            return rounding.applyAsDouble(sum + error + Math.signum(error) * 2 * EPSILON * Math.abs(sum));
        }

        void check(String what, Tensor gradient) {
            double[] found = gradient.toDoubles();
            assertEquals(low.length, found.length);
            for (int i = 0; i < found.length; i++) {
                if (!(found[i] >= low[i] && found[i] <= high[i])) {
                    fail(what + ": " + found[i] + " at " + i + " is not in " + low[i] + ".." + high[i]);
                }
            }
        }
    }

    private static double[] rounded(Tensor x) {
        return x.to(DType.BF16).toDoubles();
    }

    /// A leaf of BF16; `turned`: with the same numbers in another order of memory.
    private static Tensor weight(int rows, int columns, boolean turned, DType buffer, long seed) {
        Tensor w = new Generator(seed).randn(rows, columns).to(DType.BF16);
        Tensor lies = turned ? w.t().contiguous().t() : w;
        return lies.requireGrad(new Leaf(lies, Tensor.empty(buffer, lies.shape())));
    }

    private static void onEveryBackend(Consumer<String> test) {
        for (Door.Backend b : Door.current().backends()) {
            if (b.kernels().isPresent()) {
                Door.only(b.name()).during(() -> {
                    test.accept(b.name());
                    return null;
                });
            }
        }
    }

    @TestFactory
    Stream<DynamicTest> productsAtAwkwardSizes() {
        List<DynamicTest> all = new ArrayList<>();
        for (int i = 0; i < SHAPES.length; i++) {
            int[] s = SHAPES[i];
            for (int form = 0; form < (s[1] > 1000 ? 1 : 4); form++) { // the largest one once
                boolean linear = form % 2 == 0;
                boolean turned = form / 2 == 1;
                DType buffer = (i + form) % 3 == 2 ? DType.F32 : DType.BF16;
                all.add(DynamicTest.dynamicTest((linear ? "linear " : "product ") + Arrays.toString(s)
                        + (turned ? " turned" : "") + " gathered in " + buffer,
                        () -> product(s[0], s[1], s[2], linear, turned, buffer)));
            }
        }
        return all.stream();
    }

    /// One pass: what goes in, and what must come out. A bias of F32 is added to the product and gets the sums of dy,
    /// which is not rounded for it.
    private record Pass(Tensor x, Tensor dy, Sums y, Sums dx, Sums dbias, Sums dw) {
        static Pass of(int pass, int rows, int in, int out, boolean linear, double[] w, double[] bias) {
            IntBinaryOperator outIn = linear ? (o, i) -> o * in + i : (o, i) -> i * out + o;
            Tensor x = new Generator(10 + pass).randn(rows, in);
            Tensor dy = new Generator(20 + pass).randn(rows, out);
            double[] rx = rounded(x);
            double[] rdy = rounded(dy);
            double[] ones = new double[rows];
            Arrays.fill(ones, 1);
            Sums y = Sums.of(rows, out, in, rx, (r, i) -> r * in + i, w, (i, o) -> outIn.applyAsInt(o, i));
            return new Pass(x, dy, linear ? y.plus(bias) : y,
                    Sums.of(rows, in, out, rdy, (r, o) -> r * out + o, w, outIn),
                    Sums.of(1, out, rows, ones, (_, r) -> r, dy.toDoubles(), (r, o) -> r * out + o),
                    linear ? Sums.of(out, in, rows, rdy, (o, r) -> r * out + o, rx, (r, i) -> r * in + i)
                            : Sums.of(in, out, rows, rx, (i, r) -> r * in + i, rdy, (r, o) -> r * out + o));
        }
    }

    private static void product(int rows, int in, int out, boolean linear, boolean turned, DType buffer) {
        int[] shape = linear ? new int[] {out, in} : new int[] {in, out};
        double[] weights = weight(shape[0], shape[1], turned, buffer, 1).toDoubles();
        Tensor bias = new Generator(2).randn(out).requireGrad();
        List<Pass> passes = IntStream.range(0, PASSES)
                .mapToObj(pass -> Pass.of(pass, rows, in, out, linear, weights, bias.toDoubles()))
                .toList();
        onEveryBackend(name -> {
            Tensor w = weight(shape[0], shape[1], turned, buffer, 1);
            Gathered dw = new Gathered(in * out, buffer);
            for (Pass pass : passes) {
                Tensor x = pass.x.detach().requireGrad();
                bias.leaf().orElseThrow().zero();
                try (Workspace _ = Workspace.open()) {
                    Tensor y = linear
                            ? Functional.linear(x.reshape(1, rows, in), w, Optional.of(bias)).reshape(rows, out)
                            : x.matmul(w);
                    pass.y.check(name + ", result", y);
                    y.backward(pass.dy);
                }
                pass.dx.check(name + ", gradient of x", x.grad());
                if (linear) {
                    pass.dbias.check(name + ", gradient of the bias", bias.grad());
                }
                assertEquals(buffer, w.grad().dtype());
                dw.add(pass.dw);
                dw.check(name + ", gradient of the weight", w.grad());
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> embeddingsAtAwkwardSizes() {
        List<DynamicTest> all = new ArrayList<>();
        for (int[] s : new int[][] {{0, 3, 4}, {1, 1, 1}, {31, 5, 17}, {257, 100, 64}, {100, 7, 129}}) {
            for (DType buffer : List.of(DType.BF16, DType.F32)) {
                for (boolean turned : new boolean[] {false, true}) {
                    all.add(DynamicTest.dynamicTest(Arrays.toString(s) + (turned ? " turned" : "") + " gathered in "
                            + buffer, () -> onEveryBackend(name -> embedding(name, s[0], s[1], s[2], turned, buffer))));
                }
            }
        }
        return all.stream();
    }

    private static long[] ids(int tokens, int vocabulary, int pass) {
        return LongStream.range(0, tokens).map(i -> (i * i + 3L * i * pass + pass) % vocabulary).toArray();
    }

    private static double[] oneHot(long[] ids, int vocabulary) {
        double[] hot = new double[ids.length * vocabulary];
        for (int i = 0; i < ids.length; i++) {
            hot[i * vocabulary + (int) ids[i]] = 1;
        }
        return hot;
    }

    private static void embedding(
            String name, int tokens, int vocabulary, int width, boolean turned, DType buffer) {
        Tensor table = weight(vocabulary, width, turned, buffer, 1);
        double[] rows = table.toDoubles();
        Gathered dw = new Gathered(vocabulary * width, buffer);
        for (int pass = 0; pass < PASSES; pass++) {
            long[] ids = ids(tokens, vocabulary, pass);
            Tensor dy = new Generator(20 + pass).randn(1, tokens, width);
            try (Workspace _ = Workspace.open()) {
                Tensor y = Functional.embedding(table, Tensor.of(ids, 1, tokens));
                double[] expected = new double[tokens * width];
                for (int i = 0; i < expected.length; i++) {
                    expected[i] = rows[(int) ids[i / width] * width + i % width];
                }
                assertArrayEquals(expected, y.toDoubles(), name);
                y.backward(dy);
            }
            // what comes in is not multiplied, and not rounded
            dw.add(Sums.of(vocabulary, width, tokens, oneHot(ids, vocabulary), (v, t) -> t * vocabulary + v,
                    dy.toDoubles(), (t, d) -> t * width + d));
            dw.check(name, table.grad());
        }
    }

    @TestFactory
    Stream<DynamicTest> oneTableForEmbeddingAndHead() {
        return Stream.of(DType.BF16, DType.F32).map(buffer -> DynamicTest.dynamicTest("gathered in " + buffer,
                () -> onEveryBackend(name -> tied(name, 67, 29, 51, buffer))));
    }

    /// The head's product comes first, as it was computed last; then the embedding adds what it has added up.
    private static void tied(String name, int tokens, int vocabulary, int width, DType buffer) {
        Tensor table = weight(vocabulary, width, false, buffer, 1);
        double[] rows = table.toDoubles();
        Gathered dw = new Gathered(vocabulary * width, buffer);
        for (int pass = 0; pass < PASSES; pass++) {
            long[] ids = ids(tokens, vocabulary, pass);
            Tensor dy = new Generator(20 + pass).randn(tokens, vocabulary);
            double[] rdy = rounded(dy);
            try (Workspace _ = Workspace.open()) {
                Tensor x = Functional.embedding(table, Tensor.of(ids)); // numbers of BF16
                double[] rx = x.toDoubles();
                Functional.linear(x, table, Optional.empty()).backward(dy);
                dw.add(Sums.of(vocabulary, width, tokens, rdy, (v, t) -> t * vocabulary + v, rx,
                        (t, d) -> t * width + d));
            }
            Sums dx = Sums.of(tokens, width, vocabulary, rdy, (t, v) -> t * vocabulary + v, rows,
                    (v, d) -> v * width + d);
            Sums gathered = Sums.of(vocabulary, width, tokens, oneHot(ids, vocabulary), (v, t) -> t * vocabulary + v,
                    dx.values, (t, d) -> t * width + d);
            for (int i = 0; i < tokens * width; i++) {
                gathered.errors[(int) ids[i / width] * width + i % width] += dx.errors[i];
            }
            dw.add(gathered);
            dw.check(name, table.grad());
        }
    }

    @AfterEach
    void allThreads() {
        Team.setThreads(Runtime.getRuntime().availableProcessors());
    }

    @Test
    void anyNumberOfThreadsGivesTheSameBits() {
        for (Door.Backend b : Door.current().backends()) {
            boolean shares = b.kernels().isPresent() && !b.name().equals("scalar"); // the plain loops share nothing
            for (int[] s : shares ? SHAPES : new int[0][]) {
                List<double[]> first = null;
                for (int threads : new int[] {1, 2, 3}) {
                    Team.setThreads(threads);
                    List<double[]> now = Door.only(b.name()).during(() -> gradients(s[0], s[1], s[2]));
                    for (int i = 0; first != null && i < now.size(); i++) {
                        assertTrue(Arrays.equals(first.get(i), now.get(i)),
                                b.name() + " " + Arrays.toString(s) + " with " + threads + " threads: " + i);
                    }
                    first = now;
                }
            }
        }
    }

    private static List<double[]> gradients(int rows, int in, int out) {
        Tensor w = weight(out, in, false, DType.BF16, 1);
        Tensor table = weight(7, in, false, DType.BF16, 2);
        Tensor x = new Generator(3).randn(rows, in).requireGrad();
        for (int pass = 0; pass < 2; pass++) {
            Tensor sum = x.add(Functional.embedding(table, Tensor.of(ids(rows, 7, pass))));
            Functional.linear(sum, w, Optional.empty()).backward(new Generator(4 + pass).randn(rows, out));
        }
        return List.of(w.grad().toDoubles(), table.grad().toDoubles(), x.grad().toDoubles());
    }
}
