package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import dev.deckle.memory.Workspace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PretrainingTest {
    @TempDir
    private Path folder;

    private Path text;

    /// What a run said.
    private static class Log implements TrainListener {
        final TreeMap<Long, Step> steps = new TreeMap<>();
        final List<String> notes = new ArrayList<>();
        int samples;

        @Override
        public void note(String line) {
            notes.add(line);
        }

        @Override
        public void step(Step step) {
            assertEquals(null, steps.put(step.step(), step));
        }

        @Override
        public void sample(long step, String sample) {
            samples++;
        }

        List<Double> losses() {
            return steps.values().stream().map(Step::loss).toList();
        }
    }

    @BeforeEach
    void corpus() throws IOException {
        text = Files.createDirectories(folder.resolve("text"));
        for (int i = 0; i < 30; i++) {
            StringBuilder b = new StringBuilder();
            for (int j = 0; j < 40; j++) {
                b.append("line ").append(i * j % 17).append(" of document ").append(i).append(": to be or not to be\n");
            }
            Files.writeString(text.resolve("doc" + i + ".txt"), b);
        }
    }

    private TrainOptions options() {
        TrainOptions o = TrainOptions.preset("small");
        o.data = List.of(text.toString());
        o.layers = 2;
        o.hidden_size = 24;
        o.heads = 3;
        o.context = 20;
        o.batch_size = 4;
        o.vocab_size = 300;
        o.steps = 12;
        o.save_every = 5;
        o.eval_every = 6;
        o.warmup_steps = 3;
        o.lr = 1e-2;
        return o;
    }

    private static Log train(TrainOptions o, Path out) throws IOException {
        Log log = new Log();
        try (Run run = Pretraining.start(o.complete(), out, log)) {
            assertTrue(run.train(() -> false));
        }
        return log;
    }

    private static Log resume(Path out, UnaryOperator<TrainOptions> change) throws IOException {
        Log log = new Log();
        try (Run run = Pretraining.resume(out, change, log)) {
            assertTrue(run.train(() -> false));
        }
        return log;
    }

    @Test
    void aRunLeavesAModelFolder() throws IOException {
        Path out = folder.resolve("run");
        Log log = train(options(), out);
        assertEquals(12, log.steps.size());
        assertTrue(log.steps.get(12L).loss() < log.steps.get(1L).loss() - 0.5, log.losses().toString());
        assertTrue(log.steps.get(6L).metric("val_loss").isPresent());
        assertTrue(log.steps.get(12L).metric("val_bpb").orElseThrow() > 0);
        assertTrue(log.steps.get(7L).metric("val_loss").isEmpty());
        assertEquals(2, log.samples);
        assertEquals(12 * 80L, log.steps.get(12L).metrics().get("tokens"));
        for (String name : List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
                "generation_config.json", "metrics.jsonl", "checkpoints/step-0000012/state.json",
                "checkpoints/step-0000010/config.json")) {
            assertTrue(Files.exists(out.resolve(name)), name);
        }
        assertFalse(Files.exists(out.resolve("checkpoints/step-0000005")), "only the two newest are kept");
        assertEquals(12, Files.readAllLines(out.resolve("metrics.jsonl")).size());
    }

    @Test
    void theSameOptionsGiveTheSameRunOnAnyNumberOfThreads() throws IOException {
        List<Double> losses = new ArrayList<>();
        byte[] weights = {};
        for (int threads : new int[] {1, 2, 3}) {
            Team.setThreads(threads);
            Path out = folder.resolve("run" + threads);
            Log log = train(options(), out);
            byte[] now = Files.readAllBytes(out.resolve("model.safetensors"));
            if (threads > 1) {
                assertEquals(losses, log.losses());
                assertArrayEquals(weights, now);
            }
            losses = log.losses();
            weights = now;
        }
    }

    @Test
    void anInterruptedRunGoesOnBitForBit() throws IOException {
        Path whole = folder.resolve("whole");
        Log expected = train(options(), whole);
        Path out = folder.resolve("cut");
        Log first = new Log();
        try (Run run = Pretraining.start(options().complete(), out, first)) {
            assertFalse(run.train(() -> first.steps.size() >= 6)); // Ctrl-C during step 7, which is finished and saved
        }
        assertEquals(7, first.steps.size());
        // and then as if it had been killed later: lines beyond the checkpoint, the last one torn
        Files.writeString(out.resolve("metrics.jsonl"), Files.readString(out.resolve("metrics.jsonl"))
                + "{\"step\":8,\"loss\":99}\n{\"step\":9,\"lo");
        Log rest = resume(out, o -> o);
        assertEquals(List.of(8L, 9L, 10L, 11L, 12L), List.copyOf(rest.steps.keySet()));
        assertEquals(expected.losses().subList(7, 12), rest.losses());
        assertArrayEquals(Files.readAllBytes(whole.resolve("model.safetensors")),
                Files.readAllBytes(out.resolve("model.safetensors")));
        assertArrayEquals(Files.readAllBytes(whole.resolve("checkpoints/step-0000012/optimizer.safetensors")),
                Files.readAllBytes(out.resolve("checkpoints/step-0000012/optimizer.safetensors")));
        assertEquals(12, Files.readAllLines(out.resolve("metrics.jsonl")).size());
    }

    @Test
    void anotherEndContinuesARun() throws IOException {
        Path out = folder.resolve("run");
        train(options(), out);
        Log more = resume(out, o -> {
            o.steps = 15;
            return o;
        });
        assertEquals(List.of(13L, 14L, 15L), List.copyOf(more.steps.keySet()));
        assertThrows(IllegalArgumentException.class, () -> resume(out, o -> {
            o.steps = 3;
            return o;
        }));
    }

    /// One batch of 8, and 4 micro-batches of 2: the same rows, so the same gradient but for rounding.
    @Test
    void accumulationIsNormalisedByTokens() throws IOException {
        TrainOptions one = options();
        one.batch_size = 8;
        TrainOptions four = options();
        four.batch_size = 2;
        four.grad_accum = 4;
        Log a = train(one, folder.resolve("one"));
        Log b = train(four, folder.resolve("four"));
        for (long step = 1; step <= 12; step++) {
            assertEquals(a.steps.get(step).loss(), b.steps.get(step).loss(), 2e-5);
            assertEquals(a.steps.get(step).gradNorm(), b.steps.get(step).gradNorm(), 1e-4);
            assertEquals(a.steps.get(step).metrics().get("tokens"), b.steps.get(step).metrics().get("tokens"));
        }
    }

    @Test
    void aRunThatDivergesStopsAndSaysWhere() throws IOException {
        TrainOptions o = options();
        o.lr = 9;
        o.grad_clip = 0;
        o.steps = 400;
        o.warmup_steps = 0;
        o.adam_eps = 1e-30;
        Path out = folder.resolve("run");
        try (Run run = Pretraining.start(o.complete(), out, new Log())) {
            // a model that has been spoilt on purpose
            Native.setFloat(run.model().parameters().get("model.layers.1.mlp.up_proj.weight").address(),
                    Float.NaN);
            String m = assertThrows(IllegalStateException.class, () -> run.train(() -> false)).getMessage();
            assertTrue(m.startsWith("step 1: loss NaN"), m);
            assertTrue(m.contains("weight model.layers.1.mlp.up_proj.weight"), m);
        }
        assertFalse(Files.exists(out.resolve("model.safetensors")));
    }

    @Test
    void aFolderHoldsOneRun() throws IOException {
        Path out = folder.resolve("run");
        try (Run run = Pretraining.start(options().complete(), out, new Log())) {
            String busy = assertThrows(IOException.class, () -> train(options(), out)).getMessage();
            assertTrue(busy.contains("another run is writing there"), busy);
            run.train(() -> false);
        }
        String there = assertThrows(IOException.class, () -> train(options(), out)).getMessage();
        assertTrue(there.contains("holds another run already"), there);
        Path file = Files.writeString(folder.resolve("file"), "x");
        String notAFolder = assertThrows(IOException.class, () -> train(options(), file)).getMessage();
        assertTrue(notAFolder.contains("is a file, a folder is needed"), notAFolder);
        String nothing = assertThrows(IOException.class, () -> resume(folder.resolve("nowhere"), o -> o)).getMessage();
        assertTrue(nothing.contains("there is no such run to resume"), nothing);
        String empty = assertThrows(IOException.class, () -> resume(text, o -> o)).getMessage();
        assertTrue(empty.contains("holds no checkpoint to resume from"), empty);
    }

    @Test
    void aRunIsNotResumedOnOtherText() throws IOException {
        Path out = folder.resolve("run");
        train(options(), out);
        Files.writeString(text.resolve("doc3.txt"), "something else");
        String m = assertThrows(IllegalArgumentException.class, () -> resume(out, o -> {
            o.steps = 20;
            return o;
        })).getMessage();
        assertTrue(m.contains("the data has changed since the run began"), m);
        assertEquals(12, Files.readAllLines(out.resolve("metrics.jsonl")).size());
    }

    @Test
    void aDamagedCheckpointGivesWayToTheOneBefore() throws IOException {
        Path out = folder.resolve("run");
        train(options(), out);
        Files.writeString(out.resolve("checkpoints/step-0000012/state.json"), "{}");
        assertEquals(List.of(11L, 12L), List.copyOf(resume(out, o -> o).steps.keySet()));
        for (String step : List.of("12", "10")) {
            Files.writeString(out.resolve("checkpoints/step-00000" + step + "/state.json"), "{}");
        }
        String m = assertThrows(IOException.class, () -> resume(out, o -> o)).getMessage();
        assertTrue(m.contains("step-0000012/state.json: not the state of a run"), m);
    }

    @Test
    void aRunThatDidNotStartLeavesNothing() throws IOException {
        TrainOptions o = options();
        o.data = List.of(folder.resolve("nowhere").toString());
        assertThrows(IOException.class, () -> train(o, folder.resolve("run")));
        assertFalse(Files.exists(folder.resolve("run")));
    }

    @Test
    void anotherRunStartsFromAModelsWeights() throws IOException {
        Path out = folder.resolve("run");
        Log first = train(options(), out);
        TrainOptions o = options();
        o.init = out.toString();
        Map<String, String> kept = Map.of("chat_template.jinja", "{{ messages }}", "generation_config.json",
                "{\"eos_token_id\": [0, 5], \"do_sample\": true}");
        for (var e : kept.entrySet()) {
            Files.writeString(out.resolve(e.getKey()), e.getValue());
        }
        Log second = train(o, folder.resolve("next"));
        for (var e : kept.entrySet()) { // how the model is talked with, and where it ends, stays its own
            assertEquals(e.getValue(), Files.readString(folder.resolve("next").resolve(e.getKey())));
        }
        assertTrue(second.steps.get(1L).loss() < first.steps.get(1L).loss() - 0.5);
    }

    @Test
    void stepsTenToAHundredTakeNoMoreMemory() throws IOException {
        TrainOptions o = options();
        o.steps = 100;
        o.eval_every = 1000;
        o.save_every = 1000;
        long[] reserved = new long[2];
        Log log = new Log() {
            @Override
            public void step(Step step) {
                super.step(step);
                if (step.step() == 10) {
                    reserved[0] = Workspace.reservedBytes();
                } else if (step.step() == 99) {
                    reserved[1] = Workspace.reservedBytes();
                }
            }
        };
        try (Run run = Pretraining.start(o.complete(), folder.resolve("run"), log)) {
            run.train(() -> false);
        }
        assertEquals(reserved[0], reserved[1]);
    }

    @Test
    void optionsThatDoNotFitNameTheirFlag() {
        for (var wrong : List.<UnaryOperator<TrainOptions>>of(
                o -> { o.hidden_size = 25; return o; },
                o -> {
                    o.kv_heads = 2;
                    return o;
                },
                o -> { o.context = 0; return o; },
                o -> { o.vocab_size = 100; return o; },
                o -> { o.lr = Double.NaN; return o; },
                o -> {
                    o.min_lr = 5;
                    return o;
                },
                o -> { o.adam_beta2 = 1; return o; },
                o -> { o.batch_size = 1 << 20; o.context = 1 << 12; return o; },
                o -> {
                    o.grad_clip = Double.POSITIVE_INFINITY;
                    return o;
                },
                o -> { o.steps = -3; return o; })) {
            String m =
                    assertThrows(IllegalArgumentException.class, () -> wrong.apply(options()).complete()).getMessage();
            assertTrue(m.startsWith("--"), m);
        }
        TrainOptions o = options();
        o.context = 5_000_000;
        o.batch_size = 1;
        String m = assertThrows(IllegalArgumentException.class, () -> train(o, folder.resolve("run"))).getMessage();
        assertTrue(m.contains("tokens to train on; a context of 5,000,000 needs"), m);
    }
}
