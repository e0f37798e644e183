package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.align.Alignments.Log;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.models.Adapted;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.models.SequenceClassifier;
import dev.deckle.nn.Lora;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;
import dev.deckle.train.Launch;
import dev.deckle.train.Loop;
import dev.deckle.train.Run;
import dev.deckle.train.TrainListener;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Runs in which an adapter learns and the model below is the reference.
@Timeout(120)
class AdapterRunsTest {
    private static final int RANK = 3;

    @TempDir
    private Path folder;

    private Alignments runs;

    @BeforeEach
    void rows() throws IOException {
        runs = new Alignments(folder);
        Random random = new Random(5);
        StringBuilder prompts = new StringBuilder();
        for (int i = 0; i < 7; i++) {
            prompts.append(String.format("{\"prompt_ids\": %s}%n",
                    random.ints(1 + i % 4, 1, Alignments.VOCAB).boxed().toList()));
        }
        Files.writeString(runs.file("prompts.jsonl"), prompts);
    }

    /// @param name as [Alignments#options] has it, or `drawn` for grpo and `ppo`, which draw their rollouts themselves
    private AlignOptions options(String name) {
        boolean draws = name.equals("drawn") || name.equals("ppo");
        AlignOptions o = draws ? new AlignOptions(name.equals("ppo") ? AlignOptions.Method.PPO
                : AlignOptions.Method.GRPO)
                : runs.options(name);
        if (draws) {
            o.model = runs.model().toString();
            o.data = runs.file("prompts.jsonl").toString();
            o.reward.add("length:3");
            o.steps = 8;
            o.batch_size = 12;
            o.group_size = 4;
            o.iterations = 2;
            o.mini_batches = 2;
            o.max_new_tokens = 9;
            o.beta = 0.1;
            o.save_every = 100;
            o.eval_every = 100;
        }
        o.lr = 2e-2;
        o.lora_rank = RANK;
        o.lora_alpha = 7;
        return o;
    }

    private AlignOptions options(String name, int ranks, int zero) {
        AlignOptions o = options(name);
        o.ranks = ranks;
        o.zero = zero;
        return o;
    }

    private static void same(Path a, Path b, String... files) throws IOException {
        for (String file : files) {
            assertArrayEquals(Files.readAllBytes(a.resolve(file)), Files.readAllBytes(b.resolve(file)), file);
        }
    }

    /// What ranks divide changes no bit: the reference is divided with the model.
    @ParameterizedTest
    @ValueSource(strings = {"sft", "reward", "sigmoid", "grpo", "drawn", "ppo"})
    void stagesGiveTheSameBits(String name) throws IOException {
        Path first = folder.resolve("0");
        Log whole = runs.train(options(name, 2, 0), first);
        for (int zero = 1; zero <= 3; zero++) {
            Path out = folder.resolve(String.valueOf(zero));
            Log log = runs.train(options(name, 2, zero), out);
            assertEquals(whole.losses(), log.losses());
            same(first, out, "adapter_model.safetensors", "adapter_config.json");
        }
    }

    @ParameterizedTest
    @CsvSource({"sft,1,0,f32", "sft,2,3,bf16", "reward,1,0,f32", "reward,2,3,bf16", "sigmoid,1,0,f32",
        "sigmoid,2,2,f32", "grpo,2,3,f32", "grpo,1,0,bf16",
        "drawn,1,0,f32", "ppo,1,0,f32", "ppo,2,3,bf16"})
    void anInterruptedRunGoesOn(String name, int ranks, int zero, String dtype) throws IOException {
        AlignOptions o = options(name, ranks, zero);
        o.dtype = dtype;
        o.lora_dropout = name.equals("sft") ? 0.3 : 0;
        o.lora_targets = new ArrayList<>(name.equals("grpo") ? List.of("q_proj", "mlp.up_proj") : List.of());
        Path whole = folder.resolve("whole");
        Log expected = runs.train(o, whole);
        Path out = folder.resolve("cut");
        Log first = new Log();
        try (Run run = Alignment.start(o.complete(), out, first)) {
            assertFalse(run.train(() -> first.steps.size() >= 2)); // in the middle of a batch of rollouts
        }
        var told = new ArrayList<>(first.told());
        told.addAll(runs.resume(out, x -> x).told());
        assertEquals(expected.told(), told);
        same(whole, out, "adapter_model.safetensors", "adapter_config.json",
                "checkpoints/step-000000" + o.steps + "/optimizer.safetensors");
    }

