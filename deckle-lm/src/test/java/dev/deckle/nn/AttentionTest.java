package dev.deckle.nn;

import static dev.deckle.nn.Numbers.assertClose;
import static dev.deckle.nn.Numbers.assertGradients;
import static dev.deckle.nn.Numbers.assertRefused;
import static dev.deckle.nn.Numbers.leaf;
import static dev.deckle.nn.Numbers.mask;
import static dev.deckle.nn.Numbers.randn;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Attention itself and its masks, on sizes that all differ.
class AttentionTest {
    private static final int B = 2;
    private static final int H = 6;
    private static final int G = 3;
    private static final int T = 4;
    private static final int S = 5;
    private static final int D = 8;
    private static final int E = 7;

    private static ScaledDotProductAttention attention(boolean causal) {
        return new ScaledDotProductAttention(1 / Math.sqrt(D), causal, new Dropout(0));
    }

    /// Element by element, query by query: the formula.
    private static double[] plain(Tensor q, Tensor k, Tensor v, Optional<Tensor> mask, boolean causal) {
        int t = q.dim(2);
        int s = k.dim(2);
        double[] y = new double[B * H * t * E];
        for (int row = 0; row < B * H * t; row++) {
            int b = row / (H * t);
            int h = row / t % H;
            int i = row % t;
            int g = h / (H / k.dim(1));
            double[] e = new double[s];
            for (int j = 0; j < s; j++) {
                double score = 0;
                for (int d = 0; d < D; d++) {
                    score += q.at(b, h, i, d) * k.at(b, g, j, d);
                }
                boolean seen = (!causal || j <= i + s - t) && sees(mask, b, h, i, j);
                e[j] = seen ? Math.exp(score / Math.sqrt(D)) : 0;
            }
            double sum = Arrays.stream(e).sum();
            for (int j = 0; j < s && sum > 0; j++) {
                for (int c = 0; c < E; c++) {
                    y[row * E + c] += e[j] / sum * v.at(b, g, j, c);
                }
            }
        }
        return y;
    }

    private static boolean sees(Optional<Tensor> mask, int b, int h, int i, int j) {
        return mask.map(m -> switch (m.rank()) {
            case 2 -> m.at(b, j);
            case 3 -> m.at(b, i, j);
            default -> m.at(b, m.dim(1) == 1 ? 0 : h, m.dim(2) == 1 ? 0 : i, j);
        } != 0).orElse(true);
    }

    static Stream<Arguments> masks() {
        List<Optional<Tensor>> kinds = List.of(Optional.empty(), Optional.of(mask(1, B, S)),
                Optional.of(mask(2, B, T, S)), Optional.of(mask(3, B, 1, T, S)), Optional.of(mask(4, B, H, T, S)),
                Optional.of(mask(5, B, 1, 1, S)));
        return kinds.stream().flatMap(m -> Stream.of(false, true).map(causal -> Arguments.of(m, causal)));
    }

    @ParameterizedTest
    @MethodSource("masks")
    void bothWaysAreTheFormula(Optional<Tensor> mask, boolean causal) {
        Tensor q = leaf(11, B, H, T, D);
        Tensor k = leaf(12, B, G, S, D);
        Tensor v = leaf(13, B, G, S, E);
        double[] expected = plain(q, k, v, mask, causal);
        Tensor fused = attention(causal).forward(q, k, v, mask, Pass.evaluate());
        Attended steps = attention(causal).forwardWithWeights(q, k, v, mask, Pass.evaluate());
        assertEquals(Shape.of(B, H, T, E), fused.shape());
        assertClose(expected, fused, 1e-12);
        assertClose(expected, steps.output(), 1e-12);
        assertEquals(Shape.of(B, H, T, S), steps.weights().shape());
        assertGradients(() -> attention(causal).forward(q, k, v, mask, Pass.evaluate()), List.of(q, k, v));
        assertGradients(() -> attention(causal).forwardWithWeights(q, k, v, mask, Pass.evaluate()).output(),
                List.of(q, k, v));
    }

