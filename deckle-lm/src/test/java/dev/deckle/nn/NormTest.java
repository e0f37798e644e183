package dev.deckle.nn;

import static dev.deckle.nn.Numbers.assertClose;
import static dev.deckle.nn.Numbers.assertGradients;
import static dev.deckle.nn.Numbers.assertRefused;
import static dev.deckle.nn.Numbers.leaf;
import static dev.deckle.nn.Numbers.randn;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class NormTest {
    private static final double EPS = 1e-5;
    private static final int C = 3;

    private final ModelMemory memory = new ModelMemory();

    @AfterEach
    void free() {
        memory.close();
    }

    private Weights weights(DType dtype) {
        return Weights.init(memory, new Generator(1), dtype);
    }

    private static Pass training() {
        return Pass.train(new Generator(0));
    }

    /// Other than 1 and 0, so that they show.
    private static void scaleAndShift(Weights w) {
        Map<String, Tensor> p = w.finish();
        Tensor weight = p.get("weight");
        randn(21, weight.shape().toArray()).to(weight.dtype()).copyInto(weight);
        if (p.containsKey("bias")) {
            randn(22, weight.shape().toArray()).to(weight.dtype()).copyInto(p.get("bias"));
        }
    }

    @Test
    void layerAndRmsNormAreTheirFormulas() {
        Weights w = weights(DType.F64);
        LayerNorm layer = new LayerNorm(w.scope("layer"), 7, EPS);
        RmsNorm rms = new RmsNorm(w.scope("rms"), 7, EPS);
        Map<String, Tensor> p = w.finish();
        p.forEach((name, t) -> randn(name.length(), 7).copyInto(t));
        Tensor x = leaf(5, 2, 3, 7);
        double[] layered = new double[42];
        double[] scaled = new double[42];
        for (int row = 0; row < 6; row++) {
            double mean = 0;
            double squares = 0;
            for (int i = 0; i < 7; i++) {
                mean += x.at(row / 3, row % 3, i) / 7;
                squares += Math.pow(x.at(row / 3, row % 3, i), 2) / 7;
            }
            for (int i = 0; i < 7; i++) {
                double v = x.at(row / 3, row % 3, i);
                layered[row * 7 + i] = (v - mean) / Math.sqrt(squares - mean * mean + EPS)
                        * p.get("layer.weight").at(i) + p.get("layer.bias").at(i);
                scaled[row * 7 + i] = v / Math.sqrt(squares + EPS) * p.get("rms.weight").at(i);
            }
        }
        assertClose(layered, layer.forward(x), 1e-12);
        assertClose(scaled, rms.forward(x), 1e-12);
        List<Tensor> leaves = new ArrayList<>(p.values());
        leaves.add(x);
        assertGradients(() -> layer.forward(x).add(rms.forward(x)), leaves);
        // a row without variance: eps alone is below it
        assertClose(p.get("layer.bias").toDoubles(), layer.forward(randn(1, 1, 1).expand(1, 7)), 1e-9);
    }

    /// y and both running buffers of one channel, over all numbers of x (N, C, ...) in it.
    @ParameterizedTest
    @EnumSource
    void batchNormInTraining(BatchNorm.Variance variance) {
        for (int[] shape : new int[][] {{5, C}, {4, C, 2}, {2, C, 2, 4}}) {
            Weights w = weights(DType.F64);
            BatchNorm layer = new BatchNorm(w, C, EPS, 0.3, variance);
            scaleAndShift(w);
            Map<String, Tensor> p = w.finish();
            Tensor x = leaf(5, shape);
            double[] values = x.toDoubles();
            int inner = values.length / shape[0] / C;
            int n = values.length / C;
            double[] mean = new double[C];
            double[] var = new double[C];
            for (int i = 0; i < values.length; i++) {
                mean[i / inner % C] += values[i] / n;
            }
            for (int i = 0; i < values.length; i++) {
                var[i / inner % C] += Math.pow(values[i] - mean[i / inner % C], 2) / n;
            }
            double[] expected = new double[values.length];
            for (int i = 0; i < values.length; i++) {
                int c = i / inner % C;
                expected[i] = (values[i] - mean[c]) / Math.sqrt(var[c] + EPS) * p.get("weight").at(c)
                        + p.get("bias").at(c);
            }
            Tensor y = layer.forward(x, training());
            assertEquals(Shape.of(shape), y.shape());
            assertClose(expected, y, 1e-12);
            double larger = variance == BatchNorm.Variance.UNBIASED ? n / (n - 1.0) : 1;
            for (int c = 0; c < C; c++) {
                assertEquals(0.3 * mean[c], p.get("running_mean").at(c), 1e-12);
                assertEquals(0.7 + 0.3 * var[c] * larger, p.get("running_var").at(c), 1e-12);
            }
            List<Tensor> leaves = new ArrayList<>(p.values());
            leaves.add(x);
            assertGradients(() -> layer.forward(x, training()), leaves);
            assertGradients(() -> layer.forward(x, Pass.evaluate()), leaves);
        }
    }

    @Test
    void inEvaluationNeighboursDoNotMatter() {
        Weights w = weights(DType.F64);
        BatchNorm layer = new BatchNorm(w, C, EPS, 0.1, BatchNorm.Variance.BIASED);
        scaleAndShift(w);
        for (int i = 0; i < 3; i++) {
            layer.forward(randn(i, 6, C, 2), training());
        }
        double[] mean = w.finish().get("running_mean").toDoubles();
        Tensor x = randn(9, 4, C, 2);
        Tensor together = layer.forward(x, Pass.evaluate());
        for (int i = 0; i < 4; i++) { // one example by itself too
            assertClose(together.slice(0, i, i + 1), layer.forward(x.slice(0, i, i + 1), Pass.evaluate()), 1e-12);
        }
        assertArrayEquals(mean, w.finish().get("running_mean").toDoubles()); // evaluation learns nothing
    }

    @Test
    void whatBatchNormRefuses() {
        BatchNorm layer = new BatchNorm(weights(DType.F64), C, EPS, 0.1, BatchNorm.Variance.UNBIASED);
        assertRefused("one number a channel", () -> layer.forward(randn(1, 1, C), training()));
        assertRefused("one number a channel", () -> layer.forward(randn(1, 1, C, 1, 1), training()));
        assertRefused("batch_norm: x has shape (2, 4), expected (N, 3, ...)", () -> layer.forward(randn(1, 2, 4),
                training()));
        assertRefused("expected (N, 3, ...)", () -> layer.forward(randn(1, C), Pass.evaluate()));
        assertEquals(Shape.of(1, C), layer.forward(randn(1, 1, C), Pass.evaluate()).shape());
    }

    @Test
    void buffersAreStateWithoutGradientAndAreSaved(@TempDir Path folder) {
        Weights w = weights(DType.F32);
        BatchNorm layer = new BatchNorm(w.scope("bn"), C, EPS, 0.1, BatchNorm.Variance.UNBIASED);
        Map<String, Tensor> state = w.finish();
        assertEquals(List.of("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"),
                List.copyOf(state.keySet()));
        assertTrue(state.get("bn.weight").requiresGrad());
        assertFalse(state.get("bn.running_mean").requiresGrad() || state.get("bn.running_var").requiresGrad());
        Tensor x = new Generator(3).randn(5, C);
        layer.forward(x, training()).sum().backward();
        Path file = folder.resolve("bn.safetensors");
        Safetensors.save(file, state, Map.of());
        Weights loaded = Weights.loadTrainable(memory, Safetensors.open(file, memory).tensors());
        BatchNorm again = new BatchNorm(loaded.scope("bn"), C, EPS, 0.1, BatchNorm.Variance.UNBIASED);
        loaded.finish();
        assertClose(layer.forward(x, Pass.evaluate()), again.forward(x, Pass.evaluate()), 0);
        assertFalse(loaded.finish().get("bn.running_var").requiresGrad());
        again.forward(x, training()); // the loaded buffers learn on
        layer.forward(x, training());
        assertClose(state.get("bn.running_var"), loaded.finish().get("bn.running_var"), 0);
    }

    @Test
    void aLoadedLayerLearnsItsRunningStatistics(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("norm.safetensors");
        Weights made = weights(DType.F32);
        new BatchNorm(made, C, EPS, 0.1, BatchNorm.Variance.UNBIASED);
        Safetensors.save(file, made.finish(), Map.of());
        try (ModelMemory mapped = new ModelMemory()) {
            Weights w = Weights.load(mapped, Safetensors.open(file, mapped).tensors());
            var layer = new BatchNorm(w, C, EPS, 0.1, BatchNorm.Variance.UNBIASED);
            layer.forward(randn(3, 4, C).to(DType.F32).add(1), training()); // the file itself cannot be written
            assertTrue(w.finish().get("running_mean").sum().item() != 0);
            assertFalse(w.finish().get("weight").requiresGrad());
        }
    }
}
