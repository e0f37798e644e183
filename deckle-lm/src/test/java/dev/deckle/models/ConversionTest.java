package dev.deckle.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// Model folders written and opened again, whole and in shards, in each type.
class ConversionTest {
    private static final Tensor IDS = Tensor.of(new long[] {3, 1, 4, 1, 5, 9, 2, 6}, 2, 4);

    @TempDir
    private Path temp;

    private Path model;

    @BeforeEach
    void makeModel() throws IOException {
        model = Files.createDirectory(temp.resolve("model"));
        try (Llama m = Llama.create(Llama.Config.of(11, 12, 20, 3, 6, 2, 16, false), 0, 7)) {
            Safetensors.save(model.resolve("model.safetensors"), m.parameters(), Map.of());
            Files.writeString(model.resolve("config.json"), m.configJson().toString());
        }
        Files.writeString(model.resolve("tokenizer_config.json"), "{\"eos_token\": \"</s>\"}");
        Files.writeString(model.resolve("metrics.jsonl"), "{}");
    }

    private static float[] logits(Path folder) throws IOException {
        try (CausalLm m = Models.open(folder)) {
            return m.forward(IDS, Pass.evaluate()).toFloats();
        }
    }

    private Path convert(Optional<DType> dtype, long shardBytes) throws IOException {
        Path to = temp.resolve("to");
        Conversion.convert(model, to, dtype, shardBytes);
        return to;
    }

