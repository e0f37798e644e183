package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Runs of several ranks: what they leave is what one rank leaves, and any other ranks go on with it.
@Timeout(120)
class RanksTest {
    private static final double CLOSE = 2e-4;

    @TempDir
    private Path folder;

    private Path text;

    @BeforeEach
    void corpus() throws IOException {
        text = Runs.corpus(folder);
    }

    private TrainOptions options(int ranks, int zero) {
        return Runs.options(text, ranks, zero);
    }

    private static void assertClose(Runs.Log expected, Runs.Log log) {
        log.steps.forEach((i, step) -> {
            TrainListener.Step e = expected.steps.get(i);
            assertEquals(e.loss(), step.loss(), CLOSE, "step " + i);
            assertEquals(e.gradNorm(), step.gradNorm(), 2e-3 * e.gradNorm(), "step " + i);
            assertEquals(e.lr(), step.lr());
            assertEquals(e.metrics().get("tokens"), step.metrics().get("tokens"));
            assertEquals(e.metric("val_loss").isPresent(), step.metric("val_loss").isPresent());
            e.metric("val_loss").ifPresent(v -> assertEquals(v, step.metric("val_loss").orElseThrow(), CLOSE));
        });
    }

    private static void assertSameBits(Path a, Path b) throws IOException {
        for (String file : List.of("model.safetensors", "checkpoints/step-0000012/optimizer.safetensors")) {
            assertArrayEquals(Files.readAllBytes(a.resolve(file)), Files.readAllBytes(b.resolve(file)), file);
        }
    }

    @Test
    void ranksLeaveWhatOneRankLeaves() throws IOException {
        UnaryOperator<TrainOptions> evaluated = o -> {
            o.eval_every = 5;
            return o;
        };
        Path one = folder.resolve("one");
        Runs.Log expected = Runs.train(evaluated.apply(options(1, 0)), one);
        assertTrue(expected.steps.get(12L).loss() < expected.steps.get(1L).loss() - 0.2);
        for (int[] layout : new int[][] {{2, 0}, {3, 1}, {6, 2}, {3, 3}}) {
            Path out = folder.resolve(layout[0] + "-" + layout[1]);
            Runs.Log log = Runs.train(evaluated.apply(options(layout[0], layout[1])), out);
            assertEquals(expected.steps.keySet(), log.steps.keySet());
            assertClose(expected, log);
            assertEquals(3, log.samples);
            assertEquals(files(one), files(out));
            for (String same : List.of("config.json", "generation_config.json", "tokenizer.json")) {
                assertEquals(Files.readString(one.resolve(same)), Files.readString(out.resolve(same)), same);
            }
            for (String file : List.of("model.safetensors", "checkpoints/step-0000012/model.safetensors",
                    "checkpoints/step-0000012/optimizer.safetensors")) {
                assertEquals(Runs.header(one.resolve(file)), Runs.header(out.resolve(file)), file);
                assertEquals(Files.size(one.resolve(file)), Files.size(out.resolve(file)), file);
            }
        }
    }

    private static List<String> files(Path run) throws IOException {
        try (Stream<Path> all = Files.walk(run)) {
            return all.map(p -> run.relativize(p).toString())
                    .map(n -> n.replaceAll("tfevents.*", "tfevents")) // named by the time of day
                    .sorted()
                    .toList();
        }
    }

    /// Where the order of summation is the same, so are the bits, however often and wherever the run was interrupted.
    @ParameterizedTest
    @CsvSource({"2,1,1", "3,3,1", "4,2,2", "3,0,2"})
    void anInterruptedRunGoesOnBitForBit(int ranks, int zero, int accumulation) throws IOException {
        UnaryOperator<TrainOptions> accumulated = o -> {
            o.grad_accum = accumulation;
            o.save_every = 100;
            return o;
        };
        Path whole = folder.resolve("whole");
        Runs.Log expected = Runs.train(accumulated.apply(options(ranks, zero)), whole);
        Path out = folder.resolve("cut");
        Runs.Log first = new Runs.Log();
        try (Run run = Pretraining.start(accumulated.apply(options(ranks, zero)).complete(), out, first)) {
            assertFalse(run.train(() -> first.steps.size() >= 3));
        }
        List<Double> losses = new ArrayList<>(first.losses());
        losses.addAll(Runs.resumeFor(3, out, o -> o).losses());
        losses.addAll(Runs.resume(out, o -> o).losses());
        assertEquals(expected.losses(), losses);
        assertSameBits(whole, out);
    }