    @Test
    void aQueryThatSeesNoKeyGivesZeros() {
        float[] m = mask(2, B, T, S).toFloats();
        Arrays.fill(m, S, 2 * S, 0); // query 1 of the first sequence
        Optional<Tensor> mask = Optional.of(Tensor.of(m, B, T, S));
        Tensor q = leaf(11, B, H, T, D);
        Tensor k = leaf(12, B, G, S, D);
        Tensor v = leaf(13, B, G, S, E);
        double[] expected = plain(q, k, v, mask, false);
        for (boolean fused : new boolean[] {true, false}) {
            List.of(q, k, v).forEach(x -> x.leaf().orElseThrow().zero());
            Tensor y = fused ? attention(false).forward(q, k, v, mask, Pass.evaluate())
                    : attention(false).forwardWithWeights(q, k, v, mask, Pass.evaluate()).output();
            assertClose(expected, y, 1e-12);
            assertEquals(0, y.slice(0, 0, 1).slice(2, 1, 2).abs().sum().item());
            y.mul(randn(7, B, H, T, E)).sum().backward();
            assertEquals(0, q.grad().slice(0, 0, 1).slice(2, 1, 2).abs().sum().item());
            for (Tensor x : List.of(q, k, v)) {
                assertTrue(Arrays.stream(x.grad().toDoubles()).allMatch(Double::isFinite));
            }
        }
    }

    /// Nothing of a key that nobody sees comes through, whatever it holds.
    @Test
    void whatIsHiddenDoesNotMatter() {
        Optional<Tensor> mask = Optional.of(Tensor.of(new float[] {1, 1, 0, 1, 1, 0, 1, 1, 1, 1}, B, S));
        Tensor q = randn(11, B, H, T, D);
        Tensor k = randn(12, B, G, S, D);
        Tensor v = randn(13, B, G, S, E);
        Tensor seen = mask.get().to(DType.BOOL).reshape(B, 1, S, 1);
        Tensor large = Tensor.full(DType.F64, 1e3, 1);
        Tensor expected = attention(true).forward(q, k, v, mask, Pass.evaluate());
        Tensor k2 = k.where(seen, large);
        Tensor v2 = v.where(seen, large);
        assertClose(expected, attention(true).forward(q, k2, v2, mask, Pass.evaluate()), 1e-12);
        assertClose(expected, attention(true).forwardWithWeights(q, k2, v2, mask, Pass.evaluate()).output(), 1e-12);
    }

    @Test
    void masksThatDoNotFitAreRefused() {
        for (int[] shape : new int[][] {{S}, {B, T}, {B + 1, S}, {B, S, T}, {B, 2, T, S}, {B, H, T, S + 1}}) {
            assertRefused("attention_mask has shape " + Shape.of(shape), () -> AttentionMask.visible(
                    Tensor.ones(shape), B, H, T, S));
        }
        Tensor additive = AttentionMask.additive(AttentionMask.visible(Tensor.of(new long[] {7, 0}, 1, 2), 1, 1, 3, 2),
                DType.F64);
        assertArrayEquals(new double[] {0, Double.NEGATIVE_INFINITY}, additive.toDoubles());
    }

    @Test
    void headsThatDoNotShareAreRefused() {
        Tensor q = randn(1, B, H, T, D);
        Tensor k = randn(2, B, 4, S, D);
        Tensor v = randn(3, B, 4, S, E);
        assertRefused("6 query heads", () -> attention(false).forwardWithWeights(q, k, v, Optional.empty(),
                Pass.evaluate()));
        assertRefused("6 heads, which the 4 key heads",
                () -> attention(false).forward(q, k, v, Optional.empty(), Pass.evaluate()));
    }

    @Test
    void dropoutActsOnTheWeightsInTrainingOnly() {
        var layer = new ScaledDotProductAttention(1 / Math.sqrt(D), true, new Dropout(0.4));
        Tensor q = randn(11, B, H, T, D);
        Tensor k = randn(12, B, H, S, D);
        Tensor v = randn(13, B, H, S, E);
        Attended quiet = attention(true).forwardWithWeights(q, k, v, Optional.empty(), Pass.evaluate());
        assertClose(quiet.output(), layer.forward(q, k, v, Optional.empty(), Pass.evaluate()), 1e-12);
        Attended noisy = layer.forwardWithWeights(q, k, v, Optional.empty(), Pass.train(new Generator(5)));
        assertClose(quiet.weights(), noisy.weights(), 1e-12); // those shown are from before
        Tensor keep = new Generator(5).bernoulli(0.6, B, H, T, S).to(DType.F64);
        Tensor expected = quiet.weights().mul(keep).div(0.6).matmul(v);
        assertClose(expected, noisy.output(), 1e-12);
        assertClose(expected, layer.forward(q, k, v, Optional.empty(), Pass.train(new Generator(5))), 1e-12);
        assertFalse(Arrays.equals(expected.toDoubles(), quiet.output().toDoubles()));
    }
}
