package dev.deckle.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.UnaryFn;
import dev.deckle.memory.Workspace;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// Every operation's derivative against central differences in F64, with sizes that are all different.
class GradientTest {
    private final Generator random = new Generator(7);

    private Tensor leaf(int... dims) {
        return random.randn(dims).to(DType.F64).requireGrad();
    }

    private Tensor fixed(int... dims) {
        return random.randn(dims).to(DType.F64);
    }

    private Tensor positive(int... dims) {
        return random.rand(dims).to(DType.F64).add(0.5).requireGrad();
    }

    /// The loss is a weighted sum of the result, so that every element has its own gradient.
    private void check(Function<List<Tensor>, Tensor> f, Tensor... leaves) {
        List<Tensor> in = List.of(leaves);
        Tensor probe;
        try (NoGrad _ = NoGrad.open()) {
            probe = f.apply(in);
        }
        Tensor weights = fixed(probe.shape().toArray());
        double worst = GradCheck.worst(() -> f.apply(in).mul(weights).sum(), in, 1e-5);
        assertTrue(worst < 2e-8, "worst error " + worst);
    }

    private void unary(UnaryOperator<Tensor> f, Tensor x) {
        check(in -> f.apply(in.getFirst()), x);
    }

    @TestFactory
    Stream<DynamicTest> functionsOfOneNumber() {
        return Stream.of(UnaryFn.values()).map(f -> DynamicTest.dynamicTest(f.name(), () -> {
            // away from kinks and poles
            Tensor x = positive(3, 4);
            unary(t -> byName(f, t), x);
            if (f != UnaryFn.LOG && f != UnaryFn.SQRT && f != UnaryFn.RSQRT) {
                unary(t -> byName(f, t), Tensor.of(new double[] {-2.3, -0.7, -0.11, 0.4, 3.1}).requireGrad());
            }
        }));
    }

    private static Tensor byName(UnaryFn f, Tensor x) {
        return switch (f) {
            case NEG -> x.neg();
            case ABS -> x.abs();
            case SIGN -> x.sign();
            case EXP -> x.exp();
            case LOG -> x.log();
            case SQRT -> x.sqrt();
            case RSQRT -> x.rsqrt();
            case RECIPROCAL -> x.reciprocal();
            case SIN -> x.sin();
            case COS -> x.cos();
            case TANH -> x.tanh();
            case ERF -> x.erf();
            case SIGMOID -> x.sigmoid();
            case LOG_SIGMOID -> x.logSigmoid();
            case RELU -> x.relu();
            case SILU -> x.silu();
            case GELU -> x.gelu();
            case GELU_TANH -> x.geluTanh();
        };
    }

    @Test
    void functionsOfTwoNumbersBroadcast() {
        int[][][] shapes = {{{3, 4}, {3, 4}}, {{3, 1, 5}, {4, 1}}, {{2, 3}, {}}, {{1}, {2, 3}}, {{2, 1, 3}, {2, 4, 3}}};
        for (int[][] s : shapes) {
            check(in -> in.get(0).add(in.get(1)), leaf(s[0]), leaf(s[1]));
            check(in -> in.get(0).sub(in.get(1)), leaf(s[0]), leaf(s[1]));
            check(in -> in.get(0).mul(in.get(1)), leaf(s[0]), leaf(s[1]));
            check(in -> in.get(0).div(in.get(1)), leaf(s[0]), positive(s[1]));
            check(in -> in.get(0).pow(in.get(1)), positive(s[0]), leaf(s[1]));
            check(in -> in.get(0).maximum(in.get(1)), leaf(s[0]), leaf(s[1]));
            check(in -> in.get(0).minimum(in.get(1)), leaf(s[0]), leaf(s[1]));
            Tensor a = leaf(s[0]);
            Tensor b = leaf(s[1]);
            Tensor condition = a.detach().gt(b.detach());
            check(in -> in.get(0).where(condition, in.get(1)), a, b);
        }
    }

