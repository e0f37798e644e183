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
import dev.deckle.train.TrainListener.Step;
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

/// Runs of PPO against [PlainPpo], on any number of ranks, bit for bit when interrupted, and where there is nothing to
/// learn.
@Timeout(120)
class PpoTest {
    @TempDir
    private Path folder;

    private Alignments runs;

    @BeforeEach
    void rows() throws IOException {
        runs = new Alignments(folder);
    }

    /// Two batches, each used twice, at weights that have moved: what each step tells is computed on plain arrays from
    /// the checkpoints before it.
    @ParameterizedTest
    @CsvSource({"k1,own", "k3,shared"})
    void everyStepIsAsDefined(String kl, String critic) throws IOException {
        AlignOptions o = PpoRuns.options(runs);
        o.kl = kl;
        o.critic = critic;
        o.epsilon_value = 0.02;
        o.batch_size = 9;
        o.mini_batches = 1;
        o.grad_accum = 3;
        o.steps = 4;
        o.save_every = 1;
        o.save_rollouts = folder.resolve("drawn.jsonl").toString();
        Path out = folder.resolve("out");
        PlainPpo plain = new PlainPpo(o, out, folder.resolve("kept"));
        try (Run run = Alignment.start(o.complete(), out, plain)) {
            assertTrue(run.train(() -> false));
        }
        List<Row.Rollout> drawn =
                Rows.rollouts(Files.readString(Path.of(o.save_rollouts)), "drawn", Alignments.VOCAB);
        assertEquals(18, drawn.size());
        assertTrue(drawn.stream().anyMatch(r -> !r.ended()) && drawn.stream().anyMatch(Row.Rollout::ended));
        assertTrue(drawn.stream().anyMatch(r -> r.completion().length == 1));
        assertTrue(drawn.stream().anyMatch(r -> Double.isNaN(r.reward())));
        List<PlainPpo.Told> expected = plain.steps(drawn);
        double clipped = 0;
        for (int i = 0; i < 4; i++) {
            Step found = plain.found().get(i);
            PlainPpo.Told e = expected.get(i);
            String where = "step " + (i + 1) + " ";
            assertEquals(e.loss(), found.loss(), 2e-5, where + "loss");
            assertEquals(e.valueLoss(), found.metric("value_loss").orElseThrow(), 2e-5, where + "value_loss");
            assertEquals(e.clipRatio(), found.metric("clip_ratio").orElseThrow(), 1e-9, where + "clip_ratio");
            assertEquals(e.entropy(), found.metric("entropy").orElseThrow(), 1e-5, where + "entropy");
            assertEquals(i % 2 == 0, found.metric("beta").isPresent());
            if (i % 2 == 0) {
                assertEquals(e.beta(), found.metric("beta").orElseThrow(), 1e-9, where + "beta");
                assertEquals(e.divergence(), found.metric("kl").orElseThrow(), 2e-5, where + "kl");
                assertEquals(e.reward(), found.metric("reward").orElseThrow(), 1e-9, where + "reward");
            }
            clipped += e.clipRatio();
        }
        // otherwise the comparison says little
        assertTrue(clipped > 0.1, "nothing was clipped");
        assertTrue(plain.clippedValues() > 3, "no value was clipped");
        assertTrue(Math.abs(expected.get(2).divergence()) > 0.02, "no divergence: " + expected.get(2).divergence());
        assertNotEquals(o.beta, expected.get(2).beta());
    }

    /// Where nothing moves, the steps of a batch are a partition of its rows, with the advantages of the whole batch.
    @Test
    void miniBatchesShareABatch() throws IOException {
        AlignOptions o = PpoRuns.options(runs);
        o.batch_size = 6;
        o.mini_batches = 3;
        o.iterations = 1;
        o.steps = 3;
        o.lr = 1e-12;
        o.save_rollouts = folder.resolve("drawn.jsonl").toString();
        Path out = folder.resolve("out");
        PlainPpo plain = new PlainPpo(o, out, folder.resolve("kept"));
        try (Run run = Alignment.start(o.complete(), out, plain)) {
            assertTrue(run.train(() -> false));
        }
        List<Row.Rollout> drawn =
                Rows.rollouts(Files.readString(Path.of(o.save_rollouts)), "drawn", Alignments.VOCAB);
        List<List<Integer>> used = new ArrayList<>();
        for (Step s : plain.found()) {
            for (int i = 0; i < 6; i++) {
                for (int j = i + 1; j < 6; j++) {
                    if (Math.abs(plain.unmoved(drawn, List.of(i, j)) - s.loss()) < 1e-5) {
                        used.add(List.of(i, j));
                    }
                }
            }
        }
        assertEquals(List.of(0, 1, 2, 3, 4, 5), used.stream().flatMap(List::stream).sorted().toList(), used.toString());
    }

