package dev.deckle.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static dev.deckle.nn.Numbers.assertClose;
import static dev.deckle.nn.Numbers.assertGradients;
import static dev.deckle.nn.Numbers.assertRefused;
import static dev.deckle.nn.Numbers.leaf;
import static dev.deckle.nn.Numbers.randn;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.List;
import dev.deckle.random.Generator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RotaryEmbeddingTest {
    private static final int D = 6;

    private static RotaryEmbedding rope(RotaryEmbedding.Layout layout) {
        return new RotaryEmbedding(D, 100, new RopeScaling.None(), layout);
    }

    @ParameterizedTest
    @EnumSource
    void scoresDependOnTheDistanceOnly(RotaryEmbedding.Layout layout) {
        RotaryEmbedding rope = rope(layout);
        Tensor q = randn(1, 1, 1, 1, D);
        Tensor k = randn(2, 1, 1, 1, D);
        for (int distance : new int[] {0, 1, 7, 30}) {
            double expected = rope.rotate(q, distance).mul(rope.rotate(k, 0)).sum().item();
            for (int at : new int[] {1, 13, 200}) {
                double found = rope.rotate(q, at + distance).mul(rope.rotate(k, at)).sum().item();
                assertEquals(expected, found, 1e-4); // angles are f32
            }
        }
        double same = q.mul(k).sum().item();
        assertEquals(same, rope.rotate(q, 5).mul(rope.rotate(k, 5)).sum().item(), 1e-6);
    }

    /// By complex numbers: pair i of position p is multiplied by e^(i p frequency).
    @ParameterizedTest
    @EnumSource
    void everyPairTurns(RotaryEmbedding.Layout layout) {
        Tensor x = randn(3, 2, 3, 4, D);
        Tensor y = rope(layout).rotate(x, 9);
        for (int t = 0; t < 4; t++) {
            for (int i = 0; i < D / 2; i++) {
                boolean half = layout == RotaryEmbedding.Layout.HALF;
                int a = half ? i : 2 * i;
                int b = half ? i + D / 2 : 2 * i + 1;
                double angle = (9 + t) * Math.pow(100, -2.0 * i / D);
                double re = x.at(1, 2, t, a);
                double im = x.at(1, 2, t, b);
                assertEquals(re * Math.cos(angle) - im * Math.sin(angle), y.at(1, 2, t, a), 1e-5);
                assertEquals(im * Math.cos(angle) + re * Math.sin(angle), y.at(1, 2, t, b), 1e-5);
            }
        }
    }

    @Test
    void theLayoutsDifferByThePlacesOnly() {
        Tensor x = randn(4, 2, 3, 5, D);
        Tensor halves = Functional.concat(List.of(x.slice(-1, 0, D, 2), x.slice(-1, 1, D, 2)), -1); // evens, odds
        Tensor y = rope(RotaryEmbedding.Layout.INTERLEAVED).rotate(x, 3);
        Tensor expected = Functional.concat(List.of(y.slice(-1, 0, D, 2), y.slice(-1, 1, D, 2)), -1);
        assertClose(expected, rope(RotaryEmbedding.Layout.HALF).rotate(halves, 3), 1e-12);
    }

    @Test
    void positionsOfTheirOwn() {
        RotaryEmbedding rope = rope(RotaryEmbedding.Layout.HALF);
        Tensor x = randn(5, 2, 3, 4, D);
        assertClose(rope.rotate(x, 6), rope.rotate(x, Tensor.of(new long[] {6, 7, 8, 9}, 4)), 1e-12);
        Tensor each = rope.rotate(x, Tensor.of(new long[] {0, 1, 2, 3, 70, 71, 72, 73}, 2, 4)); // (B, T)
        assertClose(rope.rotate(x.slice(0, 0, 1), 0), each.slice(0, 0, 1), 1e-12);
        assertClose(rope.rotate(x.slice(0, 1, 2), 70), each.slice(0, 1, 2), 1e-12);
        assertRefused("position_ids must be from 0", () -> rope.rotate(x, Tensor.of(new long[] {0, -1, 2, 3}, 4)));
        assertRefused("must be even", () -> new RotaryEmbedding(5, 100, new RopeScaling.None(),
                RotaryEmbedding.Layout.HALF));
    }

    /// Beyond the first table, and again before it: what was rotated stays as it is.
    @Test
    void theTableGrows() {
        RotaryEmbedding rope = rope(RotaryEmbedding.Layout.HALF);
        Tensor x = randn(6, 1, 2, 3, D);
        Tensor early = rope.rotate(x, 60);
        Tensor late = rope.rotate(x, 10_000);
        assertClose(early, rope.rotate(x, 60), 0);
        assertClose(rope(RotaryEmbedding.Layout.HALF).rotate(x, 10_000), late, 0);
    }

    @ParameterizedTest
    @EnumSource
    void gradients(RotaryEmbedding.Layout layout) {
        Tensor x = leaf(7, 2, 3, 4, D);
        assertGradients(() -> rope(layout).rotate(x, 11), List.of(x));
        assertGradients(() -> rope(layout).rotate(x, Tensor.of(new long[] {5, 0, 3, 1, 9, 9, 2, 4}, 2, 4)), List.of(x));
    }

    @Test
    void oneRowOfPositionsServesAllSequences() {
        var rope = new RotaryEmbedding(4, 10_000, new RopeScaling.None(), RotaryEmbedding.Layout.HALF);
        Tensor x = new Generator(1).randn(2, 3, 5, 4);
        Tensor positions = Tensor.of(new long[] {3, 0, 7, 7, 1}, 1, 5);
        assertArrayEquals(rope.rotate(x, positions.squeeze(0)).toFloats(), rope.rotate(x, positions).toFloats());
    }
}
