package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.align.Alignments.Log;
import dev.deckle.train.TrainListener;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Evaluations on rows that are not learned from.
@Timeout(120)
class HeldOutTest {
    private static final Map<String, List<String>> NAMES = Map.of(
            "sft", List.of("eval_loss"),
            "reward", List.of("eval_loss", "eval_accuracy", "eval_margin"),
            "sigmoid", List.of("eval_loss", "eval_rewards/chosen", "eval_rewards/rejected", "eval_rewards/margins",
                    "eval_rewards/accuracies", "eval_logps/chosen", "eval_logps/rejected"));

    @TempDir
    private Path folder;

    private Alignments runs;

    @BeforeEach
    void rows() throws IOException {
        runs = new Alignments(folder);
    }

    private String data(String name) {
        return runs.file(name.equals("sft") ? "sft.jsonl" : "pairs.jsonl").toString();
    }

    /// On the rows of a step at which nothing is learned yet, as the first of a warm-up, it is what that step tells.
    @ParameterizedTest
    @ValueSource(strings = {"sft", "reward", "sigmoid", "ipo"})
    void whatTrainingTells(String name) throws IOException {
        AlignOptions o = runs.options(name);
        o.shuffle = false;
        o.batch_size = 24; // all rows
        o.steps = 1;
        o.eval_data = data(name);
        TrainListener.Step s = runs.train(o, folder.resolve("run")).steps.get(1L);
        assertEquals(0, s.lr());
        assertEquals(s.loss(), s.metric("eval_loss").getAsDouble(), 1e-6 * (1 + s.loss()));
        for (String key : NAMES.getOrDefault(name, NAMES.get("sigmoid"))) {
            if (!key.equals("eval_loss")) {
                double told = s.metric(key.substring(5)).getAsDouble();
                assertEquals(told, s.metric(key).getAsDouble(), 1e-6 * (1 + Math.abs(told)), key);
            }
        }
    }

    /// On other rows than those that are learned, in batches that do not come out even, on more ranks than rows are
    /// left for; at the steps that were asked for and the last.
    @ParameterizedTest
    @CsvSource({"sft", "reward", "sigmoid"})
    void theSameOnAnyRanks(String name) throws IOException {
        Path others = folder.resolve("others.jsonl");
        List<String> lines = new ArrayList<>(Files.readAllLines(Path.of(data(name))));
        Collections.shuffle(lines, new Random(4));
        Files.write(others, lines.subList(0, 13)); // 12 and 1
        List<Log> logs = new ArrayList<>();
        for (int[] layout : new int[][] {{1, 0}, {2, 0}, {3, 3}}) {
            AlignOptions o = runs.options(name);
            o.eval_data = others.toString();
            o.eval_every = 2;
            o.steps = 5;
            o.ranks = layout[0];
            o.zero = layout[1];
            logs.add(runs.train(o, folder.resolve("on" + layout[0])));
        }
        for (Log log : logs) {
            for (TrainListener.Step s : log.steps.values()) {
                boolean due = s.step() % 2 == 0 || s.step() == 5;
                List<String> told = s.metrics().keySet().stream().filter(k -> k.startsWith("eval_")).toList();
                assertEquals(due ? NAMES.get(name).stream().sorted().toList() : List.of(),
                        told.stream().sorted().toList());
                for (String key : told) {
                    double one = logs.getFirst().steps.get(s.step()).metric(key).getAsDouble();
                    double tolerance = key.contains("accura") ? 1.5 / 13 : 2e-4 * (1 + Math.abs(one)); // near a tie
                    assertEquals(one, s.metric(key).getAsDouble(), tolerance, key + " at step " + s.step());
                }
            }
        }
        double first = logs.getFirst().steps.get(2L).metric("eval_loss").getAsDouble();
        double last = logs.getFirst().steps.get(5L).metric("eval_loss").getAsDouble();
        assertTrue(last < first, first + " to " + last); // half of them are learned
    }

    /// Looking does not change what is learned; what is seen is kept with the run.
    @Test
    void records() throws IOException {
        AlignOptions plain = runs.options("sft");
        Log without = runs.train(plain, folder.resolve("without"));
        AlignOptions o = runs.options("sft");
        o.eval_data = data("sft");
        o.eval_every = 3;
        o.packing = true;
        Path out = folder.resolve("with");
        Log with = runs.train(o, out);
        for (long s = 1; s <= 6; s++) {
            assertEquals(without.steps.get(s).loss(), with.steps.get(s).loss(), 2e-5);
        }
        List<String> lines = Files.readAllLines(out.resolve("metrics.jsonl"));
        assertEquals(2, lines.stream().filter(l -> l.contains("\"eval_loss\":")).count());
        try (Stream<Path> files = Files.list(out)) {
            Path events = files.filter(f -> f.getFileName().toString().contains("tfevents")).findFirst().orElseThrow();
            String all = Files.readString(events, StandardCharsets.ISO_8859_1);
            assertTrue(all.contains("eval/loss") && !all.contains("train/eval"));
        }
    }

    @Test
    void whatIsRefused() throws IOException {
        AlignOptions o = runs.options("grpo");
        o.eval_data = data("sft");
        assertEquals("--eval-data goes with sft, reward and dpo alone",
                assertThrows(IllegalArgumentException.class, o::complete).getMessage());
        AlignOptions pairs = runs.options("sft");
        pairs.eval_data = data("sigmoid");
        Path out = folder.resolve("out");
        String keys = assertThrows(IllegalArgumentException.class, () -> runs.train(pairs, out)).getMessage();
        assertTrue(keys.startsWith(pairs.eval_data + ", line 1: has the keys "), keys);
        AlignOptions nowhere = runs.options("sft");
        nowhere.eval_data = folder.resolve("nowhere.jsonl").toString();
        assertEquals(nowhere.eval_data + ": there is no such file",
                assertThrows(IOException.class, () -> runs.train(nowhere, out)).getMessage());
        assertFalse(Files.exists(out));
        AlignOptions changed = runs.options("sft");
        changed.steps = 2;
        Path held = Files.copy(runs.file("sft.jsonl"), folder.resolve("held.jsonl"));
        changed.eval_data = held.toString();
        runs.train(changed, out);
        Files.writeString(held, "{\"prompt_ids\": [1], \"completion_ids\": [2]}");
        String other = assertThrows(IllegalArgumentException.class, () -> runs.resume(out, x -> {
            x.steps = 3;
            return x;
        })).getMessage();
        assertTrue(other.contains("the data has changed since the run began"), other);
    }
}
