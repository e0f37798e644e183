package dev.deckle.nn;

import static dev.deckle.nn.Numbers.assertClose;
import static dev.deckle.nn.Numbers.assertGradients;
import static dev.deckle.nn.Numbers.leaf;
import static dev.deckle.nn.Numbers.randn;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.ModelMemory;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Networks of a few layers, and the activations between them.
class NetworksTest {
    private final ModelMemory memory = new ModelMemory();

    @AfterEach
    void free() {
        memory.close();
    }

    private Weights weights(DType dtype) {
        return Weights.init(memory, new Generator(1), dtype);
    }

    private static Tensor flat(double[][] rows) {
        return Tensor.of(Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray(), rows.length, rows[0].length);
    }

    private static double[][] rows(Tensor x) {
        double[][] rows = new double[x.dim(0)][];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = x.select(0, i).toDoubles();
        }
        return rows;
    }

    @Test
    void autogradAndTheHandWrittenBackwardAgree() {
        var hand = new HandWrittenMlp(5, 9, 4, RandomGenerator.of("L64X128MixRandom"));
        Weights w = weights(DType.F64);
        Mlp mlp = new Mlp(w, 5, 9, 4);
        Map<String, Tensor> p = w.finish();
        double[] b1 = p.get("fc1.bias").toDoubles();
        double[] b2 = p.get("fc2.bias").toDoubles();
        System.arraycopy(b1, 0, hand.b1, 0, b1.length);
        System.arraycopy(b2, 0, hand.b2, 0, b2.length);
        flat(hand.w1).t().copyInto(p.get("fc1.weight"));
        flat(hand.w2).t().copyInto(p.get("fc2.weight"));
        Tensor x = leaf(2, 6, 5);
        Tensor dy = randn(3, 6, 4);
        Tensor y = mlp.forward(x);
        assertClose(flat(hand.forward(rows(x))), y, 1e-12);
        y.backward(dy);
        HandWrittenMlp.Gradients g = hand.backward(rows(dy));
        assertClose(flat(g.w1()).t(), p.get("fc1.weight").grad(), 1e-12);
        assertClose(g.b1(), p.get("fc1.bias").grad(), 1e-12);
        assertClose(flat(g.w2()).t(), p.get("fc2.weight").grad(), 1e-12);
        assertClose(g.b2(), p.get("fc2.bias").grad(), 1e-12);
        assertClose(flat(g.x()), x.grad(), 1e-12);
        double bound = Math.sqrt(6.0 / (5 + 9));
        assertTrue(Arrays.stream(hand.w1).flatMapToDouble(Arrays::stream).allMatch(v -> Math.abs(v) <= bound));
    }

    @Test
    void feedForwardNetworks() {
        for (UnaryOperator<Tensor> f : List.<UnaryOperator<Tensor>>of(Tensor::relu, Tensor::gelu, Tensor::geluTanh)) {
            Weights w = weights(DType.F64);
            FeedForward layer = new FeedForward(w, 5, 11, f, new Dropout(0.5));
            Map<String, Tensor> p = w.finish();
            Tensor x = leaf(2, 2, 3, 5);
            Tensor inside = f.apply(x.matmul(p.get("up_proj.weight").t()).add(p.get("up_proj.bias")));
            Tensor expected = inside.matmul(p.get("down_proj.weight").t()).add(p.get("down_proj.bias"));
            assertClose(expected, layer.forward(x, Pass.evaluate()), 1e-12);
            Tensor keep = new Generator(4).bernoulli(0.5, 2, 3, 5).to(DType.F64);
            assertClose(expected.mul(keep).mul(2), layer.forward(x, Pass.train(new Generator(4))), 1e-12);
            List<Tensor> leaves = new ArrayList<>(p.values());
            leaves.add(x);
            assertGradients(() -> layer.forward(x, Pass.evaluate()), leaves);
        }
    }

    @Test
    void swiGlu() {
        Weights w = weights(DType.F64);
        SwiGluMlp layer = new SwiGluMlp(w, 5, 11);
        Map<String, Tensor> p = w.finish();
        Tensor x = leaf(2, 2, 3, 5);
        Tensor gate = x.matmul(p.get("gate_proj.weight").t()).add(p.get("gate_proj.bias"));
        Tensor up = x.matmul(p.get("up_proj.weight").t()).add(p.get("up_proj.bias"));
        Tensor expected = gate.mul(gate.sigmoid()).mul(up).matmul(p.get("down_proj.weight").t())
                .add(p.get("down_proj.bias"));
        assertClose(expected, layer.forward(x), 1e-12);
        List<Tensor> leaves = new ArrayList<>(p.values());
        leaves.add(x);
        assertGradients(() -> layer.forward(x), leaves);
    }

    /// About as many parameters as a two-layer network of four times the width, in multiples of 8.
    @Test
    void theWidthOfSwiGlu() {
        assertEquals(32, SwiGluMlp.width(12));
        assertEquals(16, SwiGluMlp.width(4)); // the notebook's
        assertEquals(1024, SwiGluMlp.width(384));
        assertEquals(10_928, SwiGluMlp.width(4096));
        for (int hidden = 1; hidden < 2000; hidden += 7) {
            int width = SwiGluMlp.width(hidden);
            assertTrue(width % 8 == 0 && 3 * width >= 8 * hidden - 3 && 3 * width < 8 * hidden + 24, "" + hidden);
        }
    }

    @Test
    void activationsStayFiniteFarOut() {
        List<UnaryOperator<Tensor>> all = List.of(Tensor::relu, Tensor::sigmoid, Tensor::tanh, Tensor::silu,
                Tensor::gelu, Tensor::geluTanh, Tensor::logSigmoid, x -> x.softmax(-1), x -> x.logSoftmax(-1),
                x -> Activations.leakyRelu(x, 0.01), x -> Activations.elu(x, 1.3));
        for (DType t : List.of(DType.F32, DType.F64)) {
            for (UnaryOperator<Tensor> f : all) {
                Tensor x = Tensor.of(new double[] {-1000, -90, 0, 90, 1000}, 1, 5).to(t).requireGrad();
                Tensor y = f.apply(x);
                assertTrue(Arrays.stream(y.toDoubles()).allMatch(Double::isFinite), y.toString());
                y.sum().backward();
                assertTrue(Arrays.stream(x.grad().toDoubles()).allMatch(Double::isFinite), x.grad().toString());
            }
        }
    }

    @Test
    void activationGradients() {
        Tensor x = leaf(5, 3, 7);
        assertGradients(() -> Activations.leakyRelu(x, 0.2), List.of(x));
        assertGradients(() -> Activations.elu(x, 1.3), List.of(x));
        assertGradients(() -> Activations.naiveSoftmax(x, 0), List.of(x));
    }

    @Test
    void theNaiveSoftmaxOverflows() {
        Tensor near = randn(5, 3, 7);
        assertClose(near.softmax(0), Activations.naiveSoftmax(near, 0), 1e-12);
        Tensor far = Tensor.of(new float[] {1000, 999, -1000}, 1, 3);
        assertFalse(Arrays.stream(Activations.naiveSoftmax(far, 1).toDoubles()).allMatch(Double::isFinite));
        double e = Math.exp(-1);
        assertClose(new double[] {1 / (1 + e), e / (1 + e), 0}, far.softmax(1), 1e-6);
    }
}
