package dev.deckle.explain.story;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.deckle.nn.Activations;
import dev.deckle.nn.AttentionMask;
import dev.deckle.nn.ClassWeights;
import dev.deckle.nn.CrossEntropy;
import dev.deckle.nn.FocalLoss;
import dev.deckle.nn.Mlp;
import dev.deckle.nn.Weights;
import dev.deckle.memory.ModelMemory;
import dev.deckle.mistakes.CacheMistakes;
import dev.deckle.mistakes.RotaryMistakes;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/// The numbers that the notebook prints, wherever it fixes what they are made of.
class NotebookTest {
    private static final double PRINTED = 0.5001e-4; // four decimals

    private static CrossEntropy smoothed() {
        return new CrossEntropy(Optional.empty(), -100, 0.1, CrossEntropy.Reduction.MEAN);
    }

    private static CrossEntropy weighted(float... weights) {
        return CrossEntropy.weighted(Tensor.of(weights), CrossEntropy.Reduction.MEAN_OVER_EXAMPLES);
    }

    @Test
    void lossesOfSeed42() {
        Tensor logits = new Generator(42).randn(4, 3);
        Tensor targets = Tensor.of(new long[] {0, 1, 2, 0});
        assertArrayEquals(new double[] {0.3367, 0.1288, 0.2345, 0.2303, -1.1229, -0.1863, 2.2082, -0.6380, 0.4617,
            0.2674, 0.5349, 0.8094}, logits.toDoubles(), PRINTED);
        assertEquals(1.5879, CrossEntropy.mean().forward(logits, targets).item(), PRINTED);
        assertEquals(2.3334, weighted(1, 2, 1.5f).forward(logits, targets).item(), PRINTED);
        assertEquals(1.0318, new FocalLoss(1, 2, CrossEntropy.Reduction.MEAN).forward(logits, targets).item(), PRINTED);
        assertEquals(1.5592, smoothed().forward(logits, targets).item(), PRINTED);
        assertArrayEquals(new double[] {0.6667, 1.3333, 1.3333}, ClassWeights.BALANCED.of(targets, 3).toDoubles(),
                PRINTED);
    }

    /// The notebook weights by their sum or by N; its printed number is by N.
    @Test
    void theWeightedMeanIsOverExamples() {
        Tensor logits = new Generator(42).randn(4, 3);
        Tensor targets = Tensor.of(new long[] {0, 1, 2, 0});
        CrossEntropy pytorch = new CrossEntropy(Optional.of(Tensor.of(new float[] {1, 2, 1.5f})), -100, 0,
                CrossEntropy.Reduction.MEAN);
        assertEquals(2.3334 * 4 / 5.5, pytorch.forward(logits, targets).item(), 2 * PRINTED);
    }

    @Test
    void classifierOfSeed123() {
        Generator random = new Generator(123);
        try (ModelMemory memory = new ModelMemory()) {
            Weights w = Weights.init(memory, random);
            Mlp classifier = new Mlp(w, 10, 64, 5);
            Tensor x = random.randn(8, 10);
            Tensor y = random.randint(0, 5, 8);
            assertArrayEquals(new long[] {2, 2, 0, 1, 3, 1, 4, 1}, y.toLongs());
            Tensor logits = classifier.forward(x);
            assertEquals(3.1239, weighted(1, 3, 1, 2, 1).forward(logits, y).item(), PRINTED);
            assertEquals(1.0083, new FocalLoss(1, 2, CrossEntropy.Reduction.MEAN).forward(logits, y).item(), PRINTED);
            assertEquals(1.5906, smoothed().forward(logits, y).item(), PRINTED);
            Tensor loss = CrossEntropy.mean().forward(logits, y);
            assertEquals(1.5823, loss.item(), PRINTED);
            loss.backward();
            Map.of("fc1.weight", 0.4830, "fc1.bias", 0.1058, "fc2.weight", 1.0065, "fc2.bias", 0.2360)
                    .forEach((name, norm) -> assertEquals(norm,
                            Math.sqrt(w.finish().get(name).grad().square().sum().item()), PRINTED, name));
        }
    }

    @Test
    void activationTable() {
        Tensor x = Tensor.of(new float[] {-2, -1, 0, 1, 2}, 1, 5);
        assertRow(x.sigmoid(), 0.1192, 0.2689, 0.5, 0.7311, 0.8808);
        assertRow(x.tanh(), -0.9640, -0.7616, 0, 0.7616, 0.9640);
        assertRow(x.relu(), 0, 0, 0, 1, 2);
        assertRow(Activations.leakyRelu(x, 0.01), -0.02, -0.01, 0, 1, 2);
        assertRow(Activations.leakyRelu(x, 0.2), -0.4, -0.2, 0, 1, 2);
        assertRow(Activations.elu(x, 1), -0.8647, -0.6321, 0, 1, 2);
        assertRow(x.silu(), -0.2384, -0.2689, 0, 0.7311, 1.7616);
        assertRow(x.softmax(-1), 0.0117, 0.0317, 0.0861, 0.2341, 0.6364);
        assertRow(Activations.naiveSoftmax(x, -1), 0.0117, 0.0317, 0.0861, 0.2341, 0.6364);
    }