    @Test
    void equalElementsShareTheGradientOfAMaximum() {
        Tensor a = Tensor.of(new double[] {1, 2, 2}).requireGrad();
        Tensor b = Tensor.of(new double[] {1, 1, 3}).requireGrad();
        a.maximum(b).sum().backward();
        assertEquals(List.of(0.5, 1.0, 0.0), boxed(a.grad()));
        assertEquals(List.of(0.5, 0.0, 1.0), boxed(b.grad()));
        Tensor c = Tensor.of(new double[] {2, 5, 5}).requireGrad();
        c.max(0, false).backward();
        assertEquals(List.of(0.0, 0.5, 0.5), boxed(c.grad()));
    }

    private static List<Double> boxed(Tensor t) {
        List<Double> l = new ArrayList<>();
        for (double d : t.toDoubles()) {
            l.add(d);
        }
        return l;
    }

    @Test
    void movements() {
        unary(x -> x.affine(-1.5, 0.25), leaf(2, 3));
        unary(x -> x.reshape(6, -1).square(), leaf(2, 3, 4));
        unary(x -> x.permute(2, 0, 1).square(), leaf(2, 3, 4));
        unary(x -> x.permute(2, 0, 1).reshape(-1).square(), leaf(2, 3, 4));
        unary(x -> x.expand(5, 2, 3).square(), leaf(2, 1));
        unary(x -> x.slice(1, 1, 6, 2).square(), leaf(3, 7));
        unary(x -> x.slice(0, 0, 2).mul(x.slice(0, 1, 3)), leaf(3, 4)); // two slices of one tensor
        unary(x -> x.unsqueeze(1).squeeze(1).t().unsqueeze(0).square(), leaf(2, 3));
        unary(x -> x.t().contiguous().square(), leaf(2, 3));
        check(in -> Functional.concat(List.of(in.get(0), in.get(1), in.get(0)), 1).square(), leaf(2, 3), leaf(2, 5));
        unary(x -> x.chunk(3, -1).get(1).square(), leaf(2, 6));
    }

    @Test
    void reductions() {
        for (int d = 0; d < 3; d++) {
            int dim = d;
            unary(x -> x.sum(dim, false).square(), leaf(2, 3, 4));
            unary(x -> x.mean(dim, true).square(), leaf(2, 3, 4));
            unary(x -> x.max(dim, false).square(), leaf(2, 3, 4));
            unary(x -> x.cumsum(dim).square(), leaf(2, 3, 4));
            unary(x -> x.softmax(dim), leaf(2, 3, 4));
            unary(x -> x.logSoftmax(dim), leaf(2, 3, 4));
        }
        unary(Tensor::mean, leaf(2, 3));
    }

    @Test
    void products() {
        check(in -> in.get(0).matmul(in.get(1)), leaf(3, 4), leaf(4, 5));
        check(in -> in.get(0).matmul(in.get(1)), leaf(2, 3, 4), leaf(4, 5));
        check(in -> in.get(0).matmul(in.get(1).t()), leaf(2, 3, 4), leaf(2, 5, 4));
        check(in -> in.get(0).t().matmul(in.get(1)), leaf(2, 7, 4, 3), leaf(2, 7, 4, 5));
        check(in -> in.get(0).transpose(1, 2).matmul(in.get(1)), leaf(2, 3, 5, 4), leaf(2, 5, 4, 6));
        check(in -> Functional.linear(in.get(0), in.get(1), Optional.empty()), leaf(2, 3, 4), leaf(5, 4));
        check(in -> Functional.linear(in.get(0), in.get(1), Optional.of(in.get(2))), leaf(3, 4), leaf(5, 4), leaf(5));
        // one weight twice: gradients add up
        check(in -> Functional.linear(Functional.linear(in.get(0), in.get(1), Optional.empty()), in.get(1),
                Optional.empty()), leaf(3, 4), leaf(4, 4));
        check(in -> in.get(0).matmul(in.get(1)).add(in.get(0).matmul(in.get(1).mul(2))), leaf(3, 4), leaf(4, 5));
    }

