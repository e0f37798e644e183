package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.autograd.Definitions;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.SelfTest;
import dev.deckle.kernel.Team;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// Every operation that has a kernel, on every backend of this machine: values and gradients against the scalar
/// definition in F64, at sizes with tails, on contiguous and on strided operands; a fused operation also against its
/// definition in plainer ones; and the same bits from one, two and three threads.
class BackendsTest {
    private static final int[] SIZES = {0, 1, 3, 7, 8, 13, 16, 17, 31, 64, 100, 257};

    /// One operation: from F64 inputs of these shapes to a result.
    private record Case(String name, int[][] shapes, Function<List<Tensor>, Tensor> f) {}

    private static List<Case> cases() {
        List<Case> all = new ArrayList<>();
        for (int i = 0; i < SIZES.length; i++) {
            int n = SIZES[i];
            int m = SIZES[(i + 5) % SIZES.length];
            int k = SIZES[(i + 8) % SIZES.length];
            String at = " " + n + " " + m + " " + k;
            all.add(new Case("functions" + at, new int[][] {{3, n}}, in -> in.get(0).gelu().add(in.get(0).silu())
                    .add(in.get(0).tanh()).add(in.get(0).sigmoid()).add(in.get(0).exp()).add(in.get(0).relu())));
            all.add(new Case("arithmetic" + at, new int[][] {{3, n}, {n}, {3, 1}}, in -> in.get(0).mul(in.get(1))
                    .add(in.get(2)).sub(in.get(1)).div(in.get(0).square().add(1)).maximum(in.get(1))
                    .affine(1.5, -0.3)));
            all.add(new Case("sums" + at, new int[][] {{2, n, 3}}, in -> in.get(0).sum(1, true).mul(in.get(0))));
            all.add(new Case("product" + at, new int[][] {{m, k}, {k, n}}, in -> in.get(0).matmul(in.get(1))));
            all.add(new Case("batched product" + at, new int[][] {{2, 3, n, 5}, {2, 3, n, 4}},
                    in -> in.get(0).t().matmul(in.get(1))));
            all.add(new Case("linear" + at, new int[][] {{2, m, k}, {n, k}, {n}},
                    in -> Functional.linear(in.get(0), in.get(1), Optional.of(in.get(2)))));
            all.add(new Case("linear of bf16" + at, new int[][] {{2, m, k}, {n, k}, {n}},
                    in -> halfLinear(in.get(0), in.get(1), Optional.of(in.get(2)))));
            all.add(new Case("product with bf16" + at, new int[][] {{m, k}, {n, k}},
                    in -> halfLinear(in.get(0), in.get(1), Optional.empty())));
            all.add(new Case("recomputed" + at, new int[][] {{m, n}}, in -> Functional.recomputed(in.get(0),
                    x -> x.add(x.silu().mul(x)), x -> x.add(x.silu().mul(x)))));
            all.add(new Case("swiglu" + at, new int[][] {{2, n}, {2, n}},
                    in -> Functional.swiglu(in.get(0), in.get(1))));
            if (n > 0) {
                all.add(new Case("rope" + at, new int[][] {{2, 3, 5, 2 * n}, {5, n}, {5, n}},
                        in -> Functional.rope(in.get(0), in.get(1).detach(), in.get(2).detach(), n % 2 == 0)));
                all.add(new Case("rope by row" + at, new int[][] {{2, 3, 5, 2 * n}, {2, 5, n}, {2, 5, n}},
                        in -> Functional.rope(in.get(0), in.get(1).detach(), in.get(2).detach(), n % 2 == 1)));
                all.add(new Case("softmax" + at, new int[][] {{3, n}},
                        in -> in.get(0).softmax(-1).add(in.get(0).logSoftmax(-1))));
                all.add(new Case("rms norm" + at, new int[][] {{2, 3, n}, {n}},
                        in -> Functional.rmsNorm(in.get(0), in.get(1), 1e-2)));
                all.add(new Case("layer norm" + at, new int[][] {{5, n}, {n}, {n}},
                        in -> Functional.layerNorm(in.get(0), in.get(1), in.get(2), 1e-2)));
                all.add(new Case("cross entropy" + at, new int[][] {{4, n}}, in -> Functional.crossEntropy(in.get(0),
                        Tensor.of(new long[] {0, n - 1, -100, n / 2}), -100)));
                for (boolean causal : new boolean[] {false, true}) {
                    all.add(new Case("attention " + causal + at, new int[][] {{2, 6, m, 5}, {2, 2, n, 5}, {2, 2, n, 3}},
                            in -> Functional.attention(in.get(0), in.get(1), in.get(2), Optional.empty(), causal,
                                    0.4)));
                }
                if (n >= m && n > 0) {
                    all.add(new Case("attention window" + at, new int[][] {{2, 6, m, 5}, {2, 2, n, 5}, {2, 2, n, 3}},
                            in -> Functional.attention(in.get(0), in.get(1), in.get(2), Optional.empty(), true,
                                    1 + n / 2, 0.4)));
                }
                all.add(new Case("attention one query" + at, new int[][] {{2, 12, 1, 5}, {2, 2, n, 5}, {2, 2, n, 3}},
                        in -> Functional.attention(in.get(0), in.get(1), in.get(2), Optional.empty(), true, 0.4)));
                all.add(new Case("attention masked" + at,
                        new int[][] {{1, 3, 4, n}, {1, 3, m, n}, {1, 3, m, n}, {4, m}},
                        in -> Functional.attention(in.get(0), in.get(1), in.get(2), Optional.of(in.get(3).detach()),
                                false,
                                0.4)));
            }
        }
        return all;
    }