    /// Each of the methods moves the adapter, and nothing is written of the model below.
    @ParameterizedTest
    @ValueSource(strings = {"sft", "sigmoid", "grpo", "drawn", "ppo"})
    void theFolderIsAnAdapters(String name) throws IOException {
        AlignOptions o = options(name);
        Path out = folder.resolve("run");
        Tensor ids = Tensor.of(new long[] {5, 3, 9, 20}, 1, 4);
        float[] trained;
        try (Run run = Alignment.start(o.complete(), out, new Log())) {
            assertTrue(run.train(() -> false));
            trained = run.model().forward(ids, Pass.evaluate()).toFloats();
            try (CausalLm below = Models.open(runs.model())) {
                assertArrayEquals(below.forward(ids, Pass.evaluate()).toFloats(),
                        new Unadapted(run.model()).forward(ids, Pass.evaluate()).toFloats());
                assertFalse(Arrays.equals(below.forward(ids, Pass.evaluate()).toFloats(), trained));
            }
        }
        Path checkpoint = out.resolve("checkpoints/step-000000" + o.steps);
        for (Path made : new Path[] {out, checkpoint}) {
            assertFalse(Files.exists(made.resolve("model.safetensors")));
            assertFalse(Files.exists(made.resolve("config.json")));
            try (CausalLm model = Models.open(made)) {
                assertArrayEquals(trained, model.forward(ids, Pass.evaluate()).toFloats());
            }
        }
        Path beside = checkpoint.resolve("beside.safetensors"); // what learns of ppo's critic
        assertEquals(name.equals("ppo"), Files.exists(beside));
        if (name.equals("ppo")) {
            try (ModelMemory memory = new ModelMemory()) {
                Map<String, Tensor> critic = Safetensors.open(beside, memory).tensors();
                assertEquals(1, critic.keySet().stream().filter(n -> !Lora.isAdapter(n)).count());
                assertTrue(critic.containsKey("critic/score.weight"));
                assertTrue(critic.entrySet().stream().filter(e -> e.getKey().endsWith("lora_B.weight"))
                        .allMatch(e -> e.getValue().abs().sum().item() > 0));
            }
        }
        String message = assertThrows(IOException.class, () -> Alignment.start(o, out, new Log())).getMessage();
        assertTrue(message.startsWith(out + ": holds another run already (adapter_model.safetensors)"), message);
    }

    /// A reward model is an adapter and a score, which PEFT calls a module to save.
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void anAdapterThatJudges(int ranks) throws IOException {
        AlignOptions o = options("reward", ranks, 0);
        o.steps = 9;
        Path out = folder.resolve("judge");
        List<int[]> sequences = List.of(new int[] {5, 3, 9, 20}, new int[] {1, 2}, new int[] {8, 8, 8, 1, 6, 4});
        double[] trained;
        try (Run run = Alignment.start(o.complete(), out, new Log())) {
            int layer = (12 + 12) + 2 * (12 + 4) + (12 + 12) + 3 * (12 + 20); // q, k and v, o; the feed-forward network
            assertEquals(2 * RANK * layer + 12, run.adapted().orElseThrow().parameterCount()); // and the score
            assertTrue(run.train(() -> false));
            trained = ((SequenceClassifier) run.model()).scores(sequences).toDoubles();
        }
        try (ModelMemory memory = new ModelMemory()) {
            var moments = Safetensors.open(out.resolve("checkpoints/step-0000009/optimizer.safetensors"), memory);
            assertTrue(moments.tensors().get("score.weight.v").sum().item() > 0);
            assertTrue(moments.tensors().keySet().stream()
                    .allMatch(n -> n.contains(".lora_") || n.startsWith("score.weight.")));
        }
        String config = Files.readString(out.resolve("adapter_config.json"));
        assertTrue(config.contains("\"SEQ_CLS\"") && config.replaceAll("\\s", "").contains("[\"score\"]"), config);
        Files.writeString(out.resolve("adapter_config.json"),
                config.replaceFirst("\"score\"", "\"classifier\", \"score\"")); // as PEFT has it by itself
        for (Path made : new Path[] {out, out.resolve("checkpoints/step-0000009")}) {
            try (SequenceClassifier judge = Models.openClassifier(made)) {
                assertArrayEquals(trained, judge.scores(sequences).toDoubles());
            }
        }
        String writes = assertThrows(IllegalArgumentException.class, () -> Models.open(out)).getMessage();
        assertTrue(writes.contains("adapter_config.json: task_type"), writes);
        assertTrue(writes.contains("CAUSAL_LM"), writes);
        Path writer = folder.resolve("writer");
        runs.train(options("sft"), writer);
        String judges = assertThrows(IllegalArgumentException.class, () -> Models.openClassifier(writer)).getMessage();
        assertTrue(judges.contains("SEQ_CLS"), judges);
    }

