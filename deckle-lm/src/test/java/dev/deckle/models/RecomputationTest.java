package dev.deckle.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Lora;
import dev.deckle.nn.ParameterHome;
import dev.deckle.nn.Pass;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Models whose layers are computed again, against the same that remember them: every bit of five steps.
class RecomputationTest {
    private static final Path CHECKPOINTS = Path.of("../deckle-app/src/test/resources/golden/hf");
    private static final AdamW.Options ADAM = new AdamW.Options(0.9, 0.95, 1e-8, 0.1);
    private static final int STEPS = 5;
    private static final int ACCUMULATION = 2;
    private static final int ROWS = 3;
    private static final int CONTEXT = 7;
    private static final int IDS = 80; // below the vocabularies of all

    /// Makes a model whose parameters live in a home.
    @FunctionalInterface
    private interface Maker {
        CausalLm in(ParameterHome home) throws IOException;
    }

    /// Losses, gradients and weights of each step.
    ///
    /// @param dropout whether each pass draws from a stream that goes on from step to step
    private static List<float[]> train(Maker maker, DType dtype, Predicate<String> frozen, boolean dropout,
            boolean recompute) throws IOException {
        List<float[]> all = new ArrayList<>();
        var options = new Partition.Options(Stage.REPLICATED, dtype, frozen, Optional.empty());
        Generator random = new Generator(8);
        Generator ids = new Generator(5);
        try (Partition partition = new Partition(0, 1, options);
                CausalLm model = maker.in(partition);
                AdamW optimizer = partition.optimizer(ADAM)) {
            for (int step = 0; step < STEPS; step++) {
                for (int i = 0; i < ACCUMULATION; i++) {
                    try (Workspace _ = Workspace.open()) {
                        Tensor batch = ids.randint(0, IDS, ROWS, CONTEXT);
                        Pass pass = dropout ? Pass.train(random) : Pass.evaluate();
                        Supplier<Tensor> loss = () -> loss(model, batch, pass);
                        double sum = partition.differentiate(
                                recompute ? () -> Recomputation.during(loss) : loss,
                                Tensor.full(DType.F32, 1.0 / ROWS / CONTEXT), i == ACCUMULATION - 1);
                        all.add(new float[] {(float) sum, Float.intBitsToFloat(random.nextInt() >>> 2)});
                    }
                }
                partition.keptGradients().values().forEach(g -> all.add(g.to(DType.F32).toFloats()));
                optimizer.step(1e-2, 1);
                partition.updated();
                partition.keptWeights().values().forEach(w -> all.add(w.detach().to(DType.F32).toFloats()));
            }
        }
        return all;
    }

    /// Of each token but the last, which predicts the first.
    private static Tensor loss(CausalLm model, Tensor ids, Pass pass) {
        Tensor logits = model.forward(ids, pass);
        Tensor targets = Functional.concat(List.of(ids.slice(1, 1, ids.dim(1)), ids.slice(1, 0, 1)), 1).reshape(-1);
        return Functional.crossEntropy(logits.reshape(-1, logits.dim(-1)), targets, -100).sum();
    }

    private static void assertSame(List<float[]> expected, List<float[]> got) {
        assertEquals(expected.size(), got.size());
        for (int i = 0; i < expected.size(); i++) {
            assertArrayEquals(expected.get(i), got.get(i), "tensor " + i);
        }
    }

    @ParameterizedTest
    @CsvSource({"llama-gqa,F32,false", "llama-gqa,BF16,false", "gpt2,F32,true", "gpt2,F32,false", "gpt2,BF16,true",
        "qwen3-moe,F32,false", "qwen3-moe-sparse,BF16,false", "deepseek-v3,F32,false", "deepseek-noq,BF16,false",
        "gemma2,F32,false", "mistral-window3,F32,false", "qwen2-window,F32,false", "qwen3-bias,F32,false",
        "llama-tied-other-head,F32,false"})
    void everyFamily(String name, DType dtype, boolean dropout) throws IOException {
        Maker maker = home -> Models.openTrainable(CHECKPOINTS.resolve(name), home);
        List<float[]> expected = train(maker, dtype, _ -> false, dropout, false);
        assertSame(expected, train(maker, dtype, _ -> false, dropout, true));
        assertFalse(Arrays.equals(expected.getFirst(), expected.get(1)));
    }

    /// Nothing below the first layer learns; adapters drop what goes into them.
    @ParameterizedTest
    @CsvSource({"llama-gqa,F32", "gpt2,F32", "qwen3-moe,BF16", "deepseek-v3,F32"})
    void adapters(String name, DType dtype) throws IOException {
        Lora lora = new Lora(3, 12, 0.3, List.of(Lora.ALL_LINEAR));
        Maker maker = home -> Models.adapt(CHECKPOINTS.resolve(name), lora, 5, home).model();
        List<float[]> expected = train(maker, dtype, Lora::isBase, true, false);
        assertSame(expected, train(maker, dtype, Lora::isBase, true, true));
    }