    /// With a weight of BF16; in F64, what that means: both rounded, each with the gradient of what it was.
    private static Tensor halfLinear(Tensor x, Tensor w, Optional<Tensor> bias) {
        Tensor half = w.to(DType.BF16);
        if (x.dtype() == DType.F64) {
            Tensor rounding = x.detach().to(DType.BF16).to(DType.F64).sub(x.detach());
            return Functional.linear(x.add(rounding), half.to(DType.F64), bias);
        }
        Tensor weight = w.isContiguous() ? half : half.t().contiguous().t();
        return bias.isPresent() ? Functional.linear(x, weight, bias) : x.matmul(weight.t());
    }

    /// The result and the gradients of all inputs, for a weighted sum of the result.
    private static List<Tensor> run(Case c, DType t, boolean strided) {
        Generator random = new Generator(1);
        List<Tensor> in = new ArrayList<>();
        for (int[] shape : c.shapes) {
            Tensor x = random.randn(shape).to(t);
            if (strided && shape.length > 1) {
                x = x.transpose(0, -1).contiguous().transpose(0, -1); // the same numbers in another order of memory
            }
            in.add(x.requireGrad());
        }
        Tensor y = c.f.apply(in);
        Tensor weights = new Generator(2).randn(y.shape().toArray()).to(DType.BF16).to(t); // BF16 rounds gradients too
        y.mul(weights).sum().backward();
        List<Tensor> results = new ArrayList<>(List.of(y));
        in.forEach(x -> results.add(x.leaf().orElseThrow().isEmpty() ? Tensor.zeros(t, x.shape()) : x.grad()));
        return results;
    }

    private static void same(List<Tensor> expected, List<Tensor> actual) {
        for (int i = 0; i < expected.size(); i++) {
            double[] e = expected.get(i).toDoubles();
            double[] a = actual.get(i).toDoubles();
            assertEquals(e.length, a.length);
            double scale = 1 + Arrays.stream(e).map(Math::abs).max().orElse(0);
            for (int j = 0; j < e.length; j++) {
                assertEquals(e[j], a[j], 2e-5 * scale, (i == 0 ? "result" : "gradient " + i) + " at " + j);
            }
        }
    }

    @TestFactory
    Stream<DynamicTest> everyOperationOnEveryBackend() {
        List<String> backends = Door.current().backends().stream()
                .filter(b -> b.kernels().isPresent())
                .map(Door.Backend::name)
                .toList();
        assertTrue(backends.contains("vector"), Door.current().backends().toString());
        return cases().stream().map(c -> DynamicTest.dynamicTest(c.name, () -> {
            List<Tensor> expected = run(c, DType.F64, false);
            for (String backend : backends) {
                Door door = Door.only(backend);
                same(expected, door.during(() -> run(c, DType.F32, false)));
                same(expected, door.during(() -> run(c, DType.F32, true)));
            }
            same(expected, run(c, DType.F32, false)); // as they are mixed
        }));
    }

    @TestFactory
    Stream<DynamicTest> everyFusedOperationAgainstItsDefinition() {
        return cases().stream().map(c -> DynamicTest.dynamicTest(c.name, () -> {
            Case plain = new Case(c.name, c.shapes, in -> {
                Tensor y = c.f.apply(in);
                return y.creator().flatMap(Definitions::of).orElse(y);
            });
            same(run(plain, DType.F64, false), run(c, DType.F64, false));
        }));
    }