    @ParameterizedTest
    @CsvSource({"1,3,2,own", "2,0,1,own", "2,2,3,shared", "2,3,1,own", "3,0,1,shared", "3,2,1,own", "3,3,2,shared"})
    void ranksAndPartsOfABatchDoNotMatter(int ranks, int zero, int parts, String critic) throws IOException {
        AlignOptions o = PpoRuns.options(runs);
        o.critic = critic;
        Log one = runs.train(o, folder.resolve("one"));
        o = PpoRuns.options(runs);
        o.critic = critic;
        o.ranks = ranks;
        o.zero = zero;
        o.grad_accum = parts;
        Log many = runs.train(o, folder.resolve("many"));
        for (int i = 0; i < one.told().size(); i++) {
            JsonObject e = one.told().get(i);
            JsonObject f = many.told().get(i);
            assertEquals(e.keySet(), f.keySet());
            for (String key : e.keySet()) {
                double x = e.get(key).getAsDouble();
                assertEquals(x, f.get(key).getAsDouble(), 5e-4 * (1 + Math.abs(x)), "step " + (i + 1) + ", " + key);
            }
        }
    }

    /// In the middle of an iteration, between iterations, and between batches, where beta is steered.
    @ParameterizedTest
    @CsvSource({"2,2,0,own", "3,1,0,shared", "4,1,0,own", "8,1,0,own", "8,3,3,own", "5,2,3,shared", "6,2,2,own"})
    void anInterruptedRunGoesOn(int at, int ranks, int zero, String critic) throws IOException {
        AlignOptions o = PpoRuns.options(runs);
        o.critic = critic;
        o.ranks = ranks;
        o.zero = zero;
        Path whole = folder.resolve("whole");
        Log expected = runs.train(o, whole);
        Path out = folder.resolve("cut");
        Log first = new Log();
        try (Run run = Alignment.start(o.complete(), out, first)) {
            assertFalse(run.train(() -> first.steps.size() >= at - 1)); // the step at hand is finished
        }
        assertEquals(at, first.steps.size());
        List<JsonObject> told = new ArrayList<>(first.told());
        told.addAll(runs.resume(out, x -> x).told());
        for (int i = 0; i < o.steps; i++) {
            assertEquals(expected.told().get(i), told.get(i));
        }
        for (String file : List.of("model", "checkpoints/step-0000010/beside", "checkpoints/step-0000010/optimizer")) {
            assertArrayEquals(Files.readAllBytes(whole.resolve(file + ".safetensors")),
                    Files.readAllBytes(out.resolve(file + ".safetensors")), file);
        }
    }

    @Test
    void aKilledRunGoesOn() throws IOException {
        AlignOptions o = PpoRuns.options(runs);
        o.save_every = 3;
        Log expected = runs.train(o, folder.resolve("whole"));
        Path out = folder.resolve("killed");
        try (Run run = Alignment.start(o.complete(), out, new Log(5))) {
            assertThrows(Exception.class, () -> run.train(() -> false));
        }
        assertEquals(expected.losses().subList(3, 10), runs.resume(out, x -> x).losses());
    }

    /// What the critic learns moves the actor only where they share a trunk.
    @Test
    void theTrunkLearnsFromBoth() throws IOException {
        for (String critic : List.of("own", "shared")) {
            List<byte[]> actors = new ArrayList<>();
            for (double coef : new double[] {0, 0.7}) {
                AlignOptions o = PpoRuns.options(runs);
                o.critic = critic;
                o.value_coef = coef;
                o.grad_clip = 0; // its norm is over both
                o.steps = 1;
                Path out = folder.resolve(critic + coef);
                runs.train(o, out);
                actors.add(Files.readAllBytes(out.resolve("model.safetensors")));
            }
            assertEquals(critic.equals("own"), Arrays.equals(actors.getFirst(), actors.getLast()), critic);
        }
    }

