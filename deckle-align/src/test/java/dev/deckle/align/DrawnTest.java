package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.align.Alignments.Log;
import dev.deckle.reward.RewardFunction.Sample;
import dev.deckle.train.Run;
import dev.deckle.train.TrainListener.Step;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What runs tell of completions that they draw themselves.
@Timeout(120)
class DrawnTest {
    private static final int GROUP = 3;

    @TempDir
    private Path folder;

    private Alignments runs;

    @BeforeEach
    void rows() throws IOException {
        runs = new Alignments(folder);
    }

    private AlignOptions options(String method) throws IOException {
        AlignOptions o = PpoRuns.options(runs);
        if (method.equals("grpo")) {
            AlignOptions grpo = new AlignOptions(AlignOptions.Method.GRPO);
            grpo.model = o.model;
            grpo.data = o.data;
            grpo.reward = o.reward;
            grpo.batch_size = 18;
            grpo.group_size = GROUP;
            grpo.lr = 1e-2;
            grpo.save_every = 100;
            grpo.eval_every = 100;
            grpo.max_new_tokens = 5;
            o = grpo;
        }
        o.steps = 5;
        return o;
    }

    private static double mean(double... values) {
        return Arrays.stream(values).sum() / values.length;
    }

    private static double std(double... values) {
        double mean = mean(values);
        return Math.sqrt(Arrays.stream(values).map(v -> Math.pow(v - mean, 2)).sum() / (values.length - 1));
    }

    private static double[] known(List<Row.Rollout> rollouts) {
        return rollouts.stream().mapToDouble(Row.Rollout::reward).filter(r -> !Double.isNaN(r)).toArray();
    }

    /// From what was drawn, whoever drew it.
    @ParameterizedTest
    @CsvSource({"1,0", "3,2", "2,3"})
    void statistics(int ranks, int zero) throws IOException {
        AlignOptions o = options("grpo");
        o.reward = List.of(PpoRuns.Judge.class.getName(), "length:3");
        o.reward_weights = List.of(0.5, 2.0);
        o.ranks = ranks;
        o.zero = zero;
        o.seed = 2;
        o.max_new_tokens = 5;
        o.temperature = 0.2;
        o.steps = 1;
        o.save_rollouts = folder.resolve("drawn.jsonl").toString();
        Step told = runs.train(o, folder.resolve("out")).steps.firstEntry().getValue();
        List<Row.Rollout> drawn =
                Rows.rollouts(Files.readString(Path.of(o.save_rollouts)), "drawn", Alignments.VOCAB);
        double[] judge = new PpoRuns.Judge().rewards(drawn.stream()
                .map(r -> new Sample("", "", r.prompt(), r.completion(), Map.of())).toList());
        double[] some = Arrays.stream(judge).filter(r -> !Double.isNaN(r)).toArray();
        assertTrue(some.length < judge.length, "all were judged");
        double[] lengths = drawn.stream().mapToDouble(r -> r.completion().length).toArray();
        double[] length = Arrays.stream(lengths).map(n -> Math.clamp((6 - n) / 3, 0, 1)).toArray();
        long equal = 0;
        for (int g = 0; g < 18; g += GROUP) {
            double[] group = known(drawn.subList(g, g + GROUP));
            equal += Arrays.stream(group).max().orElse(0) - Arrays.stream(group).min().orElse(0) < 1e-8 ? 1 : 0;
        }
        assertTrue(equal > 0 && equal < 6, equal + " groups are equal");
        Map<String, Double> expected = Map.ofEntries(Map.entry("reward", mean(known(drawn))),
                Map.entry("reward_std", std(known(drawn))), Map.entry("rewards/Judge/mean", mean(some)),
                Map.entry("rewards/Judge/std", std(some)), Map.entry("rewards/length/mean", mean(length)),
                Map.entry("rewards/length/std", std(length)), Map.entry("frac_reward_zero_std", equal / 6.0),
                Map.entry("completions/mean_length", mean(lengths)),
                Map.entry("completions/min_length", Arrays.stream(lengths).min().orElseThrow()),
                Map.entry("completions/max_length", Arrays.stream(lengths).max().orElseThrow()),
                Map.entry("completions/clipped_ratio", drawn.stream().filter(r -> !r.ended()).count() / 18.0),
                Map.entry("completion_length", mean(lengths)), Map.entry("drawn", 18.0));
        expected.forEach((name, e) -> assertEquals(e, told.metric(name).orElseThrow(), 1e-9, name));
    }

    /// At evaluations, the best of each prompt first; a run that was killed and went on has told the same.
    @ParameterizedTest
    @ValueSource(strings = {"grpo", "ppo"})
    void samples(String method) throws IOException {
        AlignOptions o = options(method);
        o.eval_every = 2;
        o.save_every = 3;
        Path whole = folder.resolve("whole");
        runs.train(o, whole);
        List<JsonObject> rows = new ArrayList<>();
        for (String line : Files.readAllLines(whole.resolve("samples.jsonl"))) {
            rows.add(JsonParser.parseString(line).getAsJsonObject());
        }
        int group = method.equals("grpo") ? GROUP : 1;
        assertEquals(4 * group * 3, rows.size()); // after steps 2, 4, and the last
        assertEquals(List.of(2L, 4L, 5L), rows.stream().map(r -> r.get("step").getAsLong()).distinct().toList());
        boolean advantages = false;
        for (int i = 0; i < rows.size(); i++) {
            JsonObject r = rows.get(i);
            assertTrue(r.get("completion_ids").getAsJsonArray().size() > 0);
            boolean judged = r.get("prompt_ids").getAsJsonArray().size() != 4;
            assertEquals(judged, r.has("reward"));
            if (i % group > 0 && judged) {
                assertEquals(rows.get(i - 1).get("prompt_ids"), r.get("prompt_ids"));
                assertTrue(rows.get(i - 1).get("reward").getAsDouble() >= r.get("reward").getAsDouble());
                assertTrue(rows.get(i - 1).get("advantage").getAsDouble() >= r.get("advantage").getAsDouble());
            }
            advantages |= r.get("advantage").getAsDouble() != 0;
        }
        assertTrue(advantages);
        Path out = folder.resolve("killed");
        try (Run run = Alignment.start(o.complete(), out, new Log(5))) {
            assertThrows(Exception.class, () -> run.train(() -> false));
        }
        runs.resume(out, x -> x);
        assertEquals(Files.readString(whole.resolve("samples.jsonl")),
                Files.readString(out.resolve("samples.jsonl")));
    }

    /// The reference is where the run began, for later batches too.
    @Test
    void theReferenceStays() throws IOException {
        AlignOptions o = runs.options("grpo"); // each batch is used four times
        Log log = runs.train(o, folder.resolve("out"));
        assertEquals(0, log.steps.get(1L).metric("kl").orElseThrow(), 1e-6);
        assertTrue(log.steps.get(5L).metric("kl").orElseThrow() > 1e-3, log.told().toString());
    }

    @ParameterizedTest
    @ValueSource(strings = {"grpo", "sft"})
    void recordedRowsAreNoSamples(String method) throws IOException {
        AlignOptions o = runs.options(method);
        o.eval_every = 1;
        o.steps = 2;
        Path out = folder.resolve("out");
        runs.train(o, out);
        assertFalse(Files.exists(out.resolve("samples.jsonl")));
    }
}