    /// Blocks in and out of order, rows of other lengths than their blocks' and shorter than the queries, windows;
    /// one query, for which heads are folded, and several.
    @TestFactory
    Stream<DynamicTest> attentionOverBlocks() {
        return Stream.of(1, 3, 70).flatMap(t -> Stream.of(1, 7, 64).flatMap(size -> Stream.of(0, 5, 40).map(
                window -> DynamicTest.dynamicTest(t + " queries, blocks of " + size + ", window " + window, () -> {
                    int n = Math.ceilDiv(300, size);
                    long[] table = new long[3 * n];
                    for (int i = 0; i < n; i++) {
                        table[i] = i; // in a row
                        table[n + i] = i % 2 == 0 ? n - 1 - i / 2 : i / 2; // in no order
                        table[2 * n + i] = i < 2 ? 2 - i : 1_000_000; // too short for these to be looked at
                    }
                    long[] lengths = {300, 257, Math.min(2, 2 * size - 1)};
                    List<Tensor> results = new ArrayList<>();
                    for (DType type : new DType[] {DType.F64, DType.F32}) {
                        Generator random = new Generator(1);
                        Tensor q = random.randn(3, 12, t, 9).to(type);
                        Tensor k = random.randn(n + 1, size, 2, 9).to(type);
                        Tensor v = random.randn(n + 1, size, 2, 5).to(type);
                        Tensor y = Functional.pagedAttention(q, k, v, Tensor.of(table, 3, n), Tensor.of(lengths, 3),
                                window, 0.3);
                        results.add(y);
                        if (type == DType.F64) {
                            var op = new Op.PagedAttention(q, k, v, Tensor.of(table, 3, n), Tensor.of(lengths, 3),
                                    window, 0.3);
                            same(List.of(Definitions.of(op).orElseThrow()), List.of(y));
                        } else {
                            for (Door.Backend b : Door.current().backends()) {
                                if (b.kernels().isPresent()) {
                                    same(results.subList(0, 1),
                                            List.of(Door.only(b.name()).during(() -> Functional.pagedAttention(q,
                                                    k, v, Tensor.of(table, 3, n), Tensor.of(lengths, 3), window,
                                                    0.3))));
                                }
                            }
                        }
                    }
                    same(results.subList(0, 1), results.subList(1, 2));
                }))));
    }

    @AfterEach
    void allThreads() {
        Team.setThreads(Runtime.getRuntime().availableProcessors());
    }

    @Test
    void anyNumberOfThreadsGivesTheSameBits() {
        List<Case> large = List.of(
                new Case("linear", new int[][] {{301, 190}, {177, 190}, {177}},
                        in -> Functional.linear(in.get(0), in.get(1), Optional.of(in.get(2)))),
                new Case("linear of bf16", new int[][] {{301, 190}, {177, 190}, {177}},
                        in -> halfLinear(in.get(0), in.get(1), Optional.of(in.get(2)))),
                new Case("few rows of bf16", new int[][] {{3, 1190}, {1177, 1190}, {1177}},
                        in -> halfLinear(in.get(0), in.get(1), Optional.of(in.get(2)))),
                new Case("attention", new int[][] {{2, 4, 133, 24}, {2, 2, 133, 24}, {2, 2, 133, 24}},
                        in -> Functional.attention(in.get(0), in.get(1), in.get(2), Optional.empty(), true, 0.2)),
                new Case("norms", new int[][] {{900, 131}, {131}, {131}}, in -> Functional.layerNorm(
                        Functional.rmsNorm(in.get(0), in.get(1), 1e-6), in.get(1), in.get(2), 1e-6)),
                new Case("loss", new int[][] {{64, 1011}}, in -> Functional.crossEntropy(in.get(0),
                        Tensor.arange(64), -100)),
                new Case("sums", new int[][] {{1700, 33}}, in -> in.get(0).sum(0, true).add(in.get(0).sum())),
                new Case("functions", new int[][] {{70_001}}, in -> in.get(0).gelu().mul(in.get(0))));
        for (Case c : large) {
            List<double[]> first = null;
            for (int threads : new int[] {1, 2, 3}) {
                Team.setThreads(threads);
                List<double[]> now = run(c, DType.F32, false).stream().map(Tensor::toDoubles).toList();
                for (int i = 0; first != null && i < now.size(); i++) {
                    assertTrue(Arrays.equals(first.get(i), now.get(i)), c.name + " with " + threads + " threads");
                }
                first = now;
            }
        }
    }

    /// Decoding and prefill see the same numbers: rounding does not depend on how many rows there are.
    @Test
    void aRowOfBf16IsTheSameAmongFewAndMany() {
        Tensor x = new Generator(1).randn(300, 129);
        Tensor w = new Generator(2).randn(90, 129).to(DType.BF16);
        for (Door.Backend b : Door.current().backends()) {
            if (b.kernels().isPresent()) {
                Door door = Door.only(b.name());
                double[] all = door.during(() -> Functional.linear(x, w, Optional.empty())).toDoubles();
                for (int rows : new int[] {1, 5, 16, 17}) {
                    double[] few = door.during(() -> Functional.linear(x.slice(0, 0, rows), w, Optional.empty()))
                            .toDoubles();
                    for (int i = 0; i < few.length; i++) {
                        assertEquals(all[i], few[i], 1e-5, b.name() + " " + rows + " rows at " + i);
                    }
                }
            }
        }
    }

    @Test
    void theSelfTestPassesAndFindsAWrongKernel() {
        assertTrue(SelfTest.run(Door.current()).stream().allMatch(SelfTest.Result::ok));
        assertTrue(SelfTest.run(Door.only("scalar")).stream().allMatch(r -> r.ok() && r.backend().equals("scalar")));
        assertFalse(new SelfTest.Result(Family.MATMUL, "x", Double.NaN).ok());
    }
}