    @Test
    void lookUps() {
        Tensor ids = Tensor.of(new long[] {2, 0, 2, 1, 2, 2}, 2, 3);
        unary(w -> Functional.embedding(w, ids).square(), leaf(4, 5));
        Tensor index = Tensor.of(new long[] {1, 1, 0, 2, 3, 1}, 2, 3);
        unary(x -> x.gather(1, index).square(), leaf(2, 4));
        unary(x -> x.gather(0, Tensor.of(new long[] {1, 1, 0}, 1, 3)).square(), leaf(2, 3));
    }

    @Test
    void norms() {
        check(in -> Functional.rmsNorm(in.get(0), in.get(1), 1e-5), leaf(2, 3, 7), leaf(7));
        check(in -> Functional.layerNorm(in.get(0), in.get(1), in.get(2), 1e-5), leaf(5, 7), leaf(7), leaf(7));
    }

    @Test
    void rotations() {
        for (boolean interleaved : new boolean[] {false, true}) {
            Tensor cos = fixed(5, 3);
            Tensor sin = fixed(5, 3);
            unary(x -> Functional.rope(x, cos, sin, interleaved), leaf(2, 4, 5, 6));
            unary(x -> Functional.rope(x.transpose(1, 2), cos, sin, interleaved), leaf(2, 5, 4, 6));
            unary(x -> Functional.rope(x, cos, sin, interleaved), leaf(5, 6));
            Tensor cosB = fixed(2, 5, 3);
            Tensor sinB = fixed(2, 5, 3);
            unary(x -> Functional.rope(x, cosB, sinB, interleaved), leaf(2, 4, 5, 6));
        }
    }

    @Test
    void swigluAndCrossEntropy() {
        check(in -> Functional.swiglu(in.get(0), in.get(1)), leaf(3, 5), leaf(3, 5));
        Tensor targets = Tensor.of(new long[] {4, -100, 0, 2});
        unary(x -> Functional.crossEntropy(x, targets, -100), leaf(4, 5));
    }

    @Test
    void linearCrossEntropy() {
        Tensor targets = Tensor.of(new long[] {6, -100, 0, 2, 2});
        check(in -> Functional.linearCrossEntropy(in.get(0), in.get(1), targets, -100), leaf(5, 3), leaf(7, 3));
        check(in -> Functional.linearCrossEntropy(in.get(0).mul(2), in.get(1).t(), targets, -100), leaf(5, 3),
                leaf(3, 7)); // neither is a leaf
        Tensor x = fixed(5, 3);
        Tensor w = fixed(7, 3);
        check(in -> Functional.linearCrossEntropy(in.get(0), w, targets, -100), leaf(5, 3));
        check(in -> Functional.linearCrossEntropy(x, in.get(0), targets, -100), leaf(7, 3));
    }

