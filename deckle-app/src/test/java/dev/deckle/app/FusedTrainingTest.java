package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.autograd.Definitions;
import dev.deckle.memory.Workspace;
import dev.deckle.models.Llama;
import dev.deckle.nn.Pass;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import org.junit.jupiter.api.Test;

/// Two hundred steps with all that is fused, and two hundred with its definitions: the same curve.
class FusedTrainingTest {
    private static final int STEPS = 200;
    private static final int VOCAB = 53;
    private static final int CONTEXT = 24;
    private static final int BATCH = 3;

    @Test
    void theCurveIsThatOfTheDefinitions() {
        double[] fused = curve();
        double[] plain = Definitions.during(FusedTrainingTest::curve);
        assertTrue(fused[0] > 3.5 && fused[STEPS - 1] < 0.8 * fused[0], fused[0] + " then " + fused[STEPS - 1]);
        for (int i = 0; i < STEPS; i++) {
            assertEquals(plain[i], fused[i], 1e-3, "the loss of step " + i);
        }
    }

    /// The losses of a decoder whose heads share keys, on text of a simple kind.
    private static double[] curve() {
        Llama.Config config = Llama.Config.of(VOCAB, 60, 92, 2, 6, 3, CONTEXT, false);
        try (Partition partition = new Partition(0, 1, new Partition.Options(Stage.REPLICATED, DType.F32));
                Llama model = Llama.create(config, 0, 1, partition);
                AdamW optimizer = partition.optimizer(new AdamW.Options(0.9, 0.999, 1e-8, 0.01))) {
            Generator random = new Generator(1);
            double[] losses = new double[STEPS];
            for (int step = 0; step < STEPS; step++) {
                long[] ids = ids(random);
                Tensor x = Tensor.of(ids, BATCH, CONTEXT);
                Tensor y = Tensor.of(shifted(ids));
                try (Workspace _ = Workspace.open()) {
                    losses[step] = partition.differentiate(
                            () -> model.lossSum(model.hidden(x, Pass.train(random)), y, -100).mul(1.0 / y.numel()),
                            Tensor.full(DType.F32, 1), true);
                }
                optimizer.step(1e-3, AdamW.clip(Math.sqrt(partition.gradSquares()), 1));
                partition.updated();
            }
            return losses;
        }
    }

    /// Each row counts up from somewhere, by one or by two.
    private static long[] ids(Generator random) {
        long[] ids = new long[BATCH * CONTEXT];
        for (int b = 0; b < BATCH; b++) {
            long from = random.nextInt((long) VOCAB);
            long by = 1 + random.nextInt(2L);
            for (int t = 0; t < CONTEXT; t++) {
                ids[b * CONTEXT + t] = (from + by * t) % VOCAB;
            }
        }
        return ids;
    }

    private static long[] shifted(long[] ids) {
        long[] targets = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            targets[i] = i % CONTEXT == CONTEXT - 1 ? -100 : ids[i + 1];
        }
        return targets;
    }
}
