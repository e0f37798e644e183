package dev.deckle.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.Workspace;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/// Layers that are computed again, against the same layers that are remembered.
class RecomputedTest {
    private static final int LAYERS = 3;
    private static final int ROWS = 7;
    private static final int WIDTH = 37;

    private static Tensor weight(long seed) {
        return new Generator(seed).randn(WIDTH, WIDTH).mul(0.2).detach();
    }

    /// x goes straight into a sum and two products, whose gradients are gathered in place where they can be: in another
    /// order of additions, or into another buffer, the bits differ.
    private static Tensor layer(Tensor x, Tensor w, Tensor v) {
        Tensor h = Functional.linear(x, w, Optional.empty()).mul(Functional.linear(x, v, Optional.empty()).sigmoid());
        return x.add(h).add(h.tanh());
    }

    /// The result and all gradients of some layers.
    private static List<float[]> run(boolean recomputed, boolean inStep) {
        Tensor x = new Generator(1).randn(ROWS, WIDTH).requireGrad();
        List<Tensor> leaves = new ArrayList<>(List.of(x));
        for (int i = 0; i < 2 * LAYERS; i++) {
            leaves.add(weight(i + 2).requireGrad());
        }
        List<float[]> all = new ArrayList<>();
        try (Workspace _ = inStep ? Workspace.open() : null) {
            Tensor y = x;
            for (int i = 0; i < LAYERS; i++) {
                Tensor w = leaves.get(2 * i + 1);
                Tensor v = leaves.get(2 * i + 2);
                UnaryOperator<Tensor> layer = h -> layer(h, w, v);
                y = recomputed ? Functional.recomputed(y, layer, layer) : layer.apply(y);
            }
            all.add(y.toFloats());
            y.backward(new Generator(9).randn(ROWS, WIDTH));
            all.add(y.toFloats());
        }
        leaves.forEach(l -> all.add(l.grad().toFloats()));
        return all;
    }

    @Test
    void theSameBits() {
        List<float[]> expected = run(false, true);
        for (boolean inStep : new boolean[] {true, false}) {
            List<float[]> got = run(true, inStep);
            for (int i = 0; i < expected.size(); i++) {
                assertArrayEquals(expected.get(i), got.get(i), inStep + " " + i);
            }
        }
    }

    @Test
    void onlyInputAndResultAreKept() {
        Tensor w = weight(2).requireGrad();
        Tensor v = weight(3).requireGrad();
        UnaryOperator<Tensor> layer = h -> layer(h, w, v);
        long remembered; // at most, of a single layer and what its input is made of
        try (Workspace step = Workspace.open()) {
            layer.apply(Tensor.ones(16, WIDTH).requireGrad().exp()).backward(Tensor.ones(16, WIDTH));
            remembered = step.peakBytes();
        }
        try (Workspace step = Workspace.open()) {
            Tensor x = Tensor.ones(16, WIDTH);
            long one = step.usedBytes();
            Tensor y = x;
            for (int i = 0; i < 4; i++) {
                y = Functional.recomputed(y, layer, layer);
            }
            assertEquals(5 * one, step.usedBytes());
            assertEquals(12 * one, step.peakBytes(), "four inputs, the seven tensors of the last layer, its result");
            Tensor g = Tensor.ones(16, WIDTH);
            y.backward(g);
            // the third layer's turn: beside it the fourth's result, the second's input, and the gradient between them
            assertEquals(remembered + 3 * one, step.peakBytes());
            assertEquals(3 * one, step.usedBytes(), "x, the result and its gradient are the caller's");
        }
    }

    /// As below an adapter: what goes in has no gradient, what is inside has.
    @Test
    void aLayerLearnsByItself() {
        Tensor x = Tensor.of(new float[] {1, 2, 3}, 3);
        Tensor w = Tensor.of(new float[] {4, 5, 6}, 3).requireGrad();
        Functional.recomputed(x, h -> h.mul(w), h -> h.mul(w)).backward(Tensor.of(new float[] {1, 10, 100}, 3));
        assertArrayEquals(new double[] {1, 20, 300}, w.grad().toDoubles());
        assertFalse(Functional.recomputed(x, Tensor::exp, Tensor::exp).requiresGrad());
        x.requireGrad();
        assertFalse(Functional.recomputed(x, h -> h.detach().exp(), Tensor::exp).requiresGrad());
    }

    @Test
    void computedOnceForwardAndOnceBack() {
        int[] calls = new int[2];
        UnaryOperator<Tensor> layer = h -> {
            calls[0]++;
            return h.exp();
        };
        UnaryOperator<Tensor> again = h -> {
            calls[1]++;
            return h.exp();
        };
        Tensor x = Tensor.zeros(5).requireGrad();
        try (NoGrad _ = NoGrad.open()) {
            assertFalse(Functional.recomputed(x, layer, again).requiresGrad());
        }
        assertArrayEquals(new int[] {1, 0}, calls);
        Tensor y = Functional.recomputed(x, layer, again);
        assertArrayEquals(new int[] {2, 0}, calls);
        y.sum().backward();
        assertArrayEquals(new int[] {2, 1}, calls);
        assertArrayEquals(new double[] {1, 1, 1, 1, 1}, x.grad().toDoubles());
        assertTrue(NoGrad.recording());
    }

    @Test
    void oneInsideAnother() {
        Tensor x = Tensor.of(new double[] {0.5, -1, 2}, 3).requireGrad();
        UnaryOperator<Tensor> inner = Tensor::tanh;
        UnaryOperator<Tensor> outer = h -> Functional.recomputed(h.mul(2), inner, inner).square();
        assertTrue(GradCheck.worst(() -> Functional.recomputed(x, outer, outer).sum(), List.of(x), 1e-5) < 1e-8);
    }

    @Test
    void refusals() {
        Tensor x = Tensor.ones(2, 3).requireGrad();
        Tensor other = Tensor.ones(2, 3).requireGrad().exp();
        Tensor y = Functional.recomputed(x, h -> h.mul(other), h -> h.mul(other));
        var e = assertThrows(IllegalStateException.class, () -> y.sum().backward());
        assertTrue(e.getMessage().contains("reads a (2, 3) tensor, made by exp"), e.getMessage());
        var wrong = assertThrows(IllegalArgumentException.class, () -> Functional.recomputed(x, h -> h.sum(0, false),
                h -> h));
        assertTrue(wrong.getMessage().contains("F32 (2, 3), not F32 (3)"), wrong.getMessage());
        Tensor ids = Tensor.empty(DType.I64, Shape.of(2));
        assertThrows(IllegalArgumentException.class, () -> Functional.recomputed(ids, h -> h, h -> h));
    }
}