    /// Whatever there is not to learn from leaves the weights as they are, and never NaN in them.
    @Test
    void nothingToLearn() throws IOException {
        AlignOptions cut = PpoRuns.options(runs);
        cut.mask_truncated = true;
        cut.max_new_tokens = 1; // all are cut off, so every row is masked
        Path endings = runs.model().resolve("generation_config.json");
        Files.writeString(endings, "{\"eos_token_id\": []}");
        Log log = runs.train(cut, folder.resolve("cut"));
        assertTrue(log.losses().stream().allMatch(l -> l == 0), log.losses().toString());
        unchanged(folder.resolve("cut"));
        Files.delete(endings);
        AlignOptions few = PpoRuns.options(runs);
        few.max_new_tokens = 1; // one token each; some without a reward
        log = runs.train(few, folder.resolve("few"));
        assertTrue(log.told().stream().flatMap(t -> t.entrySet().stream())
                .allMatch(e -> Double.isFinite(e.getValue().getAsDouble())), log.told().toString());
        try (var after = Models.open(folder.resolve("few"))) {
            after.parameters().forEach((n, p) -> {
                for (float f : p.toFloats()) {
                    assertTrue(Float.isFinite(f), n);
                }
            });
        }
    }

    private void unchanged(Path out) throws IOException {
        try (var before = Models.open(runs.model()); var after = Models.open(out)) {
            before.parameters().forEach((n, p) -> assertTrue(
                    Arrays.equals(p.toFloats(), after.parameters().get(n).toFloats()), n));
        }
    }

    /// From pairs to a model that judges, and from that to a policy that it prefers.
    @Test
    void aRewardModelIsAReward() throws IOException {
        AlignOptions pairs = runs.options("reward");
        pairs.lr = 2e-2;
        Path judge = folder.resolve("judge");
        runs.train(pairs, judge);
        AlignOptions o = PpoRuns.options(runs);
        AlignOptions grpo = new AlignOptions(AlignOptions.Method.GRPO);
        grpo.model = o.model;
        grpo.data = o.data;
        grpo.reward = List.of("model:" + judge);
        grpo.group_size = 6;
        grpo.batch_size = 60; // each of the prompts
        grpo.lr = 2e-2;
        grpo.steps = 20;
        grpo.max_new_tokens = 5;
        grpo.save_rollouts = folder.resolve("drawn.jsonl").toString();
        Log log = runs.train(grpo, folder.resolve("policy"));
        List<Row.Rollout> drawn =
                Rows.rollouts(Files.readString(Path.of(grpo.save_rollouts)), "drawn", Alignments.VOCAB);
        try (SequenceClassifier j = Models.openClassifier(judge);
                NoGrad _ = NoGrad.open();
                Workspace _ = Workspace.open()) {
            for (Row.Rollout r : drawn.subList(0, 60)) {
                assertEquals(j.scores(List.of(r.sequence().ids())).item(), r.reward(), 1e-5);
            }
        }
        List<Double> rewards = log.steps.values().stream().map(s -> s.metric("reward").orElseThrow()).toList();
        double first = rewards.subList(0, 3).stream().mapToDouble(r -> r).average().orElseThrow();
        double last = rewards.subList(17, 20).stream().mapToDouble(r -> r).average().orElseThrow();
        assertTrue(last > first + 0.1, rewards.toString());
    }

    /// By a fifth of n / 10000 at most, and not at all where the divergence is what is wanted.
    @Test
    void betaIsSteered() {
        AdaptiveBeta a = new AdaptiveBeta(6);
        assertEquals(0.15 * (1 + 0.1 * 64 / 10_000), a.next(0.15, 6.6, 64), 1e-15);
        assertEquals(0.15 * (1 - 0.05 * 64 / 10_000), a.next(0.15, 5.7, 64), 1e-15);
        assertEquals(0.15 * (1 + 0.2 * 64 / 10_000), a.next(0.15, 100, 64), 1e-15);
        assertEquals(0.15 * (1 - 0.2 * 64 / 10_000), a.next(0.15, -3, 64), 1e-15);
        assertEquals(0.15, a.next(0.15, 6, 64));
        assertEquals(0.15, new AdaptiveBeta(0).next(0.15, 100, 64));
    }

    @Test
    void aTargetNeedsAWeight() throws IOException {
        AlignOptions o = PpoRuns.options(runs);
        o.beta = 0;
        assertEquals("--kl-target steers --beta, which must be above 0, not 0.0",
                assertThrows(IllegalArgumentException.class, o::complete).getMessage());
        o.kl_target = 0;
        assertEquals(10, runs.train(o, folder.resolve("free")).steps.size()); // without a reference
    }
}