    /// So many classes that their rows are made in parts, with the definition's values and gradients. In a step its
    /// gradient is used up, and says so.
    @Test
    void linearCrossEntropyInParts() {
        int n = 70;
        int classes = 300_001;
        Tensor rows = random.randn(n, 3);
        Tensor weights = random.randn(classes, 3);
        long[] ids = new long[n];
        for (int i = 0; i < n; i++) {
            ids[i] = i % 9 == 4 ? -100 : (long) i * 4_111;
        }
        Tensor targets = Tensor.of(ids);
        double[] values = new double[2];
        double[][] seen = new double[4][];
        for (int fused = 0; fused < 2; fused++) {
            Tensor x = rows.detach().requireGrad();
            Tensor w = weights.detach().requireGrad();
            try (Workspace _ = Workspace.open()) {
                Tensor loss = fused == 1
                        ? Functional.linearCrossEntropy(x, w, targets, -100)
                        : Functional.crossEntropy(Functional.linear(x, w, Optional.empty()), targets, -100).sum();
                values[fused] = loss.item();
                loss.backward(Tensor.full(DType.F32, 0.3));
                seen[2 * fused] = x.grad().toDoubles();
                seen[2 * fused + 1] = w.grad().toDoubles();
                if (fused == 1) {
                    Tensor again = Tensor.full(DType.F32, 1);
                    var e = assertThrows(IllegalStateException.class, () -> loss.backward(again));
                    assertTrue(e.getMessage().contains("used up by backward()"), e.getMessage());
                }
            }
        }
        assertEquals(values[0], values[1], 1e-6 * values[0]);
        for (int i = 0; i < 2; i++) {
            for (int j = 0; j < seen[i].length; j++) {
                assertEquals(seen[i][j], seen[2 + i][j], 1e-6, "operand " + i + " at " + j);
            }
        }
    }

    /// So long that there are several tiles and blocks of queries, some with keys that begin inside a tile: against the
    /// definition, whose gradients the tests above check.
    @Test
    void attentionOverTiles() {
        int t = 290;
        int s = 330;
        Tensor q = fixed(1, 4, t, 3);
        Tensor k = fixed(1, 2, s, 3);
        Tensor v = fixed(1, 2, s, 5);
        Tensor weights = fixed(1, 4, t, 5);
        for (int window : new int[] {0, 70}) {
            double[][] gradients = new double[6][];
            for (int fused = 0; fused < 2; fused++) {
                List<Tensor> in = List.of(q.detach().requireGrad(), k.detach().requireGrad(),
                        v.detach().requireGrad());
                var op = new Op.Attention(in.get(0), in.get(1), in.get(2), Optional.empty(), true, window, 0.6, false,
                        Tensor.empty(DType.F64, Shape.of(1, 4, t)));
                Tensor y = fused == 1
                        ? Functional.attention(in.get(0), in.get(1), in.get(2), Optional.empty(), true, window, 0.6)
                        : Definitions.of(op).orElseThrow();
                y.mul(weights).sum().backward();
                for (int i = 0; i < 3; i++) {
                    gradients[3 * fused + i] = in.get(i).grad().toDoubles();
                }
            }
            for (int i = 0; i < 3; i++) {
                assertArrayEquals(gradients[i], gradients[3 + i], 1e-12, "operand " + i + ", window " + window);
            }
        }
    }

    /// Rounded attention against its definition, which rounds what goes into products, but no gradient of a score.
    @Test
    void attentionOfRoundedNumbers() {
        int t = 70;
        Tensor q = fixed(2, 4, t, 6).to(DType.F32);
        Tensor k = fixed(2, 2, t, 6).to(DType.F32);
        Tensor v = fixed(2, 2, t, 5).to(DType.F32);
        Tensor weights = fixed(2, 4, t, 5).to(DType.F32);
        double[][] found = new double[8][];
        for (int fused = 0; fused < 2; fused++) {
            List<Tensor> in = List.of(q.detach().requireGrad(), k.detach().requireGrad(), v.detach().requireGrad());
            var op = new Op.Attention(in.get(0), in.get(1), in.get(2), Optional.empty(), true, 0, 0.6, true,
                    Tensor.empty(DType.F32, Shape.of(2, 4, t)));
            Tensor y = fused == 1
                    ? Functional.attention(in.get(0), in.get(1), in.get(2), Optional.empty(), true, 0, 0.6, true)
                    : Definitions.of(op).orElseThrow();
            found[4 * fused] = y.toDoubles();
            y.mul(weights).sum().backward();
            for (int i = 0; i < 3; i++) {
                found[4 * fused + 1 + i] = in.get(i).grad().toDoubles();
            }
        }
        assertArrayEquals(found[0], found[4], 1e-5, "output");
        for (int i = 1; i < 4; i++) {
            assertArrayEquals(found[i], found[4 + i], 0.02, "operand " + (i - 1));
        }
        Tensor wide = fixed(1, 1, 2, 2);
        assertThrows(IllegalArgumentException.class,
                () -> Functional.attention(wide, wide, wide, Optional.empty(), true, 0, 1, true));
    }