    /// Ranks need not hear of Ctrl-C, nor look at a clock, at the same moment.
    @Test
    void theFirstRankDecidesForAll() throws IOException {
        try (Run run = Pretraining.start(options(3, 2).complete(), folder.resolve("on"), new Runs.Log())) {
            assertTrue(run.train(() -> Thread.currentThread().getName().equals("deckle-rank-1")));
            assertEquals(12, run.step());
        }
        Runs.Log log = new Runs.Log();
        try (Run run = Pretraining.start(options(3, 2).complete(), folder.resolve("off"), log)) {
            assertFalse(run.train(
                    () -> log.steps.size() == 4 && Thread.currentThread().getName().equals("deckle-rank-0")));
            assertEquals(5, run.step());
        }
        assertFalse(log.steps.lastEntry().getValue().metrics().containsKey("val_loss"),
                "who is interrupted has no time to evaluate");
        assertEquals(0, log.samples);
    }

    @Test
    void twentyMovesFromLayoutToLayout() throws IOException {
        UnaryOperator<TrainOptions> longer = o -> {
            o.steps = 21;
            o.save_every = 100;
            return o;
        };
        Runs.Log expected = Runs.train(longer.apply(options(1, 0)), folder.resolve("one"));
        Path out = folder.resolve("moved");
        Runs.Log all = new Runs.Log();
        try (Run run = Pretraining.start(longer.apply(options(4, 3)).complete(), out, all)) {
            run.train(() -> true); // not a step yet: a checkpoint of first values
        }
        Generator random = new Generator(7);
        int[] counts = {1, 2, 3, 4, 6};
        for (int move = 0; move < 20; move++) {
            int ranks = counts[(int) random.nextInt(counts.length)];
            int zero = (int) random.nextInt(4);
            Runs.Log log = Runs.resumeFor(1, out, o -> {
                o.ranks = ranks;
                o.zero = zero;
                return o;
            });
            log.steps.values().forEach(all::step);
        }
        Runs.resume(out, o -> o).steps.values().forEach(all::step);
        assertEquals(expected.steps.keySet(), all.steps.keySet());
        assertClose(expected, all);
    }

    /// At the same rank count all stages sum in the same order, so that moving between them changes nothing.
    @Test
    void movesFromStageToStageChangeNoBit() throws IOException {
        UnaryOperator<TrainOptions> once = o -> {
            o.save_every = 100;
            return o;
        };
        Path whole = folder.resolve("whole");
        Runs.Log expected = Runs.train(once.apply(options(3, 2)), whole);
        Path out = folder.resolve("moved");
        Runs.Log all = new Runs.Log();
        try (Run run = Pretraining.start(once.apply(options(3, 0)).complete(), out, all)) {
            run.train(() -> all.steps.size() >= 2);
        }
        for (int stage : new int[] {3, 1, 0, 2, 3}) {
            Runs.resumeFor(2, out, o -> {
                o.zero = stage;
                return o;
            }).steps.values().forEach(all::step);
        }
        assertEquals(expected.losses(), all.losses());
        // what the options say of the stage is not the same, but every number is
        assertArrayEquals(Files.readAllBytes(whole.resolve("model.safetensors")),
                Files.readAllBytes(out.resolve("model.safetensors")));
    }

    /// After one step the first moment is a tenth of the gradient, whose length over all ranks is then known.
    @ParameterizedTest
    @CsvSource({"1,0", "3,0", "4,1", "3,3"})
    void theGradientIsClippedToItsLength(int ranks, int zero) throws IOException {
        TrainOptions o = options(ranks, zero);
        o.steps = 1;
        o.grad_clip = 0.05;
        Path out = folder.resolve("out");
        assertTrue(Runs.train(o, out).steps.get(1L).gradNorm() > 0.1);
        double squares = 0;
        try (ModelMemory memory = new ModelMemory()) {
            Path file = out.resolve("checkpoints/step-0000001/optimizer.safetensors");
            for (var e : Safetensors.open(file, memory).tensors().entrySet()) {
                for (float m : e.getKey().endsWith(".m") ? e.getValue().toFloats() : new float[0]) {
                    squares += (double) m * m;
                }
            }
        }
        assertEquals(0.1 * 0.05, Math.sqrt(squares), 1e-6);
    }

    @Test
    void anOptimizersFileThatDoesNotFitIsOneLine() throws IOException {
        Path out = folder.resolve("run");
        Runs.train(options(3, 1), out);
        Path file = out.resolve("checkpoints/step-0000012/optimizer.safetensors");
        byte[] good = Files.readAllBytes(file);
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        try (ModelMemory memory = new ModelMemory()) {
            Safetensors.open(file, memory).tensors().forEach((n, t) -> tensors.put(n, Tensor.of(t.toFloats(),
                    t.shape().toArray())));
        }
        String name = "model.layers.1.mlp.up_proj.weight.v"; // (20, 12)
        Map<String, String> told = new TreeMap<>();
        told.put("is missing, expected F32 (20, 12)", null);
        told.put("is F32 (12, 20), expected F32 (20, 12)", "turned");
        told.put("is BF16 (20, 12), expected F32 (20, 12)", "halved");
        for (var e : told.entrySet()) {
            Map<String, Tensor> bad = new HashMap<>(tensors);
            switch (e.getValue()) {
                case null -> bad.remove(name);
                case "turned" -> bad.put(name, Tensor.zeros(12, 20));
                default -> bad.put(name, Tensor.zeros(20, 12).to(DType.BF16));
            }
            Safetensors.save(file, bad, Map.of());
            assertRefused(out, file, name + " " + e.getKey());
        }
        for (int length : new int[] {0, 5, 100, good.length / 2, good.length - 1}) {
            Files.write(file, java.util.Arrays.copyOf(good, length));
            assertRefused(out, file, "");
        }
        Files.delete(file);
        assertRefused(out, file, "");
        Files.write(file, good);
        assertEquals(0, Runs.resume(out, o -> o).steps.size()); // nothing was harmed, the folder is free
    }

