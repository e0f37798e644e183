package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.autograd.NoGrad;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.Scorer;
import dev.deckle.generate.TextGenerator;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.models.Adapted;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Conversion;
import dev.deckle.models.Models;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Lora;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Adapters that PEFT made, on the checkpoints beside them; `golden/lora.py` made the cases.
class LoraGoldenTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden");

    static Stream<Path> adapters() throws IOException {
        try (Stream<Path> all = Files.list(GOLDEN.resolve("lora"))) {
            return all.sorted().toList().stream();
        }
    }

    private static JsonObject golden(Path folder) throws IOException {
        return JsonParser.parseString(Files.readString(folder.resolve("golden.json"))).getAsJsonObject();
    }

    private static double[] doubles(JsonElement list) {
        return list.getAsJsonArray().asList().stream().mapToDouble(JsonElement::getAsDouble).toArray();
    }

    private static int[] ids(JsonElement list) {
        return list.getAsJsonArray().asList().stream().mapToInt(JsonElement::getAsInt).toArray();
    }

    private static Tensor row(int[] ids) {
        return Tensor.of(Arrays.stream(ids).asLongStream().toArray(), 1, ids.length);
    }

    private static double[] wide(float[] f) {
        double[] d = new double[f.length];
        Arrays.setAll(d, i -> f[i]);
        return d;
    }

    @ParameterizedTest
    @MethodSource("adapters")
    void readAsPeftReadsIt(Path folder) throws IOException {
        JsonObject golden = golden(folder);
        try (CausalLm model = Models.open(folder)) {
            assertFalse(model.parameters().values().stream().anyMatch(Tensor::requiresGrad));
            scores(golden, model, 2e-5);
            int[] prompt = ids(golden.get("prompt"));
            int[] greedy = ids(golden.get("greedy"));
            for (KvCache.Kind kind : KvCache.Kind.values()) {
                var generator = new TextGenerator(model, Sampler.greedy(), Set.of(2), kind);
                assertArrayEquals(greedy, generator.generate(prompt, greedy.length - prompt.length, new Generator(1),
                        _ -> true), kind + "");
            }
        }
    }

    private static void scores(JsonObject golden, CausalLm model, double close) {
        Scorer.Score s = Scorer.score(model, ids(golden.get("input_ids")));
        assertArrayEquals(doubles(golden.get("next_logprobs")), s.logprobs(), close);
        assertArrayEquals(doubles(golden.get("last_logits")), wide(s.lastLogits()), close);
    }

    private static float[] lastLogits(CausalLm model, int[] ids) {
        try (NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
            Tensor all = model.forward(row(ids), Pass.evaluate());
            return all.slice(1, ids.length - 1, ids.length).toFloats();
        }
    }

    @ParameterizedTest
    @MethodSource("adapters")
    void offIsTheModelBelowToTheBit(Path folder) throws IOException {
        JsonObject golden = golden(folder);
        int[] ids = ids(golden.get("input_ids"));
        try (CausalLm model = Models.open(folder);
                CausalLm base = Models.open(GOLDEN.resolve("hf").resolve(folder.getFileName()))) {
            float[] off = Lora.off(() -> lastLogits(model, ids));
            assertArrayEquals(doubles(golden.get("base_last_logits")), wide(off), 2e-5);
            assertArrayEquals(lastLogits(base, ids), off);
            assertFalse(Arrays.equals(off, lastLogits(model, ids)));
        }
    }

    @ParameterizedTest
    @MethodSource("adapters")
    void gradientsAreThoseOfPeft(Path folder) throws IOException {
        JsonObject golden = golden(folder);
        int[] ids = ids(golden.get("input_ids"));
        try (Adapted adapted = Models.adapt(folder);
                ModelMemory memory = new ModelMemory();
                Workspace _ = Workspace
                        .open()) {
            Map<String, Tensor> expected = Safetensors.open(folder.resolve("gradients.safetensors"), memory).tensors();
            Tensor logits = adapted.model().forward(row(ids), Pass.evaluate());
            Tensor shifted = logits.slice(1, 0, ids.length - 1).reshape(-1, logits.dim(-1));
            Tensor loss = Functional.crossEntropy(shifted, row(Arrays.copyOfRange(ids, 1, ids.length)).reshape(-1),
                    -100).mean();
            assertEquals(golden.get("loss").getAsDouble(), loss.item(), 2e-5);
            loss.backward();
            assertEquals(expected.size(), adapted.parameters().size());
            adapted.model().parameters().forEach((name, p) -> {
                assertEquals(Lora.isAdapter(name), p.requiresGrad(), name);
                if (p.requiresGrad()) {
                    float[] e = expected.get("base_model.model." + name).toFloats();
                    assertArrayEquals(e, p.grad().toFloats(), 2e-5f, name);
                    assertTrue(wide(e).length > 0 && Arrays.stream(wide(e)).anyMatch(v -> Math.abs(v) > 1e-4), name);
                }
            });
        }
    }

    @TempDir
    private Path temp;

    @ParameterizedTest
    @MethodSource("adapters")
    void mergedIsTheSameModel(Path folder) throws IOException {
        Path merged = temp.resolve("merged");
        Conversion.convert(folder, merged, Optional.empty(), 40_000); // in shards
        assertFalse(Files.exists(merged.resolve("adapter_config.json")));
        try (CausalLm model = Models.open(merged);
                CausalLm base = Models.open(GOLDEN.resolve("hf").resolve(folder.getFileName()))) {
            assertEquals(base.parameters().keySet(), model.parameters().keySet());
            scores(golden(folder), model, 3e-5);
        }
    }

    @ParameterizedTest
    @MethodSource("adapters")
    void writtenAgainItIsTheSame(Path folder) throws IOException {
        Path again = temp.resolve("again");
        int[] ids = ids(golden(folder).get("input_ids"));
        try (Adapted adapted = Models.adapt(folder)) {
            adapted.save(again);
        }
        try (CausalLm model = Models.open(folder); CausalLm read = Models.open(again)) {
            assertEquals(model.parameters().keySet(), read.parameters().keySet());
            assertArrayEquals(lastLogits(model, ids), lastLogits(read, ids));
        }
    }

    private String deckle(int exit, Object... args) {
        var out = new ByteArrayOutputStream();
        var err = new ByteArrayOutputStream();
        String[] words = Stream.of(args).map(Object::toString).toArray(String[]::new);
        assertEquals(exit, Deckle.run(new PrintStream(out), new PrintStream(err), words), err::toString);
        return exit == 0 ? out.toString() : err.toString();
    }

    @ParameterizedTest
    @MethodSource("adapters")
    void verbsTakeAnAdapter(Path folder) throws IOException {
        JsonObject golden = golden(folder);
        String prompt = golden.get("prompt").toString().replaceAll("[\\[\\] ]", "");
        int[] greedy = ids(golden.get("greedy"));
        int more = greedy.length - ids(golden.get("prompt")).length;
        JsonObject made = JsonParser.parseString(deckle(0, "generate", "--model", folder, "--ids", prompt,
                "--max-new-tokens", more, "--temperature", 0, "--json")).getAsJsonObject();
        assertArrayEquals(greedy, ids(made.get("ids")));
        deckle(0, "convert", "--model", folder, "--out", temp.resolve("plain"), "--dtype", "f32");
        for (Path model : new Path[] {folder, temp.resolve("plain")}) {
            JsonArray ids = golden.getAsJsonArray("input_ids");
            JsonObject scored = JsonParser.parseString(deckle(0, "score", "--model", model, "--ids",
                    ids.toString().replaceAll("[\\[\\] ]", ""), "--json")).getAsJsonObject();
            assertArrayEquals(doubles(golden.get("next_logprobs")), doubles(scored.get("logprobs")), 3e-5);
        }
        assertTrue(deckle(1, "train", "--init", folder, "--out", temp.resolve("run"), "--data", folder, "--steps", "1")
                .lines().count() <= 2);
    }
}