    @Test
    void attention() {
        Map<String, int[]> sizes = new LinkedHashMap<>(); // B, H, G, T, S, D, E
        sizes.put("heads share keys", new int[] {2, 6, 2, 3, 5, 4, 3});
        sizes.put("one key head", new int[] {1, 3, 1, 4, 4, 2, 2});
        sizes.put("each its own", new int[] {2, 2, 2, 5, 3, 3, 4});
        sizes.forEach((_, z) -> {
            for (boolean causal : new boolean[] {false, true}) {
                for (int m = 0; m < 2; m++) {
                    Optional<Tensor> mask = m == 0 ? Optional.empty()
                            : Optional.of(fixed(z[0], 1, z[3], z[4]));
                    check(in -> Functional.attention(in.get(0), in.get(1), in.get(2), mask, causal, 0.37),
                            leaf(z[0], z[1], z[3], z[5]), leaf(z[0], z[2], z[4], z[5]), leaf(z[0], z[2], z[4], z[6]));
                }
            }
        });
    }

    /// Views that repeat a dimension have strides of 0, in every place where an operand lies.
    @Test
    void repeatedOperands() {
        Tensor cos = fixed(5, 3);
        Tensor sin = fixed(5, 3);
        unary(x -> Functional.rope(x.expand(2, 4, 5, 6), cos, sin, false), leaf(1, 4, 5, 6));
        unary(x -> Functional.rope(x, cos, sin, true).sum(0, true).sum(2, true).square(), leaf(2, 4, 5, 6));
        check(in -> Functional.attention(in.get(0), in.get(1).expand(2, 4, 5, 3), in.get(2).expand(2, 4, 5, 2),
                Optional.empty(), true, 0.4), leaf(2, 4, 3, 3), leaf(2, 1, 5, 3), leaf(1, 4, 5, 2));
        check(in -> Functional.linear(in.get(0).expand(3, 4), in.get(1), Optional.empty()), leaf(1, 4), leaf(5, 4));
        check(in -> in.get(0).expand(2, 3, 4).matmul(in.get(1).expand(2, 4, 5)), leaf(3, 4), leaf(4, 5));
        unary(x -> x.expand(3, 4).softmax(-1), leaf(3, 1));
        check(in -> Functional.rmsNorm(in.get(0).expand(3, 4), in.get(1), 1e-3), leaf(1, 4), leaf(4));
    }

    @Test
    void powersAtZero() {
        Tensor x = Tensor.of(new double[] {0, 0, 2}).requireGrad();
        Tensor z = Tensor.of(new double[] {0, 3, 0}).requireGrad();
        x.pow(z).sum().backward();
        assertEquals(List.of(0.0, 0.0, 0.0), boxed(x.grad()));
        assertEquals(List.of(0.0, 0.0, Math.log(2)), boxed(z.grad()));
    }

    @Test
    void halfPrecisionIsForStorage() {
        Tensor half = Tensor.ones(4).to(DType.BF16);
        assertThrows(IllegalArgumentException.class, Tensor.ones(4).to(DType.F16)::requireGrad);
        assertThrows(IllegalArgumentException.class, () -> half.add(half));
        Tensor x = leaf(3, 4);
        x.to(DType.BF16).to(DType.F64).sum().backward(); // through it and back is fine
        assertEquals(1, x.grad().at(2, 3));
        for (DType t : List.of(DType.BF16, DType.F16)) { // used twice: added up on the way
            x.leaf().orElseThrow().zero();
            Tensor h = x.to(t);
            h.to(DType.F64).add(h.t().to(DType.F64).t().mul(3.00390625)).sum().backward();
            assertEquals(4.00390625, x.grad().at(2, 3));
        }
    }