    /// The reference is the model with the adapter off; a copy of the model says the same to the bit.
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void theReferenceIsTheModelBelow(int ranks) throws IOException {
        AlignOptions o = options("sigmoid", ranks, 0).complete();
        Log expected = runs.train(o, folder.resolve("off"));
        assertEquals(Math.log(2), expected.losses().getFirst(), 1e-6); // B is 0, so the policy is the reference
        assertTrue(expected.losses().getLast() < 0.65, expected.losses().toString());
        List<Row.Pair> pairs = new Rows(runs.file("pairs.jsonl"), Optional.empty(), Optional.empty(), Alignments.VOCAB,
                32, 32).pairs();
        Log found = withReference(o, pairs, _ -> Models.open(runs.model()));
        assertEquals(expected.told(), found.told());
    }

    /// Opens what a model is measured against.
    private interface Reference {
        CausalLm of(CausalLm policy) throws IOException;
    }

    private Log withReference(AlignOptions o, List<Row.Pair> pairs, Reference reference) throws IOException {
        Log log = new Log();
        Path out = folder.resolve("copy");
        try (Run run = Run.start(out, Launch.threads(o.ranks), log, o.steps, "", r -> r.loops(rank -> {
            Partition partition = new Partition(rank, r.ranks(), o.partition());
            Adapted a = Models.adapt(runs.model(), o.lora().orElseThrow(), o.seed, partition);
            return new Loop(o.loop(out), a, partition, new DpoTask(o, a.model(), r.share(reference.of(a.model())),
                    pairs, List.of(), 1));
        }))) {
            assertTrue(run.train(() -> false));
        }
        return log;
    }

    /// In stage 3 no rank has the reference alone: where only one of them meets pairs that it has not seen, both run
    /// it.
    @Test
    void ranksThatHaveSeenDifferentPairs() throws IOException {
        Path few = runs.file("few.jsonl");
        Files.write(few, Files.readAllLines(runs.file("pairs.jsonl")).subList(0, 7));
        List<List<Double>> losses = new ArrayList<>();
        for (int zero : new int[] {0, 3}) {
            AlignOptions o = options("sigmoid", 2, zero);
            o.data = few.toString();
            o.batch_size = 2;
            o.steps = 25;
            losses.add(runs.train(o, folder.resolve("few-" + zero)).losses());
        }
        assertEquals(losses.getFirst(), losses.getLast());
    }

    /// Gradients, moments and masters are those of the adapter alone; the weights of both are kept.
    @ParameterizedTest
    @CsvSource({"f32,1", "bf16,1", "f32,2"})
    void memory(String dtype, int ranks) throws IOException {
        AlignOptions o = options("sigmoid", ranks, 0);
        o.dtype = dtype;
        o.lora_targets = List.of("q_proj", "down_proj");
        try (Run run = Alignment.start(o.complete(), folder.resolve("run"), new Log())) {
            // a layer of 12 wide, a feed-forward network of 20: A (3, 12), B (12, 3), A (3, 20), B (12, 3), the last of
            // which alone does not end at a multiple of 16
            long layer = 48 + 48 + 64 + 36;
            assertEquals(2 * (36 + 36 + 60 + 36), run.adapted().orElseThrow().parameterCount());
            boolean half = dtype.equals("bf16");
            assertEquals(2 * layer * (half ? 2 : 4), run.memory().gradients());
            assertEquals(2 * layer * (half ? 12 : 8), run.memory().optimizer());
            assertTrue(run.train(() -> false));
            assertEquals(2 * layer * (half ? 12 : 8), run.memory().optimizer());
        }
        try (ModelMemory memory = new ModelMemory()) {
            var file = folder.resolve("run/checkpoints/step-0000006/optimizer.safetensors");
            assertTrue(Safetensors.open(file, memory).tensors().keySet().stream().allMatch(n -> n.contains(".lora_")));
        }
    }

