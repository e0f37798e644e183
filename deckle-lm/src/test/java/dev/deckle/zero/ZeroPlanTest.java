package dev.deckle.zero;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.ThreadRanks;
import dev.deckle.distributed.Timeline;
import dev.deckle.distributed.Traffic;
import dev.deckle.distributed.Verb;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Llama;
import dev.deckle.models.Models;
import dev.deckle.nn.Pass;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import dev.deckle.train.Pretraining;
import dev.deckle.train.Run;
import dev.deckle.train.TrainListener;
import dev.deckle.train.TrainOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/// What is planned is what a run then holds and sends, to the byte.
class ZeroPlanTest {
    private static final int VOCABULARY = 37;

    private static final TrainListener SILENT = new TrainListener() {
        @Override
        public void note(String line) {}

        @Override
        public void step(Step step) {}

        @Override
        public void sample(long step, String text) {}
    };

    private static Llama.Config tiny(boolean tied) {
        return Llama.Config.of(VOCABULARY, 24, 40, 3, 3, 1, 16, tied);
    }

    private static ZeroLayout layout(Llama.Config config, DType dtype) {
        ZeroLayout layout = new ZeroLayout(dtype);
        Llama.describe(config, layout);
        return layout;
    }

    @TestFactory
    Stream<DynamicTest> aRunHoldsAndSendsWhatWasPlanned() {
        List<DynamicTest> tests = new ArrayList<>();
        for (Stage stage : Stage.values()) {
            for (int ranks : new int[] {1, 2, 3, 7}) {
                for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
                    for (boolean tied : new boolean[] {false, true}) {
                        int accumulated = ranks == 3 ? 3 : 1;
                        String name = stage + " on " + ranks + ", " + dtype + (tied ? ", tied" : "");
                        tests.add(DynamicTest.dynamicTest(name, () -> check(stage, ranks, dtype, tied, accumulated)));
                    }
                }
            }
        }
        return tests.stream();
    }

    private static void check(Stage stage, int ranks, DType dtype, boolean tied, int accumulated) {
        ZeroPlan plan = new ZeroPlan(layout(tiny(tied), dtype), stage, accumulated);
        ThreadRanks.run(ranks, communicator -> {
            int rank = communicator.rank();
            try (Partition partition = new Partition(rank, ranks, new Partition.Options(stage, dtype));
                    CausalLm model = Llama.create(tiny(tied), 0, 5, partition);
                    AdamW optimizer = partition.optimizer(new AdamW.Options(0.9, 0.99, 1e-8, 0.1))) {
                partition.connect(communicator, Timeline.off());
                for (int step = 0; step < 3; step++) { // the first still learns the order of units
                    Traffic before = communicator.traffic();
                    step(model, partition, optimizer, accumulated);
                    assertEquals(plan.traffic(rank, ranks), communicator.traffic().since(before), "step " + step);
                }
                twoTokens(model, partition, communicator);
                assertEquals(plan.memory(rank, ranks), partition.memory(), "rank " + rank);
                assertTrue(plan.largest(ranks).total() >= partition.memory().total());
                assertTrue(plan.mostSent(ranks).bytes() >= plan.traffic(rank, ranks).total().bytes());
            }
        });
    }

    private static void step(CausalLm model, Partition partition, AdamW optimizer, int accumulated) {
        for (int i = 0; i < accumulated; i++) {
            try (Workspace _ = Workspace.open()) {
                Tensor ids = new Generator(i).randint(0, VOCABULARY, 2, 5);
                partition.differentiate(() -> loss(model, ids), Tensor.full(DType.F32, 0.1), i == accumulated - 1);
            }
        }
        partition.sum(1, partition.gradSquares());
        optimizer.step(1e-3, 1);
        partition.updated();
    }

    private static Tensor loss(CausalLm model, Tensor ids) {
        Tensor logits = model.forward(ids, Pass.train(new Generator(1))).reshape(-1, VOCABULARY);
        return Functional.crossEntropy(logits, ids.reshape(-1), -100).sum();
    }

    private static void twoTokens(CausalLm model, Partition partition, Communicator communicator) {
        for (int times = 0; times < 2; times++) {
            partition.evaluate(() -> {
                for (int token = 0; token < 3; token++) {
                    try (Workspace _ = Workspace.open()) {
                        model.forward(new Generator(token).randint(0, VOCABULARY, 1, 4), Pass.evaluate());
                    }
                }
                return null;
            });
        }
        communicator.barrier().await();
    }

    /// Through the front door: what a training run says of itself, evaluations and samples included.
    @TestFactory
    Stream<DynamicTest> pretrainingSaysWhatWasPlanned(@TempDir Path folder) throws IOException {
        Path text =
                Files.writeString(folder.resolve("text.txt"), "To be or not to be: that is the question.\n".repeat(99));
        return Stream.of(Stage.values()).map(stage -> DynamicTest.dynamicTest(stage.name(), () -> {
            TrainOptions o = TrainOptions.preset("small");
            o.data = List.of(text.toString());
            o.layers = 2;
            o.hidden_size = 36;
            o.heads = 3;
            o.context = 12;
            o.batch_size = 6;
            o.grad_accum = 2;
            o.vocab_size = 260;
            o.steps = 2;
            o.ranks = 3;
            o.zero = stage.ordinal();
            try (Run run = Pretraining.start(o.complete(), folder.resolve(stage.name()), SILENT)) {
                run.train(() -> false);
                ZeroLayout layout = layout(Llama.Config.of(run.model().vocabSize(), 36, o.ffn_size, 2, 3, 3, 12, false),
                        DType.F32);
                ZeroPlan plan = new ZeroPlan(layout, stage, 2);
                assertEquals(plan.memory(0, 3), run.memory());
                assertEquals(plan.traffic(0, 3), run.traffic());
            }
        }));
    }

    /// Whole layers are gathered one ahead, and no third one is here with them.
    @Test
    void noMoreThanTwoUnitsAreGathered() {
        long layer = layout(tiny(false), DType.F32).units().get(1).get(DType.F32) * 4L;
        long most = new ZeroPlan(layout(Llama.Config.of(1, 24, 40, 9, 3, 1, 16, false), DType.F32), Stage.PARAMETERS, 1)
                .memory(0, 2).gathered();
        assertTrue(most >= 2 * layer && most < 3 * layer, most + " bytes, " + layer + " a layer");
    }

    @Test
    void thePresetIsLaidOutAsPlanned() {
        Llama.Config preset = Llama.Config.of(4096, 384, 1024, 6, 6, 6, 256, false);
        for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
            ZeroLayout layout = layout(preset, dtype);
            for (Stage stage : Stage.values()) {
                int ranks = 3 + 4 * (stage.ordinal() % 2);
                int rank = ranks - 1 - stage.ordinal();
                try (Partition p = new Partition(rank, ranks, new Partition.Options(stage, dtype));
                        CausalLm model = Llama.create(preset, 0, 1, p)) {
                    Partition.Memory planned = new ZeroPlan(layout, stage, 1).memory(rank, ranks);
                    Partition.Memory found = p.memory();
                    assertEquals(found, new Partition.Memory(planned.parameters(), planned.gradients(),
                            planned.optimizer(), 0, 0), stage + " " + dtype);
                    assertEquals(model.parameterCount(), layout.parameters());
                }
            }
        }
    }

    /// Figure 1 of the paper: 7.5 billion parameters on 64 ranks in mixed precision.
    @Test
    void thePapersNumbers() {
        double[] gigabytes = {120, 31.4, 16.6, 1.88};
        for (Stage stage : Stage.values()) {
            ZeroPlan plan = new ZeroPlan(layout(tiny(false), DType.BF16), stage, 1);
            assertEquals(gigabytes[stage.ordinal()], plan.paper(7.5e9, 64).total() / 1e9, 0.05);
            assertEquals(new double[] {2, 2, 2, 3}[stage.ordinal()] * 7.5e9, plan.paperElements(7.5e9, 64));
        }
    }

    /// Where parameters are many, gaps and uneven shards are nothing, and the implementation is the paper's formula.
    @Test
    void largeModelsAreNearThePaper() {
        for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
            ZeroLayout layout = layout(Llama.Config.of(32_000, 4096, 11_008, 32, 32, 32, 2048, false), dtype);
            assertEquals(6_738_415_616L, layout.parameters()); // Llama 2 7B
            for (Stage stage : Stage.values()) {
                ZeroPlan plan = new ZeroPlan(layout, stage, 1);
                Partition.Memory found = plan.largest(64);
                ZeroPlan.Paper paper = plan.paper(layout.parameters(), 64);
                assertEquals(1, found.parameters() / paper.parameters(), 0.001);
                assertEquals(1, found.gradients() / paper.gradients(), 0.001);
                assertEquals(1, found.optimizer() / paper.optimizer(), 0.001);
                double saved = stage == Stage.PARAMETERS ? 2 * 32_000.0 * 4096 : 0; // embedding and head, once each
                assertEquals(1, (plan.mostSent(64).elements() + saved) / plan.paperElements(layout.parameters(), 64),
                        0.001);
            }
        }
    }

    @Test
    void timeOnARing() {
        // 6 tensors of 16 elements of 4 bytes on 4 ranks, twice 3 rounds each
        Collective c = new Collective(Verb.ALL_REDUCE, 16, DType.F32);
        assertEquals(6 * (0.5 + 16 / 8.0), c.seconds(4, 8, 0.5), 1e-12);
        assertEquals(3 * (0.5 + 16 / 8.0), new Collective(Verb.ALL_GATHER, 16, DType.F32).seconds(4, 8, 0.5), 1e-12);
        assertEquals(0, new ZeroPlan(layout(tiny(true), DType.F32), Stage.PARAMETERS, 2).seconds(1, 1, 1));
        // with as much accumulated, stages 2 and 3 take longer, 0 and 1 do not
        for (Stage stage : Stage.values()) {
            double one = new ZeroPlan(layout(tiny(true), DType.F32), stage, 1).seconds(8, 1e9, 0);
            double five = new ZeroPlan(layout(tiny(true), DType.F32), stage, 5).seconds(8, 1e9, 0);
            assertEquals(switch (stage) {
                case REPLICATED, OPTIMIZER -> 1;
                case GRADIENTS -> 3;
                case PARAMETERS -> 5;
            }, five / one, 0.02);
        }
    }

    /// The layout of a family is what the family asks for, with no weights in the folder.
    @Test
    void familiesDescribeThemselves(@TempDir Path folder) throws IOException {
        Files.writeString(folder.resolve("config.json"), """
                {"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12,
                 "n_head": 12}
                """);
        ZeroLayout gpt2 = new ZeroLayout(DType.F32);
        Models.describe(folder, gpt2);
        assertEquals(124_439_808, gpt2.parameters());
        assertTrue(gpt2.tied());
        assertEquals(14, gpt2.units().size());
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"gpt2\"}");
        var missing = assertThrows(IllegalArgumentException.class, () -> Models.describe(folder, gpt2));
        assertTrue(missing.getMessage().startsWith(folder + "/config.json: "), missing.getMessage());
    }
}