    /// A gradient of the model below, of what was computed with the adapter off and is gone back through with it on.
    @Test
    void withTheAdapterOff() throws IOException {
        Lora lora = new Lora(3, 12, 0, List.of("q_proj", "down_proj"));
        float[][] gradients = new float[2][];
        for (int i = 0; i < 2; i++) {
            boolean recompute = i == 1;
            try (Partition home = new Partition(0, 1, new Partition.Options(Stage.REPLICATED, DType.F32));
                    CausalLm model = Models.adapt(CHECKPOINTS.resolve("llama-gqa"), lora, 5, home).model();
                    Workspace _ = Workspace.open()) {
                model.parameters().forEach((n, p) -> {
                    if (n.endsWith("lora_B.weight")) {
                        Tensor.full(DType.F32, 0.5, p.shape().toArray()).copyInto(p);
                    }
                });
                Supplier<Tensor> loss = () -> loss(model, new Generator(5).randint(0, IDS, ROWS, CONTEXT),
                        Pass.evaluate());
                Tensor y = Lora.off(() -> recompute ? Recomputation.during(loss) : loss.get());
                y.backward();
                gradients[i] = model.parameters().get("model.layers.0.self_attn.q_proj.weight").grad().toFloats();
            }
        }
        assertArrayEquals(gradients[0], gradients[1]);
    }

    @Test
    void sequencesInOneRow() throws IOException {
        float[][] gradients = new float[2][];
        for (int i = 0; i < 2; i++) {
            boolean recompute = i == 1;
            try (Partition home = new Partition(0, 1, new Partition.Options(Stage.REPLICATED, DType.F32));
                    CausalLm model = Models.openTrainable(CHECKPOINTS.resolve("llama-gqa"), home);
                    Workspace _ = Workspace.open()) {
                Pass pass = Pass.evaluate().packed(List.of(2, 5, 1, 3));
                Supplier<Tensor> loss = () -> loss(model, new Generator(5).randint(0, IDS, 1, 11), pass);
                (recompute ? Recomputation.during(loss) : loss.get()).backward();
                gradients[i] = model.parameters().get("model.layers.0.self_attn.q_proj.weight").grad().toFloats();
            }
        }
        assertArrayEquals(gradients[0], gradients[1]);
    }

    /// The second time would add to it.
    @Test
    void aPassThatFillsACacheIsRemembered() throws IOException {
        try (Partition home = new Partition(0, 1, new Partition.Options(Stage.REPLICATED, DType.F32));
                CausalLm model = Models.openTrainable(CHECKPOINTS.resolve("llama-gqa"), home);
                KvCache cache = model.cache(KvCache.Kind.CONTIGUOUS, 9, 1)) {
            assertFalse(Recomputation.during(() -> Recomputation.wanted(Pass.decode(cache))));
            assertTrue(Recomputation.during(() -> Recomputation.wanted(Pass.evaluate())));
            assertFalse(Recomputation.wanted(Pass.evaluate()));
        }
    }

    private static final int BATCH = 4;
    private static final int LENGTH = 32;
    private static final int HIDDEN = 48;

    private static CausalLm llama(int layers, ModelMemory memory) {
        // a head that is wide enough for the peak to be there, where all layers are remembered
        return Llama.create(Llama.Config.of(6000, HIDDEN, 112, layers, 6, 3, LENGTH, false), 0, 3,
                ParameterHome.in(memory, DType.F32));
    }

    /// The most that a step needs, or what its forward pass up to the head leaves.
    private static long bytes(int layers, boolean recompute, Function<CausalLm, Function<Workspace, Long>> measure) {
        try (ModelMemory memory = new ModelMemory();
                CausalLm model = llama(layers, memory);
                Workspace step = Workspace.open()) {
            Supplier<Long> work = () -> measure.apply(model).apply(step);
            return recompute ? Recomputation.during(work) : work.get();
        }
    }

    private static long peak(int layers, boolean recompute) {
        return bytes(layers, recompute, model -> step -> {
            loss(model, new Generator(1).randint(0, IDS, BATCH, LENGTH), Pass.evaluate()).backward();
            return step.peakBytes();
        });
    }

    private static long remembered(int layers, boolean recompute) {
        return bytes(layers, recompute, model -> step -> {
            Tensor y = model.hidden(new Generator(1).randint(0, IDS, BATCH, LENGTH), Pass.evaluate());
            return y.requiresGrad() ? step.usedBytes() : 0;
        });
    }

    /// L layers of which each remembers a cost L a; computed again L x, where x is a layer's input.
    @Test
    void theExpectedMemory() {
        long x = 4L * BATCH * LENGTH * HIDDEN;
        long a = remembered(1, false) - remembered(0, false);
        assertTrue(a > 10 * x, a + " a layer");
        assertEquals(6 * a, remembered(6, false) - remembered(0, false));
        assertEquals(6 * x, remembered(6, true) - remembered(0, true));
        assertEquals(6 * (a - x), peak(6, false) - peak(6, true));
    }
}
