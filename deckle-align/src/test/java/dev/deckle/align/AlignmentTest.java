package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import dev.deckle.align.Alignments.Log;
import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.models.Models;
import dev.deckle.models.SequenceClassifier;
import dev.deckle.train.Run;
import dev.deckle.train.TrainListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Runs of each method: the same on any number of ranks and however a batch is cut, and bit for bit when interrupted.
@Timeout(120)
class AlignmentTest {
    /// Ranks, ZeRO's stage, and in how many parts a step's rows come.
    private static final int[][] LAYOUTS = {{1, 0, 2}, {1, 3, 2}, {2, 0, 1}, {2, 3, 2}, {3, 0, 2}, {3, 3, 1}};

    @TempDir
    private Path folder;

    private Alignments runs;

    @BeforeEach
    void rows() throws IOException {
        runs = new Alignments(folder);
    }

    private static void close(Log expected, Log found, double eps, String what) {
        assertEquals(expected.steps.keySet(), found.steps.keySet());
        List<JsonObject> e = expected.told();
        List<JsonObject> f = found.told();
        for (int i = 0; i < e.size(); i++) {
            assertEquals(e.get(i).keySet(), f.get(i).keySet(), what);
            for (String key : e.get(i).keySet()) {
                if (key.equals("lr") || key.startsWith("rewards/acc") || key.equals("accuracy")) {
                    continue; // near a tie rounding decides
                }
                double x = e.get(i).get(key).getAsDouble();
                assertEquals(x, f.get(i).get(key).getAsDouble(), eps * (1 + Math.abs(x)),
                        what + ", step " + (i + 1) + ", " + key);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"sft", "reward", "sigmoid", "ipo", "grpo", "dr_grpo", "dapo", "gspo"})
    void ranksAndPartsOfABatchDoNotMatter(String name) throws IOException {
        Log one = runs.train(runs.options(name), folder.resolve("one"));
        assertTrue(Math.abs(one.losses().getFirst() - one.losses().getLast()) > 1e-3);
        for (int[] layout : LAYOUTS) {
            AlignOptions o = runs.options(name);
            o.ranks = layout[0];
            o.zero = layout[1];
            o.grad_accum = layout[2];
            if (o.method != AlignOptions.Method.GRPO) {
                o.batch_size /= o.grad_accum; // of a micro-batch
            }
            String what = o.ranks + " ranks, stage " + o.zero + ", " + o.grad_accum + " parts";
            close(one, runs.train(o, folder.resolve(what)), 2e-4, what);
        }
    }

    @ParameterizedTest
    @CsvSource({"sft,1,0", "sft,2,3", "reward,1,0", "reward,3,3", "sigmoid,1,0", "sigmoid,2,3", "grpo,1,0", "grpo,3,3",
        "dapo,2,0", "gspo,1,0"})
    void anInterruptedRunGoesOn(String name, int ranks, int zero) throws IOException {
        AlignOptions o = runs.options(name);
        o.ranks = ranks;
        o.zero = zero;
        Path whole = folder.resolve("whole");
        Log expected = runs.train(o, whole);
        Path out = folder.resolve("cut");
        Log first = new Log();
        try (Run run = Alignment.start(o.complete(), out, first)) {
            assertFalse(run.train(() -> first.steps.size() >= 2)); // the step at hand is finished: the third
        }
        assertEquals(3, first.steps.size());
        List<JsonObject> told = new ArrayList<>(first.told());
        told.addAll(runs.resume(out, x -> x).told());
        List<JsonObject> all = expected.told();
        for (int i = 0; i < all.size(); i++) {
            assertEquals(all.get(i), told.get(i));
        }
        same(whole, out, "model.safetensors", "checkpoints/step-0000006/optimizer.safetensors", "config.json");
    }

    /// Killed between two checkpoints, in the middle of a batch of rollouts.
    @ParameterizedTest
    @ValueSource(strings = {"sft", "reward", "sigmoid", "grpo"})
    void aKilledRunGoesOn(String name) throws IOException {
        AlignOptions o = runs.options(name);
        o.save_every = 3;
        Path whole = folder.resolve("whole");
        Log expected = runs.train(o, whole);
        Path out = folder.resolve("killed");
        try (Run run = Alignment.start(o.complete(), out, new Log(5))) {
            assertThrows(Exception.class, () -> run.train(() -> false));
        }
        Log rest = runs.resume(out, x -> x);
        assertEquals(expected.losses().subList(3, 6), rest.losses());
        same(whole, out, "model.safetensors", "checkpoints/step-0000006/optimizer.safetensors");
        assertEquals(6, Files.readAllLines(out.resolve("metrics.jsonl")).size());
    }

    private static void same(Path a, Path b, String... files) throws IOException {
        for (String file : files) {
            assertArrayEquals(Files.readAllBytes(a.resolve(file)), Files.readAllBytes(b.resolve(file)), file);
        }
    }

    @ParameterizedTest
    @CsvSource({"sft,1,0", "reward,1,0", "sigmoid,2,3", "grpo,3,3"})
    void halfPrecision(String name, int ranks, int zero) throws IOException {
        List<Double> full = runs.train(runs.options(name), folder.resolve("full")).losses();
        AlignOptions o = runs.options(name);
        o.dtype = "bf16";
        o.ranks = ranks;
        o.zero = zero;
        Path whole = folder.resolve("whole");
        Log half = runs.train(o, whole);
        assertNotEquals(full, half.losses());
        for (int i = 0; i < full.size(); i++) {
            assertEquals(full.get(i), half.losses().get(i), 0.1 * (1 + Math.abs(full.get(i))));
        }
        assertTrue(Files.readString(whole.resolve("config.json")).contains("\"bfloat16\""));
        Path out = folder.resolve("cut");
        Log first = new Log();
        try (Run run = Alignment.start(o.complete(), out, first)) {
            assertFalse(run.train(() -> first.steps.size() >= 2));
        }
        List<Double> losses = new ArrayList<>(first.losses());
        losses.addAll(runs.resume(out, x -> x).losses());
        assertEquals(half.losses(), losses);
        same(whole, out, "model.safetensors");
    }

    /// One row is data enough: it comes again and again.
    @ParameterizedTest
    @ValueSource(strings = {"sft", "reward", "sigmoid"})
    void oneRow(String name) throws IOException {
        AlignOptions o = runs.options(name);
        Path data = folder.resolve("one.jsonl");
        Files.write(data, List.of(Files.readAllLines(Path.of(o.data)).get(2)));
        o.data = data.toString();
        o.batch_size = 3;
        Log log = runs.train(o, folder.resolve("run"));
        assertTrue(log.losses().getLast() < log.losses().getFirst(), log.losses().toString());
    }

    /// A function of its options: the seed decides about the order of rows, and only that.
    @Test
    void seeds() throws IOException {
        AlignOptions o = runs.options("sft");
        Log a = runs.train(o, folder.resolve("a"));
        assertEquals(a.losses(), runs.train(runs.options("sft"), folder.resolve("b")).losses());
        o.seed = 2;
        assertNotEquals(a.losses(), runs.train(o, folder.resolve("c")).losses());
        o.shuffle = false;
        Log d = runs.train(o, folder.resolve("d"));
        o.seed = 3;
        assertEquals(d.losses(), runs.train(o, folder.resolve("e")).losses());
    }

    @Test
    void aRewardModelJudgesAsItDid() throws IOException {
        AlignOptions o = runs.options("reward");
        o.steps = 30;
        o.lr = 2e-2;
        Path out = folder.resolve("judge");
        List<TrainListener.Step> steps = List.copyOf(runs.train(o, out).steps.values());
        assertTrue(steps.getLast().metric("accuracy").getAsDouble() > 0.8);
        List<Row.Pair> pairs = new Rows(runs.file("pairs.jsonl"), java.util.Optional.empty(),
                java.util.Optional.empty(), Alignments.VOCAB, 32, 32).pairs();
        try (SequenceClassifier judge = Models.openClassifier(out);
                NoGrad _ = NoGrad.open();
                Workspace _ = Workspace.open()) {
            assertEquals(1, judge.vocabSize());
            double[] chosen = judge.scores(pairs.stream().map(p -> p.chosen().ids()).toList()).toDoubles();
            double[] rejected = judge.scores(pairs.stream().map(p -> p.rejected().ids()).toList()).toDoubles();
            long right =
                    java.util.stream.IntStream.range(0, chosen.length).filter(i -> chosen[i] > rejected[i]).count();
            assertTrue(right >= 20, right + " of 24");
            for (int i = 0; i < 5; i++) { // alone as among others: padding is not read
                double[] alone = judge.scores(List.of(pairs.get(i).chosen().ids())).toDoubles();
                assertEquals(chosen[i], alone[0], 1e-5);
            }
        }
        String config = Files.readString(out.resolve("config.json"));
        assertTrue(config.contains("\"LlamaForSequenceClassification\""), config);
        assertTrue(assertThrows(IllegalArgumentException.class, () -> Models.openClassifier(runs.model())).getMessage()
                .contains("score.weight (1, 12) is missing"));
    }

    /// Groups in which all are as good teach nothing; answers of no token and of one neither harm.
    @ParameterizedTest
    @ValueSource(strings = {"grpo", "dr_grpo", "dapo", "bnpo", "gspo"})
    void nothingToLearn(String loss) throws IOException {
        for (boolean empty : new boolean[] {false, true}) {
            List<String> lines = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                boolean none = empty || i == 3;
                lines.add("{\"prompt_ids\": [" + (1 + i / 4) + "], \"completion_ids\": [" + (none ? "" : "5")
                        + "], \"reward\": " + (empty ? i : 0.3) + ", \"logprobs\": [" + (none ? "" : "-2") + "]}");
            }
            AlignOptions o = runs.options(loss);
            o.rollouts = Files.write(folder.resolve("same" + empty + ".jsonl"), lines).toString();
            o.batch_size = 8;
            o.beta = 0;
            o.steps = 2;
            Path out = folder.resolve("out" + empty);
            Log log = runs.train(o, out);
            assertTrue(log.losses().stream().allMatch(l -> l == 0), log.losses().toString());
            assertTrue(log.told().stream().flatMap(t -> t.entrySet().stream())
                    .allMatch(e -> Double.isFinite(e.getValue().getAsDouble())), log.told().toString());
            try (var before = Models.open(runs.model()); var after = Models.open(out)) {
                before.parameters().forEach((n, p) -> assertTrue(
                        Arrays.equals(p.toFloats(), after.parameters().get(n).toFloats()), n));
            }
        }
    }

    @Test
    void recordedRolloutsThatDoNotFit() {
        AlignOptions o = runs.options("grpo");
        o.batch_size = 28;
        String few =
                assertThrows(IllegalArgumentException.class, () -> runs.train(o, folder.resolve("a"))).getMessage();
        assertEquals(o.rollouts + ": holds 24 rollouts, --batch-size 28 needs at least as many", few);
        o.batch_size = 12;
        o.group_size = 6;
        String mixed =
                assertThrows(IllegalArgumentException.class, () -> runs.train(o, folder.resolve("a"))).getMessage();
        assertTrue(mixed.startsWith("--group-size 6: rollout 5 of " + o.rollouts + " has another prompt"), mixed);
        assertFalse(Files.exists(folder.resolve("a")));
    }
}