    /// x and the gradient that comes in are rounded, the product is, and each sum: 1 + 2^-8 to 1, 1 + 3 2^-8 to
    /// 1 + 2^-6, and thrice 3 (1 + 2^-6) = 9.140625 to 9.125.
    @Test
    void weightsOfBf16Learn() {
        for (DType buffer : List.of(DType.BF16, DType.F32)) {
            Tensor w = Tensor.of(new float[] {1, 2}, 1, 2).to(DType.BF16);
            w.requireGrad(new Leaf(w, Tensor.empty(buffer, w.shape())));
            Tensor x = Tensor.of(new float[] {1.00390625f, 3}, 1, 2).requireGrad();
            Tensor dy = Tensor.of(new float[] {1.01171875f}, 1, 1);
            for (int i = 1; i <= 3; i++) {
                Tensor y = i == 2 ? x.matmul(w.t()) : Functional.linear(x, w, Optional.empty());
                assertEquals(7, y.item());
                y.backward(dy);
                assertEquals(buffer, w.grad().dtype());
                double second = i < 3 || buffer == DType.F32 ? i * 3.046875 : 9.125;
                assertEquals(List.of(i * 1.015625, second), boxed(w.grad()));
            }
            assertEquals(List.of(3 * 1.015625, 6 * 1.015625), boxed(x.grad()));
        }
    }

    /// 1 + 2^-8 + 2^-8 is a number of BF16, which rounding after each addition would not reach.
    @Test
    void whatOnePlaceOfBf16GathersIsAddedUpFirst() {
        Tensor tiny = Tensor.of(new float[] {1, 0.00390625f, 0.00390625f}, 3, 1);
        List<Double> expected = List.of(0.0, 1.0078125, 0.0);
        Tensor table = Tensor.ones(3, 1).to(DType.BF16).requireGrad();
        Functional.embedding(table, Tensor.of(new long[] {1, 1, 1})).backward(tiny);
        assertEquals(expected, boxed(table.grad()));
        Functional.embedding(table, Tensor.of(new long[] {1, 0, 1})).backward(tiny); // 2 + 3 2^-8: up
        assertEquals(List.of(0.00390625, 2.015625, 0.0), boxed(table.grad()));

        table.leaf().orElseThrow().zero();
        table.gather(0, Tensor.of(new long[] {1, 1, 1}, 3, 1)).to(DType.F32).backward(tiny);
        assertEquals(expected, boxed(table.grad()));

        table.leaf().orElseThrow().zero();
        Tensor one = table.slice(0, 1, 2);
        Functional.concat(List.of(one, one, one), 0).to(DType.F32).backward(tiny);
        assertEquals(expected, boxed(table.grad()));
        for (int i = 1; i <= 2; i++) {
            table.slice(0, 0, 3, 2).to(DType.F32).backward(tiny.slice(0, 0, 2)); // and every other row
            assertEquals(List.of(i * 1.0, 1.0078125, i * 0.00390625), boxed(table.grad()));
        }
    }

    @Test
    void buffersOfLeaves() {
        Tensor half = Tensor.ones(2, 3).to(DType.BF16);
        for (DType t : List.of(DType.F64, DType.F16)) {
            assertThrows(IllegalArgumentException.class, () -> new Leaf(half, Tensor.empty(t, half.shape())));
        }
        assertThrows(IllegalArgumentException.class, () -> new Leaf(half, Tensor.ones(3, 2)));
        assertThrows(IllegalArgumentException.class, () -> new Leaf(half, Tensor.ones(3, 2).t()));
        assertThrows(IllegalArgumentException.class, () -> new Leaf(Tensor.ones(2, 3), half));
    }