    private void assertRefused(Path out, Path file, String told) {
        for (int ranks : new int[] {1, 4}) {
            Exception e = assertThrows(Exception.class, () -> Runs.resume(out, o -> {
                o.ranks = ranks;
                o.zero = 3;
                return o;
            }));
            String m = e.getMessage();
            assertTrue(m.contains(file.toString()), m);
            assertTrue(m.contains(told), m);
            assertFalse(m.contains("\n"), m);
        }
    }

    /// Valid JSON, a process a rank, spans that nest, a lane for what is sent.
    @ParameterizedTest
    @CsvSource({"1,0", "2,1", "3,2", "2,3"})
    void traces(int ranks, int zero) throws IOException {
        TrainOptions o = options(ranks, zero);
        o.trace = folder.resolve("trace.json").toString();
        try (Run run = Pretraining.start(o.complete(), folder.resolve("run"), new Runs.Log())) {
            run.train(() -> false);
            double hidden = run.hidden().orElseThrow();
            assertTrue(hidden >= 0 && hidden <= 1, "hidden " + hidden);
        }
        JsonObject trace = JsonParser.parseString(Files.readString(Path.of(o.trace))).getAsJsonObject();
        Map<Integer, String> processes = new TreeMap<>();
        Map<String, String> lanes = new TreeMap<>();
        Map<String, List<JsonObject>> spans = new TreeMap<>();
        for (JsonElement each : trace.getAsJsonArray("traceEvents")) {
            JsonObject e = each.getAsJsonObject();
            int pid = e.get("pid").getAsInt();
            String lane = pid + "/" + e.get("tid").getAsInt();
            switch (e.get("ph").getAsString()) {
                case "M" -> {
                    String name = e.getAsJsonObject("args").get("name").getAsString();
                    if (e.get("name").getAsString().equals("process_name")) {
                        processes.put(pid, name);
                    } else {
                        lanes.put(lane, name);
                    }
                }
                case "X" -> spans.computeIfAbsent(lane, _ -> new ArrayList<>()).add(e);
                default -> throw new AssertionError("what is " + e);
            }
        }
        Map<Integer, String> expected = new TreeMap<>();
        for (int r = 0; r < ranks; r++) {
            expected.put(r, "rank " + r);
        }
        assertEquals(expected, processes);
        assertEquals(lanes.keySet(), spans.keySet());
        for (var lane : lanes.entrySet()) {
            assertNested(spans.get(lane.getKey()), lane.getKey());
        }
        for (int r = 0; r < ranks; r++) {
            String of = r + "/";
            List<String> names =
                    lanes.entrySet().stream().filter(e -> e.getKey().startsWith(of)).map(Map.Entry::getValue)
                            .sorted().toList();
            assertEquals(ranks == 1 ? List.of("compute") : List.of("communication", "compute"), names);
            Map<String, Long> count = new HashMap<>();
            spans.forEach((lane, all) -> {
                if (lane.startsWith(of)) {
                    all.forEach(e -> count.merge(e.get("name").getAsString(), 1L, Long::sum));
                }
            });
            for (String phase : List.of("forward", "backward", "optimizer")) {
                assertEquals(12, count.get(phase), phase + " of rank " + r);
            }
            if (ranks > 1) {
                assertTrue(count.get(zero == 0 ? "all_reduce" : "reduce_scatter") >= 12 * 4, count.toString());
            }
        }
    }

    private static void assertNested(List<JsonObject> spans, String lane) {
        double slack = 0.0021; // microseconds: times are rounded to nanoseconds
        for (JsonObject a : spans) {
            double from = a.get("ts").getAsDouble();
            double to = from + a.get("dur").getAsDouble();
            assertTrue(from >= 0 && to >= from, a.toString());
            for (JsonObject b : spans) {
                double from2 = b.get("ts").getAsDouble();
                double to2 = from2 + b.get("dur").getAsDouble();
                boolean crosses = from < from2 - slack && from2 < to - slack && to < to2 - slack;
                assertFalse(crosses, lane + ": " + a + " crosses " + b);
            }
        }
    }
}