    /// What is drawn is drawn from the model with its adapter, through the paged cache: when it has moved, the engine
    /// and the forward pass still say the same of it.
    @Test
    void rolloutsAreTheAdaptedModels() throws IOException {
        AlignOptions o = options("drawn");
        o.iterations = 1;
        o.lr = 0.1;
        o.beta = 0.01;
        Log log = runs.train(o, folder.resolve("run"));
        TrainListener.Step last = log.steps.lastEntry().getValue();
        assertTrue(last.metric("kl").getAsDouble() > 0.05, log.told().toString()); // far from the model below
        for (TrainListener.Step s : log.steps.values()) {
            assertEquals(0, s.metric("logprob_mismatch_max").getAsDouble(), 1e-4);
        }
    }

    @Test
    void dropoutIsTheAdapters() throws IOException {
        Log without = runs.train(options("sft"), folder.resolve("without"));
        AlignOptions o = options("sft");
        o.lora_dropout = 0.5;
        Log with = runs.train(o, folder.resolve("with"));
        assertEquals(without.losses().getFirst(), with.losses().getFirst()); // B is 0
        assertNotEquals(without.losses().get(3), with.losses().get(3));
        assertTrue(Files.readString(folder.resolve("with/adapter_config.json")).contains("\"lora_dropout\": 0.5"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "reward  |  2 |  8 | 0.1 |   | --lora-dropout goes with sft alone: reward compares",
        "sft     | -1 | -1 | 0   |   | --lora-rank must be from 1 to 65536, not -1",
        "sft     |  0 |  8 | 0   |   | --lora-alpha goes with --lora-rank R",
        "sft     |  0 | -1 | 0.1 |   | --lora-dropout goes with --lora-rank R",
        "sft     |  0 | -1 | 0   | q | --lora-targets goes with --lora-rank R",
        "sft     |  2 |  0 | 0   |   | --lora-alpha must be above 0 and below 1e6, not 0.0",
        "sft     |  2 |  8 | 1   |   | --lora-dropout must be at least 0 and below 1, not 1.0",
        "sigmoid |  2 |  8 | 0.1 |   | --lora-dropout goes with sft alone: dpo compares log-probabilities",
        "sft     |  2 |  8 | 0   | q | expected all-linear or some of q_proj, k_proj, v_proj, o_proj, gate_proj",
    })
    void refused(String name, int rank, double alpha, double dropout, String target, String told) {
        AlignOptions o = runs.options(name);
        o.lora_rank = rank;
        o.lora_alpha = alpha;
        o.lora_dropout = dropout;
        o.lora_targets = target == null ? new ArrayList<>() : List.of(target);
        Path out = folder.resolve("run");
        String message =
                assertThrows(IllegalArgumentException.class, () -> runs.train(o, out)).getMessage();
        assertTrue(message.contains(told) && !message.contains("\n"), message);
        assertFalse(Files.exists(out));
    }

    /// A run from before there were adapters goes on without one; defaults are said in a checkpoint.
    @Test
    void options() {
        AlignOptions o = runs.options("sft");
        o.lora_rank = 5;
        UnaryOperator<AlignOptions> again = x -> AlignOptions.read(x.json()).complete();
        Lora lora = again.apply(again.apply(o.complete())).lora().orElseThrow();
        assertEquals(new Lora(5, 32, 0, List.of(Lora.ALL_LINEAR)), lora);
        var older = o.json();
        List.of("lora_rank", "lora_alpha", "lora_dropout", "lora_targets").forEach(older::remove);
        assertEquals(Optional.empty(), AlignOptions.read(older).complete().lora());
    }
}
