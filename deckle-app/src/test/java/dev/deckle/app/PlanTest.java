package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.ThreadRanks;
import dev.deckle.distributed.Timeline;
import dev.deckle.distributed.Traffic;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Llama;
import dev.deckle.models.Models;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import dev.deckle.zero.ZeroLayout;
import dev.deckle.zero.ZeroPlan;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The verb `plan` in this process.
class PlanTest {
    private static final PlannedShape.Wish NONE = new PlannedShape.Wish(Optional.empty(), Optional.empty(),
            Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty(), false);

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private int run(String... args) {
        return Deckle.run(new PrintStream(out), new PrintStream(err), args);
    }

    private String out() {
        return out.toString(StandardCharsets.UTF_8);
    }

    private String err() {
        return err.toString(StandardCharsets.UTF_8);
    }

    private List<JsonObject> rows(String args) {
        assertEquals(0, run((args + " --json").split(" +")), err());
        return out().lines().map(l -> JsonParser.parseString(l).getAsJsonObject()).toList();
    }

    /// Figure 1 of the paper, and the same of the model that has as many parameters.
    @Test
    void thePapersTable() {
        assertEquals(0, run("plan", "--model-size", "7.5B", "--ranks", "64", "--dtype", "bf16"), err());
        List<String> totals = out().lines().filter(l -> l.matches(".* paper  .*B"))
                .map(l -> l.substring(l.length() - 8).strip()).toList();
        assertEquals(List.of("120 GB", "31.4 GB", "16.6 GB", "1.88 GB"), totals, out());
        out.reset();
        for (JsonObject row : rows("plan --model-size 7.5B --ranks 64 --dtype bf16")) {
            double ratio = row.get("total").getAsDouble() - row.get("gathered").getAsDouble()
                    - row.get("incoming").getAsDouble();
            assertEquals(1, ratio / row.get("paper_total").getAsDouble(), 0.02);
            assertEquals(1, row.get("elements").getAsDouble() / row.get("paper_elements").getAsDouble(), 0.02);
            assertEquals(7.5e9, row.get("model_parameters").getAsDouble(), 0.02 * 7.5e9);
        }
    }

    @Test
    void oneObjectForEachStageAndRankCount() {
        List<JsonObject> rows = rows("plan --preset 10m --ranks 3 --bandwidth 10 --latency 2 --memory 150MB");
        assertEquals(12 * 4, rows.size());
        assertEquals(13_767_552, rows.getFirst().get("model_parameters").getAsLong());
        assertEquals(List.of(false, true, true, true), rows.stream()
                .filter(r -> r.get("ranks").getAsInt() == 3)
                .map(r -> r.get("fits").getAsBoolean())
                .toList());
        for (JsonObject r : rows) {
            assertEquals(r.get("ranks").getAsInt() == 1, r.get("seconds").getAsDouble() == 0, r.toString());
            assertEquals(r.get("ranks").getAsInt() == 1, r.get("bytes_sent").getAsLong() == 0, r.toString());
        }
    }

    @Test
    void aTableOfTimesAndOfWhatFits() {
        assertEquals(0, run("plan", "--preset", "10m", "--ranks", "3", "--bandwidth", "10", "--memory", "150MB"),
                err());
        List<String> last = out().lines().toList();
        assertTrue(last.getLast().startsWith(" 1,024"), out());
        assertEquals(1, last.stream().filter(l -> l.endsWith("none")).count(), out()); // 1 rank
        assertTrue(last.stream().allMatch(l -> l.length() <= 120), out());
        assertEquals(3, last.stream().filter(l -> l.endsWith("  fits")).count(), out());
    }

    @Test
    void accumulationCostsStagesTwoAndThree() {
        List<Double> times = rows("plan --layers 2 --hidden-size 64 --vocab-size 300 --tied --grad-accum 5 --ranks 2")
                .stream()
                .map(r -> r.get("paper_elements").getAsDouble() / r.get("model_parameters").getAsDouble())
                .toList();
        assertEquals(List.of(2.0, 2.0, 6.0, 15.0), times);
    }