    private static void assertRow(Tensor found, double... printed) {
        assertArrayEquals(printed, found.toDoubles(), PRINTED);
    }

    @Test
    void rotateHalf() {
        Tensor x = Tensor.of(new float[] {1, 2, 3, 4}, 1, 4);
        assertRow(RotaryMistakes.rotateHalf(x, false, RotaryMistakes.Slip.NONE), -3, -4, 1, 2);
        // a quarter turn of every pair: cos 0, sin 1
        assertRow(Functional.rope(x, Tensor.zeros(1, 2), Tensor.ones(1, 2), false), -3, -4, 1, 2);
    }

    /// q = 1, three keys and values, scale 1, to the notebook's last decimal.
    @Test
    void onlineSoftmax() {
        for (DType t : List.of(DType.F32, DType.F64)) {
            Tensor q = Tensor.of(new double[] {1}, 1, 1, 1, 1).to(t);
            Tensor k = Tensor.of(new double[] {5, 1, 0}, 1, 1, 3, 1).to(t);
            Tensor v = Tensor.of(new double[] {10, 1, 1}, 1, 1, 3, 1).to(t);
            assertEquals(9.78002879, Functional.attention(q, k, v, Optional.empty(), false, 1).item(),
                    t == DType.F32 ? 1e-6 : 1e-8);
        }
        double[] by = CacheMistakes.online(new double[] {1}, new double[][] {{5}, {1}, {0}},
                new double[][] {{10}, {1}, {1}}, CacheMistakes.Slip.NONE);
        assertEquals(9.78002879, by[0], 1e-8);
    }

    /// Its masked scores and the weights printed below them: the second sequence's last key is padding.
    @Test
    void maskedSoftmax() {
        Tensor scores = Tensor.of(new double[] {-9.4217e-02, -1.6865e-01, -2.4485e-01, 1.0062e-01, 1.5962e-01,
            1.4289e-01, -9.4237e-03, -2.9558e-02, -9.1932e-02, -1.8373e-01, -1.6073e-01, -0.1843, 2.8130e-02,
            7.1696e-02, 0.0330, -2.0050e-01, -1.7709e-01, -0.2015}, 2, 1, 3, 3);
        Tensor mask = Tensor.of(new long[] {1, 1, 1, 1, 1, 0}, 2, 3);
        double[] printed = {0.3586, 0.3329, 0.3085, 0.3222, 0.3418, 0.3361, 0.3447, 0.3379, 0.3174, 0.4942, 0.5058, 0,
            0.4891, 0.5109, 0, 0.4941, 0.5059, 0};
        assertArrayEquals(printed, AttentionMask.softmax(scores, AttentionMask.visible(mask, 2, 1, 3, 3)).toDoubles(),
                2 * PRINTED); // the scores are rounded too
    }

    /// It prints RMSNorm and LayerNorm of the same random x. Layer normalisation does not see a row's scale, so that
    /// it makes the second table out of the first.
    @Test
    void layerNormOfRmsNorm() {
        double[] rms = {1.1415, 0.6173, 0.8538, 1.2598, 1.1064, 0.8772, 0.3761, 1.3656, 0.7098, 1.7117, 0.1545, 0.7364,
            0.4453, 0.9508, 1.3737, 1.0052, 1.3451, 0.5197, 0.4161, 1.3219, 1.0141, 0.4736, 1.0469, 1.2851};
        double[] layer = {0.6918, -1.3996, -0.4560, 1.1638, 0.4808, -0.1486, -1.5247, 1.1925, -0.2111, 1.5763, -1.2017,
            -0.1635, -1.5078, 0.0214, 1.3005, 0.1859, 1.0229, -0.8770, -1.1155, 0.9696, 0.1994, -1.6210, 0.3097,
            1.1120};
        Tensor one = Tensor.of(new double[] {1, 1, 1, 1});
        Tensor x = Tensor.of(rms, 6, 4);
        assertArrayEquals(layer, Functional.layerNorm(x, one, one.mul(0), 1e-9).toDoubles(), 1e-3);
        assertArrayEquals(rms, Functional.rmsNorm(x, one, 1e-9).toDoubles(), 2 * PRINTED);
    }
}