    @Test
    void gradientsAddUpInLeavesUntilZeroed() {
        Tensor x = Tensor.of(new double[] {1, 2}).requireGrad();
        x.square().sum().backward();
        x.square().sum().backward();
        assertEquals(List.of(4.0, 8.0), boxed(x.grad()));
        x.leaf().orElseThrow().zero();
        x.mul(3).sum().backward();
        assertEquals(List.of(3.0, 3.0), boxed(x.grad()));
    }

    @Test
    void aTensorUsedManyTimes() {
        unary(x -> {
            Tensor y = x.mul(2);
            return y.mul(y).add(y).add(y.exp()).sub(x);
        }, leaf(3, 2));
    }

    /// A sum hands the same gradient to both of its operands: adding to one in place would change the other.
    @Test
    void gradientsThatShareMemoryStayApart() {
        check(in -> {
            Tensor a = in.get(0).mul(2);
            Tensor b = in.get(1).mul(3);
            Tensor early = a.exp();
            return a.add(b).add(early);
        }, leaf(3, 2), leaf(3, 2));
    }

    @Test
    void theCallersGradientIsNotChanged() {
        Tensor a = leaf(3).mul(2);
        Tensor ones = Tensor.full(DType.F64, 1, 6);
        // the part for a waits while the longer way round to a is walked
        Functional.concat(List.of(a, a.exp().neg()), 0).backward(ones);
        assertEquals(List.of(1.0, 1.0, 1.0, 1.0, 1.0, 1.0), boxed(ones));
        Tensor x = leaf(2, 3);
        Tensor g = Tensor.full(DType.F64, 1, 2, 3);
        x.add(x.mul(2)).add(x.mul(3)).backward(g);
        assertEquals(List.of(1.0, 1.0, 1.0, 1.0, 1.0, 1.0), boxed(g));
        assertEquals(List.of(6.0, 6.0, 6.0, 6.0, 6.0, 6.0), boxed(x.grad()));
    }

    @Test
    void insideAWorkspaceTheGraphGivesItsMemoryBack() {
        Tensor w = leaf(64, 64);
        long peakOfTwo = peak(w, 2);
        long peakOfTwenty = peak(w, 20);
        // twenty layers keep twenty activations, but not twenty gradients as well
        assertTrue(peakOfTwenty < peakOfTwo * 10.0, peakOfTwo + " then " + peakOfTwenty);
        try (Workspace _ = Workspace.open()) {
            Tensor x = fixed(8, 64);
            Tensor h = Functional.linear(x, w, Optional.empty());
            Tensor loss = h.square().sum();
            loss.backward();
            assertTrue(Double.isFinite(loss.item()));
            var e = assertThrows(IllegalStateException.class, h::toDoubles);
            assertTrue(e.getMessage().contains("released by backward()"), e.getMessage());
            assertEquals(64 * 64, w.grad().numel());
        }
    }

    private long peak(Tensor w, int layers) {
        try (var step = Workspace.open()) {
            Tensor x = fixed(64, 64);
            for (int i = 0; i < layers; i++) {
                x = Functional.linear(x, w, Optional.empty()).tanh();
            }
            long before = step.usedBytes();
            x.sum().backward();
            assertTrue(step.usedBytes() < before, "backward() gives memory back");
            return before;
        }
    }

    @Test
    void nothingIsRecordedInsideNoGrad() {
        Tensor x = leaf(2);
        try (NoGrad _ = NoGrad.open()) {
            assertTrue(!x.mul(2).requiresGrad());
        }
        assertTrue(x.mul(2).requiresGrad());
        assertTrue(!x.mul(2).detach().requiresGrad());
        assertThrows(IllegalStateException.class, () -> x.detach().sum().backward());
        assertThrows(IllegalArgumentException.class, () -> x.mul(2).backward());
        assertThrows(IllegalStateException.class, () -> x.mul(2).requireGrad());
        assertThrows(IllegalStateException.class, () -> Tensor.zeros(DType.F64, Shape.of(2)).requireGrad().grad());
    }
}
