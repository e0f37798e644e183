package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.Scorer;
import dev.deckle.generate.TextGenerator;
import dev.deckle.kernel.Door;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.parity.Parity;
import dev.deckle.random.Generator;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// Against what PyTorch and transformers computed, on every backend of this machine.
class GoldenTest {
    private static final Path CHECKPOINTS = Path.of("src/test/resources/golden/hf");
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
        try (Stream<Path> all = Files.list(CHECKPOINTS)) {
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
            assertArrayEquals(greedy, new TextGenerator(model, Sampler.greedy(), Set.of(2)).generate(prompt,
                    greedy.length - prompt.length, new Generator(1), _ -> true));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
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
