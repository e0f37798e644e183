package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.generate.BeamSearch;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.Scorer;
import dev.deckle.generate.TextGenerator;
import dev.deckle.kernel.Door;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.nn.KvCache;
import dev.deckle.parity.Parity;
import dev.deckle.random.Generator;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// Against what PyTorch and transformers computed, on every backend of this machine.
class GoldenTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden");
    private static final Path COMPONENTS = Path.of("../deckle-study/src/test/resources/golden/components");

    /// What `deckle parity` does; the cases belong to the module that judges them.
    @TestFactory
    Stream<DynamicTest> components() {
        return Parity.files(COMPONENTS).stream().map(file -> DynamicTest.dynamicTest(file.getFileName().toString(),
                () -> Parity.run(file, v -> assertTrue(v.ok(), v.name() + " on " + v.backend() + ": " + v.reason()))));
    }

    @TestFactory
    Stream<DynamicTest> checkpoints() throws IOException {
        List<Path> folders;
        try (Stream<Path> all = Files.list(GOLDEN.resolve("hf"))) {
            folders = all.sorted().toList();
        }
        assertTrue(!folders.isEmpty());
        return folders.stream().flatMap(folder -> Parity.backends().stream().map(backend -> DynamicTest.dynamicTest(
                folder.getFileName() + " on " + backend, () -> Door.only(backend).during(() -> {
                    checkpoint(folder);
                    return backend;
                }))));
    }

    private static void checkpoint(Path folder) {
        try (CausalLm model = Models.open(folder)) {
            JsonObject golden =
                    JsonParser.parseString(Files.readString(folder.resolve("golden.json"))).getAsJsonObject();
            Scorer.Score s = Scorer.score(model, ids(golden.getAsJsonArray("input_ids")));
            assertArrayEquals(doubles(golden.getAsJsonArray("next_logprobs")), s.logprobs(), 2e-5);
            double[] logits = doubles(golden.getAsJsonArray("last_logits"));
            for (int i = 0; i < logits.length; i++) {
                assertEquals(logits[i], s.lastLogits()[i], 2e-5);
            }
            int[] greedy = ids(golden.getAsJsonArray("greedy"));
            int[] prompt = ids(golden.getAsJsonArray("prompt"));
            int[] beam4 = withoutPadding(ids(golden.getAsJsonArray("beam4")));
            for (KvCache.Kind kind : KvCache.Kind.values()) {
                var generator = new TextGenerator(model, Sampler.greedy(), Set.of(2), kind);
                assertArrayEquals(greedy, generator.generate(prompt, greedy.length - prompt.length, new Generator(1),
                        _ -> true), kind + "");
                var best = generator.beams(prompt, 24, new BeamSearch(4, 1, BeamSearch.EarlyStopping.FALSE), _ -> {})
                        .getFirst();
                assertArrayEquals(beam4, best.ids(), kind + "");
                assertEquals(golden.get("beam4_score").getAsDouble(), best.score(), 2e-5, kind + "");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @TestFactory
    Stream<DynamicTest> beamSearch() throws IOException {
        JsonArray cases = JsonParser.parseString(Files.readString(GOLDEN.resolve("beams/beam-search.json")))
                .getAsJsonArray();
        assertTrue(!cases.isEmpty());
        return IntStream.range(0, cases.size()).mapToObj(i -> DynamicTest.dynamicTest(cases.get(i).toString(),
                () -> beamSearch(cases.get(i).getAsJsonObject(), KvCache.Kind.values()[i % 2])));
    }

    private static void beamSearch(JsonObject golden, KvCache.Kind kind) throws IOException {
        int[] prompt = ids(golden.getAsJsonArray("prompt"));
        Set<Integer> ends =
                IntStream.of(ids(golden.getAsJsonArray("eos_token_id"))).boxed().collect(Collectors.toSet());
        var search = new BeamSearch(golden.get("num_beams").getAsInt(), golden.get("length_penalty").getAsDouble(),
                BeamSearch.EarlyStopping.valueOf(golden.get("early_stopping").getAsString().toUpperCase(Locale.ROOT)));
        try (CausalLm model = Models.open(GOLDEN.resolve("hf").resolve(golden.get("model").getAsString()))) {
            List<BeamSearch.Hypothesis> found = new TextGenerator(model, Sampler.greedy(), ends, kind)
                    .beams(prompt, golden.get("max_new_tokens").getAsInt(), search, _ -> {});
            JsonArray expected = golden.getAsJsonArray("new_ids");
            assertEquals(expected.size(), found.size());
            for (int i = 0; i < found.size(); i++) {
                int[] ids = found.get(i).ids();
                assertArrayEquals(ids(expected.get(i).getAsJsonArray()),
                        Arrays.copyOfRange(ids, prompt.length, ids.length), "beam " + i);
                double score = golden.getAsJsonArray("scores").get(i).getAsDouble();
                assertEquals(score, found.get(i).score(), 2e-5 + 1e-6 * Math.abs(score)); // a penalty of -1 multiplies
            }
        }
    }

    /// transformers fills a shorter text up with zeros.
    private static int[] withoutPadding(int[] ids) {
        int n = ids.length;
        while (ids[n - 1] == 0) {
            n--;
        }
        return Arrays.copyOf(ids, n);
    }

    private static int[] ids(JsonArray a) {
        List<Integer> ids = new ArrayList<>();
        a.forEach(e -> ids.add(e.getAsInt()));
        return ids.stream().mapToInt(i -> i).toArray();
    }

    private static double[] doubles(JsonArray a) {
        return IntStream.range(0, a.size()).mapToDouble(i -> a.get(i).getAsDouble()).toArray();
    }
}