    @Test
    void aFolderNeedsNoWeights(@TempDir Path folder) throws IOException {
        Files.writeString(folder.resolve("config.json"), """
                {"model_type": "qwen2", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48,
                 "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
                 "tie_word_embeddings": true}
                """);
        long layer = 32 * 32 * 2 + 2 * 16 * 32 + 32 + 2 * 16 + 3 * 32 * 48 + 2 * 32;
        assertEquals(300 * 32 + 3 * layer + 32, rows("plan --model " + folder).getFirst().get("model_parameters")
                .getAsLong());
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"qwen2\"}");
        assertEquals(1, run("plan", "--model", folder.toString()));
        assertEquals(1, err().lines().count(), err());
        assertTrue(err().contains(folder + "/config.json: hidden_size is missing"), err());
    }

    /// What each family asks for and the order in which it computes, on two ranks that hold shards of everything.
    @TestFactory
    Stream<DynamicTest> everyFamilyRunsAsPlanned() throws IOException {
        List<Path> folders;
        try (Stream<Path> all = Files.list(Path.of("src/test/resources/golden/hf"))) {
            // one is tied by its config, and has a head of its own in its weights
            folders = all.filter(f -> !f.endsWith("llama-tied-other-head")).sorted().toList();
        }
        return folders.stream().map(f -> DynamicTest.dynamicTest(f.getFileName().toString(), () -> {
            ZeroLayout layout = new ZeroLayout(DType.F32);
            Models.describe(f, layout);
            ZeroPlan plan = new ZeroPlan(layout, Stage.PARAMETERS, 1);
            ThreadRanks.run(2, ranks -> assertEquals(plan.traffic(ranks.rank(), 2), trained(f, ranks)));
        }));
    }

    private static Traffic trained(Path folder, Communicator ranks) {
        var options = new Partition.Options(Stage.PARAMETERS, DType.F32);
        try (Partition partition = new Partition(ranks.rank(), 2, options);
                CausalLm model = Models.openTrainable(folder, partition)) {
            partition.connect(ranks, Timeline.off());
            Traffic before = ranks.traffic();
            for (int step = 0; step < 2; step++) {
                before = ranks.traffic();
                try (Workspace _ = Workspace.open()) {
                    Tensor ids = new Generator(step).randint(0, model.vocabSize(), 2, 6);
                    partition.differentiate(() -> model.forward(ids, Pass.train(new Generator(1))).square().mean(),
                            Tensor.full(DType.F32, 1), true);
                    partition.sum(0, partition.gradSquares());
                    partition.updated();
                }
            }
            return ranks.traffic().since(before);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// The count that sizes are chosen by is that of the model.
    @Test
    void shapesCountAsTheModelDoes() {
        for (double wanted : new double[] {5e6, 1.3e8, 7.5e9, 1e12}) {
            PlannedShape s = PlannedShape.ofSize(wanted, NONE).checked();
            ZeroLayout layout = new ZeroLayout(DType.F32);
            Llama.describe(s.config(), layout);
            assertEquals(layout.parameters(), s.parameters(), s.toString());
            assertEquals(wanted, s.parameters(), 0.02 * wanted, s.toString());
        }
        var few = new PlannedShape.Wish(Optional.of(3), Optional.of(60), Optional.of(5), Optional.of(1),
                Optional.of(77), Optional.of(301), true);
        PlannedShape s = PlannedShape.of(3, 60, few).checked();
        ZeroLayout layout = new ZeroLayout(DType.BF16);
        Llama.describe(s.config(), layout);
        assertEquals(layout.parameters(), s.parameters());
        assertTrue(layout.tied());
    }

    @Test
    void givenSizesAreKept() {
        var wish = new PlannedShape.Wish(Optional.of(32), Optional.of(4096), Optional.empty(), Optional.empty(),
                Optional.empty(), Optional.empty(), false);
        PlannedShape s = PlannedShape.ofSize(6_738_415_616.0, wish);
        assertEquals(11_008, s.ffn()); // Llama 2 7B
        assertEquals(6_738_415_616L, s.parameters());
        assertThrows(IllegalArgumentException.class, () -> PlannedShape.ofSize(1e9, wish));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', value = {
        "plan                                            | give the model: --model-size 7.5B",
        "plan --model-size 7.5X                          | --model-size 7.5X: a number of parameters such as",
        "plan --model-size -1                            | --model-size",
        "plan --model-size 0                             | --model-size 0: a number of parameters",
        "plan --model-size 20000B                        | --model-size 20000B: a number of parameters",
        "plan --model-size 100K                          | the nearest model of 1 layer, hidden size 64",
        "plan --model-size 1B --preset 10m               | give one of them",
        "plan --preset 11m                               | --preset must be one of 10m, 58m, small, not 11m",
        "plan --preset 10m --heads 7                     | --hidden-size 384 must be a multiple of --heads 7",
        "plan --model here --layers 3                    | --model: its config.json has its sizes",
        "plan --model-size 1B --ranks 0                  | --ranks must be from 1 to 65,536, not 0",
        "plan --model-size 1B --layers 0                 | --layers must be from 1 to 10,000, not 0",
        "plan --model-size 1B --grad-accum 0             | --grad-accum must be from 1",
        "plan --model-size 1B --heads 7                  | must be a multiple of the 7 --heads",
        "plan --model-size 1B --kv-heads 31              | --kv-heads 31 must divide the",
        "plan --model-size 1B --latency 3                | --latency goes with --bandwidth",
        "plan --model-size 1B --bandwidth 0              | --bandwidth must be a positive number of GB/s, not 0.0",
        "plan --model-size 1B --bandwidth 1 --latency -1 | --latency must be a number of microseconds from 0",
        "plan --model-size 1B --bandwidth NaN            | --bandwidth must be a positive number of GB/s",
        "plan --model-size 1B --memory much              | 'much' is no amount of memory",
        "plan --model-size 1B --dtype f16                | --dtype",
    })
    void wrongUsageIsALine(String args, String told) {
        assertEquals(2, run(args.split(" +")), out());
        assertEquals("", out());
        assertTrue(err().contains(told), err());
        assertEquals(2, err().lines().count(), err());
    }

    @Test
    void aFolderThatIsNotThere() {
        assertEquals(1, run("plan", "--model", "nowhere"));
        assertEquals("deckle: nowhere: there is no such model folder\n", err());
    }
}