    private static List<String> files(Path folder) throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.map(p -> p.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void whatAKilledProcessLeftIsDeleted() throws IOException {
        long gone = Integer.MAX_VALUE; // no process has this number
        for (String name : List.of("to.partial-" + gone, "to.partial-" + ProcessHandle.current().parent().orElseThrow()
                .pid(), "to.partial-x", "too.partial-" + gone)) {
            Files.writeString(Files.createDirectory(temp.resolve(name)).resolve("model.safetensors"), "");
        }
        convert(Optional.empty(), Conversion.SHARD_BYTES);
        assertFalse(files(temp).contains("to.partial-" + gone));
        assertEquals(5, files(temp).size(), files(temp).toString()); // model, to, and those that are not its own
    }

    @Test
    void asItWas() throws IOException {
        Path to = convert(Optional.empty(), Conversion.SHARD_BYTES);
        assertEquals(List.of("config.json", "model.safetensors", "tokenizer_config.json"), files(to));
        assertArrayEquals(logits(model), logits(to));
        assertEquals(List.of("model", "to"), files(temp)); // nothing left beside it
    }

    @Test
    void shardsHoldAllOfIt() throws IOException {
        Path to = convert(Optional.empty(), 4_000);
        List<String> shards =
                files(to).stream().filter(n -> n.matches("model-\\d{5}-of-\\d{5}\\.safetensors")).toList();
        assertTrue(shards.size() > 3, shards.toString());
        for (String s : shards) {
            assertTrue(Files.size(to.resolve(s)) < 6_000, s); // a header comes on top
        }
        JsonObject index = JsonParser.parseString(Files.readString(to.resolve("model.safetensors.index.json")))
                .getAsJsonObject();
        try (CausalLm m = Models.open(model)) {
            assertEquals(m.parameters().keySet(), index.getAsJsonObject("weight_map").keySet());
            assertEquals(4 * m.parameterCount(), index.getAsJsonObject("metadata").get("total_size").getAsLong());
        }
        assertArrayEquals(logits(model), logits(to));
    }

    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"BF16", "F16"})
    void halfPrecision(DType half) throws IOException {
        Path to = convert(Optional.of(half), Conversion.SHARD_BYTES);
        try (ModelMemory memory = new ModelMemory(); CausalLm whole = Models.open(model)) {
            Map<String, Tensor> stored = WeightFiles.open(to, memory);
            for (var e : whole.parameters().entrySet()) {
                Tensor t = stored.get(e.getKey());
                assertEquals(half, t.dtype(), e.getKey());
                assertArrayEquals(e.getValue().to(half).to(DType.F32).toFloats(), t.to(DType.F32).toFloats());
            }
        }
        float[] exact = logits(model);
        float[] rounded = logits(to);
        double worst = 0;
        for (int i = 0; i < exact.length; i++) {
            worst = Math.max(worst, Math.abs(exact[i] - rounded[i]));
        }
        assertTrue(worst > 0 && worst < 2e-2, "off by " + worst);
        JsonObject config = JsonParser.parseString(Files.readString(to.resolve("config.json"))).getAsJsonObject();
        assertEquals(half == DType.BF16 ? "bfloat16" : "float16", config.get("dtype").getAsString());
    }

    @Test
    void matricesOfBf16AreNotCopied() throws IOException {
        Path to = convert(Optional.of(DType.BF16), Conversion.SHARD_BYTES);
        try (CausalLm m = Models.open(to)) {
            assertEquals(DType.BF16, m.parameters().get("lm_head.weight").dtype());
            assertEquals(DType.F32, m.parameters().get("model.norm.weight").dtype());
        }
        try (CausalLm m = Models.openTrainable(to)) {
            m.parameters().forEach((n, t) -> assertEquals(DType.F32, t.dtype(), n));
        }
    }

    private void change(String name, Tensor value) throws IOException {
        try (ModelMemory memory = new ModelMemory()) {
            Map<String, Tensor> weights = new LinkedHashMap<>(WeightFiles.open(model, memory));
            weights.put(name, value);
            Safetensors.save(model.resolve("model.safetensors"), weights, Map.of());
        }
    }

    @Test
    void whatDoesNotFitF16LosesNothing() throws IOException {
        change("model.norm.weight", Tensor.full(DType.F32, 70_000, 12));
        String m = assertThrows(IllegalArgumentException.class, () -> convert(Optional.of(DType.F16), 1 << 30))
                .getMessage();
        assertTrue(m.contains("\"model.norm.weight\" holds 70000.0, which is beyond F16"), m);
        assertEquals(List.of("model"), files(temp));
        convert(Optional.of(DType.BF16), 1 << 30);
    }

    @Test
    void whatIsThereIsNotOverwritten() throws IOException {
        Files.createDirectory(temp.resolve("to"));
        convert(Optional.empty(), 1 << 30); // empty
        String m = assertThrows(IOException.class, () -> convert(Optional.empty(), 1 << 30)).getMessage();
        assertTrue(m.endsWith("to: is there already and not empty: give another folder"), m);
    }

    @Test
    void aFileWithoutHeadHasNoBase() throws IOException {
        float[] before = logits(model);
        try (ModelMemory memory = new ModelMemory()) {
            Map<String, Tensor> bare = new LinkedHashMap<>();
            WeightFiles.open(model, memory).forEach((n, t) -> bare.put(n.replaceFirst("^model\\.", ""), t));
            Safetensors.save(model.resolve("model.safetensors"), bare, Map.of());
        }
        assertArrayEquals(before, logits(model));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "../model.safetensors|expected the name of a .safetensors file beside it",
        "/etc/passwd|expected the name of a .safetensors file beside it",
        "a/b.safetensors|expected the name of a .safetensors file beside it",
        "gone.safetensors|gone.safetensors: there is no such file",
        "model-00002-of-00002.safetensors|weight_map says that model.norm.weight is in model-00002-of-00002"
    })
    void anIndexThatLies(String file, String expected) throws IOException {
        Path to = convert(Optional.empty(), 8_000);
        Path index = to.resolve("model.safetensors.index.json");
        JsonObject json = JsonParser.parseString(Files.readString(index)).getAsJsonObject();
        assertEquals("model-00001-of-00002.safetensors", json.getAsJsonObject("weight_map")
                .get("model.embed_tokens.weight").getAsString());
        String name = file.startsWith("model-") ? "model.embed_tokens.weight" : "model.norm.weight";
        json.getAsJsonObject("weight_map").addProperty(name, file);
        Files.writeString(index, json.toString());
        Exception e = assertThrows(Exception.class, () -> Models.open(to));
        assertTrue(e.getMessage().contains(expected.replace("model.norm.weight", name)), e.getMessage());
        assertFalse(e.getMessage().contains("\n"), e.getMessage());
    }

    @Test
    void foreignFormatsAreNamed() throws IOException {
        Files.delete(model.resolve("model.safetensors"));
        Files.writeString(model.resolve("pytorch_model.bin"), "");
        refused("pytorch_model.bin is a pickle");
        Files.delete(model.resolve("pytorch_model.bin"));
        Files.writeString(model.resolve("model-q4.gguf"), "");
        refused("model-q4.gguf is GGUF, which is not read yet");
    }

    @Test
    void quantisedAndForeignCodeAreRefused() throws IOException {
        JsonObject config = ConfigReader.ofModel(model).json();
        JsonObject q = new JsonObject();
        q.addProperty("quant_method", "gptq");
        config.add("quantization_config", q);
        Files.writeString(model.resolve("config.json"), config.toString());
        refused("weights quantised by gptq are not read yet");
        config.remove("quantization_config");
        config.addProperty("model_type", "baichuan");
        Files.writeString(model.resolve("config.json"), config.toString());
        refused("model_type is \"baichuan\", expected one of deepseek_v3");
        config.add("auto_map", new JsonObject());
        Files.writeString(model.resolve("config.json"), config.toString());
        refused("code in checkpoints is never run");
    }

    private void refused(String expected) {
        Exception e = assertThrows(Exception.class, () -> Models.open(model));
        assertTrue(e.getMessage().contains(expected), e.getMessage());
        assertTrue(e.getMessage().startsWith(model.toString()), e.getMessage());
    }
}
