package dev.deckle.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.autograd.GradCheck;
import dev.deckle.generate.GenerationConfig;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.nn.Lora;
import dev.deckle.nn.Pass;
import dev.deckle.nn.Weights;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Adapters put on models, written, opened again, merged; and folders of adapters that lie.
class AdapterTest {
    private static final Path CHECKPOINTS = Path.of("../deckle-app/src/test/resources/golden/hf");
    private static final Tensor IDS = Tensor.of(new long[] {3, 1, 4, 1, 5, 9, 2, 6, 5, 3}, 2, 5);
    private static final Lora LORA = new Lora(3, 8, 0, List.of("q_proj", "down_proj"));

    @TempDir
    private Path temp;

    private Path base;

    @BeforeEach
    void makeBase() throws IOException {
        base = Files.createDirectory(temp.resolve("base"));
        try (Llama m = Llama.create(Llama.Config.of(11, 12, 20, 3, 6, 2, 16, true), 7, 7)) {
            Safetensors.save(base.resolve("model.safetensors"), m.parameters(), Map.of());
            Files.writeString(base.resolve("config.json"), m.configJson().toString());
        }
    }

    private static float[] logits(CausalLm m) {
        return m.forward(IDS, Pass.evaluate()).toFloats();
    }

    private static float[] logits(Path folder) throws IOException {
        try (CausalLm m = Models.open(folder)) {
            return logits(m);
        }
    }

    /// B of a new adapter is zero: numbers that change something.
    private static void fill(CausalLm m) {
        int[] seed = {1};
        m.parameters().forEach((n, p) -> {
            if (n.endsWith(".lora_B.weight")) {
                Tensor drawn = Tensor.empty(DType.F32, p.shape());
                new Generator(seed[0]++).normal(drawn, 0, 0.3);
                drawn.to(p.dtype()).copyInto(p.detach());
            }
        });
    }

    private Path adapter(Lora lora) throws IOException {
        Path folder = temp.resolve("adapter");
        try (Adapted a = Models.adapt(base, lora, 5)) {
            fill(a.model());
            a.save(folder);
        }
        return folder;
    }

    private static void train(Adapted a, int steps) {
        try (AdamW adam = new AdamW(a.model().parameters(), new AdamW.Options(0.9, 0.99, 1e-8, 0))) {
            for (int i = 0; i < steps; i++) {
                try (Workspace _ = Workspace.open()) {
                    Tensor y = a.model().forward(IDS, Pass.train(new Generator(i))).reshape(-1, 11);
                    Functional.crossEntropy(y, Tensor.of(new long[] {1, 4, 1, 5, 9, 2, 6, 5, 3, 5}, 10), -100).mean()
                            .backward();
                }
                adam.step(1e-2, 1);
            }
        }
    }

    /// Every parameter of every adapter and of the model below, against central differences in F64.
    @ParameterizedTest
    @ValueSource(strings = {"all-linear", "lm_head", "v_proj"})
    void gradientsOfTheWholeDecoder(String target) {
        ModelMemory memory = new ModelMemory();
        Llama.Config c = new Llama.Config(new DecoderConfig(11, 12, 10, 2, 6, 3, 2, 32, 1e-6, 0, 0.3, false),
                Rotary.plain(100), true, true, Optional.empty());
        Lora lora = new Lora(2, 5, 0, List.of(target));
        Weights w = Weights.init(memory, new Generator(1), DType.F64).withAdapters(lora);
        try (Llama model = new Llama(c, c.json(0), w, memory)) {
            fill(model);
            Tensor targets = IDS.reshape(-1);
            double worst = GradCheck.worst(() -> Functional.crossEntropy(model.forward(IDS, Pass.evaluate())
                    .reshape(-1, 11), targets, 3).mean(), List.copyOf(model.parameters().values()), 2e-5);
            assertTrue(worst < 1e-7, "worst error " + worst);
            long adapters = model.parameters().keySet().stream().filter(Lora::isAdapter).count();
            assertEquals(target.equals("all-linear") ? 2 * 7 * 2 : target.equals("v_proj") ? 2 * 2 : 2, adapters);
        }
    }

    @Test
    void aNewAdapterChangesNothingAndLearnsAlone() throws IOException {
        float[] before = logits(base);
        try (Adapted a = Models.adapt(base, LORA, 5);
                Adapted again = Models.adapt(base, LORA, 5);
                Adapted other = Models.adapt(base, LORA, 6)) {
            String name = "model.layers.1.mlp.down_proj.lora_A.weight";
            assertArrayEquals(value(a, name), value(again, name));
            assertFalse(Arrays.equals(value(a, name), value(other, name)));
            assertArrayEquals(before, logits(a.model()));
            Set<String> learned = a.parameters();
            assertEquals(3 * 2 * 2, learned.size());
            Map<String, float[]> old = new LinkedHashMap<>();
            a.model().parameters().forEach((n, p) -> {
                assertEquals(learned.contains(n), p.requiresGrad(), n);
                old.put(n, p.detach().toFloats());
            });
            train(a, 3);
            a.model().parameters().forEach((n, p) -> assertEquals(!learned.contains(n),
                    Arrays.equals(old.get(n), p.detach().toFloats()), n));
            assertFalse(Arrays.equals(before, logits(a.model())));
            assertArrayEquals(before, Lora.off(() -> logits(a.model())));
        }
    }

    private static float[] value(Adapted a, String name) {
        return a.model().parameters().get(name).detach().toFloats();
    }

    /// The model below is where its file is mapped: what is allocated is the adapter and its gradient.
    @Test
    void theModelBelowIsNotCopied() throws IOException {
        try (Adapted a = Models.adapt(base, LORA, 5)) {
            long adapter = a.parameters().stream().mapToLong(n -> a.model().parameters().get(n).bytes()).sum();
            long all = a.model().parameters().values().stream().mapToLong(Tensor::bytes).sum();
            long allocated = a.model().state().memory().bytes();
            assertTrue(allocated < 2 * adapter + 64 * 2 * a.parameters().size() && allocated < all / 2,
                    allocated + " of " + all + ", the adapter " + adapter);
        }
    }

    @Test
    void dropoutInTrainingOnly() throws IOException {
        try (Adapted a = Models.adapt(base, new Lora(3, 8, 0.5, List.of(Lora.ALL_LINEAR)), 5)) {
            float[] before = logits(base);
            float[] training = a.model().forward(IDS, Pass.train(new Generator(1))).toFloats();
            assertArrayEquals(before, training, "B is zero, and what does not go through the adapter keeps all of it");
            fill(a.model());
            float[] one = a.model().forward(IDS, Pass.train(new Generator(1))).toFloats();
            assertArrayEquals(one, a.model().forward(IDS, Pass.train(new Generator(1))).toFloats());
            assertFalse(Arrays.equals(one, a.model().forward(IDS, Pass.train(new Generator(2))).toFloats()));
            assertArrayEquals(logits(a.model()), logits(a.model()));
            assertArrayEquals(before, Lora.off(() -> a.model().forward(IDS, Pass.train(new Generator(1))).toFloats()));
        }
    }

    @Test
    void whatIsWritten() throws IOException {
        Path folder = adapter(new Lora(2, 4.5, 0.25, List.of(Lora.ALL_LINEAR), true));
        JsonObject c = JsonParser.parseString(Files.readString(folder.resolve("adapter_config.json")))
                .getAsJsonObject();
        assertEquals("""
                {"peft_type":"LORA","task_type":"CAUSAL_LM","base_model_name_or_path":"BASE","r":2,"lora_alpha":4.5,\
                "lora_dropout":0.25,"target_modules":["down_proj","gate_proj","k_proj","o_proj","q_proj","up_proj",\
                "v_proj"],"bias":"none","fan_in_fan_out":false,"use_rslora":true,"inference_mode":true}""",
                c.toString().replace(base.toAbsolutePath().normalize().toString(), "BASE"));
        try (ModelMemory memory = new ModelMemory()) {
            Safetensors file = Safetensors.open(folder.resolve("adapter_model.safetensors"), memory);
            assertEquals(Map.of("format", "pt"), file.metadata());
            assertEquals(3 * 7 * 2, file.tensors().size());
            assertEquals(Shape.of(2, 20), file.tensors()
                    .get("base_model.model.model.layers.2.mlp.down_proj.lora_A.weight").shape());
            assertEquals(Shape.of(4, 2), file.tensors()
                    .get("base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight").shape());
        }
        assertEquals(List.of(7), GenerationConfig.read(folder).eos_token_id(), "those of the model below");
    }

    /// Two steps, written and read, then one, are three.
    @Test
    void trainingGoesOnWithWhatWasWritten() throws IOException {
        Path folder = temp.resolve("adapter");
        float[] two;
        try (Adapted a = Models.adapt(base, LORA, 5)) {
            train(a, 2);
            a.save(folder);
            two = logits(a.model());
        }
        assertArrayEquals(two, logits(folder));
        try (Adapted a = Models.adapt(folder)) {
            assertEquals(LORA, a.lora());
            assertArrayEquals(two, logits(a.model()));
            train(a, 1);
            assertFalse(Arrays.equals(two, logits(a.model())));
            assertArrayEquals(logits(base), Lora.off(() -> logits(a.model())));
            a.save(folder); // in its place, while it is mapped
        }
        assertFalse(Arrays.equals(two, logits(folder)));
    }

    /// Experts, latents, (in, out) matrices, a head of its own: on and off, through a file, merged, in every family.
    @ParameterizedTest
    @ValueSource(strings = {"deepseek-v3", "deepseek-noq", "gpt2", "gpt2-odd", "gemma", "gemma2", "mistral", "qwen2",
        "qwen3", "qwen3-moe", "qwen3-moe-sparse", "llama-tied-head-only", "llama-tied-other-head"})
    void everyFamilyEveryLayer(String name) throws IOException {
        base = CHECKPOINTS.resolve(name);
        Path folder = adapter(new Lora(2, 3, 0, List.of(Lora.ALL_LINEAR)));
        float[] below = logits(base);
        float[] on;
        try (CausalLm m = Models.open(folder)) {
            on = logits(m);
            assertArrayEquals(below, Lora.off(() -> logits(m)));
            boolean experts = m.parameters().containsKey("model.layers.2.mlp.experts.1.up_proj.weight");
            assertEquals(experts, m.parameters().containsKey("model.layers.2.mlp.experts.1.up_proj.lora_B.weight"));
        }
        assertTrue(distance(below, on) > 1e-2, "off by " + distance(below, on));
        for (Optional<DType> dtype : List.of(Optional.<DType>empty(), Optional.of(DType.F32))) {
            Path merged = temp.resolve("merged" + dtype.isPresent());
            Conversion.convert(folder, merged, dtype, Conversion.SHARD_BYTES);
            assertArrayEquals(on, logits(merged), 1e-5f);
        }
    }

    private static double distance(float[] a, float[] b) {
        double most = 0;
        for (int i = 0; i < a.length; i++) {
            most = Math.max(most, Math.abs(a[i] - b[i]));
        }
        return most;
    }

    /// A matrix in BF16 is merged in F32 and rounded once.
    @Test
    void halfPrecisionBelow() throws IOException {
        Path whole = base;
        base = temp.resolve("half");
        Conversion.convert(whole, base, Optional.of(DType.BF16), Conversion.SHARD_BYTES);
        Path folder = adapter(LORA);
        try (Adapted a = Models.adapt(folder)) {
            Map<String, Tensor> p = a.model().parameters();
            assertEquals(DType.BF16, p.get("model.layers.0.self_attn.q_proj.weight").dtype());
            assertEquals(DType.F32, p.get("model.layers.0.self_attn.q_proj.lora_A.weight").dtype());
            train(a, 1);
        }
        Conversion.convert(folder, temp.resolve("merged"), Optional.empty(), Conversion.SHARD_BYTES);
        Conversion.convert(folder, temp.resolve("wide"), Optional.of(DType.F32), Conversion.SHARD_BYTES);
        try (CausalLm half = Models.open(temp.resolve("merged"));
                CausalLm wide = Models.open(temp.resolve("wide"));
                CausalLm below = Models.open(base)) {
            for (var e : wide.parameters().entrySet()) {
                Tensor h = half.parameters().get(e.getKey());
                boolean target = LORA.targets(e.getKey().replace(".weight", ""));
                assertArrayEquals(e.getValue().to(DType.BF16).to(DType.F32).toFloats(), h.to(DType.F32).toFloats());
                assertEquals(!target, Arrays.equals(below.parameters().get(e.getKey()).to(DType.F32).toFloats(),
                        h.to(DType.F32).toFloats()), e.getKey());
            }
            assertEquals(DType.BF16, half.parameters().get("model.layers.0.self_attn.q_proj.weight").dtype());
        }
    }

    @Test
    void theBaseMayBeNamedRelativeToTheAdapter() throws IOException {
        Path folder = adapter(LORA);
        float[] on = logits(folder);
        config(folder, "base_model_name_or_path", "\"../base\"");
        assertArrayEquals(on, logits(folder));
        config(folder, "base_model_name_or_path", "\"" + Path.of("").toAbsolutePath().relativize(base) + "\"");
        assertArrayEquals(on, logits(folder));
    }

    private static void config(Path folder, String key, String value) throws IOException {
        Path file = folder.resolve("adapter_config.json");
        JsonObject c = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
        c.add(key, JsonParser.parseString(value));
        Files.writeString(file, c.toString());
    }

    private void refused(Path folder, String expected) {
        for (var open : List.<Executable>of(() -> Models.open(folder).close(),
                () -> Models.adapt(folder).close(),
                () -> Conversion.convert(folder, temp.resolve("to"), Optional.empty(), 1 << 30))) {
            String m = assertThrows(Exception.class, open).getMessage();
            assertTrue(m.contains(expected) && m.startsWith(folder.toString()) && !m.contains("\n"), m);
            assertTrue(m.replace(temp.toString(), "").length() < 350, m);
        }
        assertFalse(Files.exists(temp.resolve("to")));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "use_dora|true|use_dora is true, expected false", "bias|\"all\"|bias is \"all\", expected \"none\"",
        "bias|\"lora_only\"|expected \"none\"", "peft_type|\"IA3\"|expected \"LORA\"",
        "modules_to_save|[\"lm_head\"]|modules_to_save is [\"lm_head\"], expected null",
        "rank_pattern|{\"q_proj\": 4}|rank_pattern", "alpha_pattern|{\"q_proj\": 4}|alpha_pattern",
        "layer_replication|[[0,1]]|layer_replication", "target_parameters|[\"a\"]|target_parameters",
        "trainable_token_indices|[1]|trainable_token_indices", "lora_bias|true|lora_bias",
        "task_type|\"SEQ_CLS\"|expected CAUSAL_LM", "init_lora_weights|\"pissa\"|change the base model too",
        "r|0|r is 0", "r|2.5|r is 2.5", "r|1048577|r is 1048577", "r|\"8\"|r is \"8\"", "r|4|of another shape",
        "lora_alpha|0|lora_alpha", "lora_alpha|-1|lora_alpha", "lora_alpha|1e999|lora_alpha",
        "lora_dropout|1|lora_dropout", "lora_dropout|-0.5|lora_dropout", "use_rslora|1|use_rslora is 1",
        "fan_in_fan_out|\"no\"|fan_in_fan_out", "target_modules|null|target_modules is null",
        "target_modules|[]|target_modules is []", "target_modules|[1]|target_modules is [1]",
        "target_modules|{}|target_modules is {}", "target_modules|[\"v_proj\"]|target_modules in adapter_config.json",
        "target_modules|[\"q_proj\",\"down_proj\",\"k_proj\"]|k_proj.lora_A.weight", "target_modules|[\" \"]|names of",
        "base_model_name_or_path|null|base_model_name_or_path is null",
        "base_model_name_or_path|\"\"|the folder of the adapter's base model",
        "base_model_name_or_path|\"a\\u0000b\"|the folder of the adapter's base model",
        "base_model_name_or_path|7|base_model_name_or_path is 7",
        "base_model_name_or_path|\"meta-llama/Llama-3.2-1B\"|meta-llama/Llama-3.2-1B, is not there",
        "base_model_name_or_path|\".\"|an adapter itself", "base_model_name_or_path|\"../adapter\"|an adapter itself",
        "base_model_name_or_path|\"../base/model.safetensors\"|is not there"
    })
    void aConfigThatIsNotSupportedOrLies(String key, String value, String expected) throws IOException {
        Path folder = adapter(LORA);
        config(folder, key, value);
        refused(folder, expected);
    }

    /// The same keys with the values that do nothing, and others that say nothing about the computation.
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"use_dora|null", "modules_to_save|[]", "rank_pattern|null", "loftq_config|{}",
        "target_parameters|[]", "init_lora_weights|false", "init_lora_weights|\"gaussian\"", "megatron_core|\"x\"",
        "task_type|null", "fan_in_fan_out|true", "inference_mode|false", "revision|\"main\"", "unknown|{\"a\": [1]}",
        "target_modules|[\"self_attn.q_proj\",\"down_proj\",\"other\"]", "layers_to_transform|[0,1,2]",
        "target_modules|\"(.*)*[qd].*_proj\"", "exclude_modules|\"x\""})
    void whatIsIdle(String key, String value) throws IOException {
        Path folder = adapter(LORA);
        float[] on = logits(folder);
        config(folder, key, value);
        assertArrayEquals(on, logits(folder));
    }

    private static void weights(Path folder, String remove, String add, Tensor value) throws IOException {
        Path file = folder.resolve("adapter_model.safetensors");
        try (ModelMemory memory = new ModelMemory()) {
            Map<String, Tensor> all = new LinkedHashMap<>(Safetensors.open(file, memory).tensors());
            all.keySet().removeIf(n -> n.equals(remove));
            if (!add.isEmpty()) {
                all.put(add, value);
            }
            Safetensors.save(file, all, Map.of());
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight||missing: model.layers.1.self_attn.q_proj",
        "|base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight|not part of the model: model.layers.3",
        "|base_model.model.model.norm.weight|expected names such as", "|model.norm.weight|expected names such as",
        "|base_model.model.transformer.h.0.mlp.q_proj.lora_A.weight|not part of the model: transformer.h.0",
        "|base_model.model.model.embed_tokens.lora_embedding_A|an adapter of an embedding",
        "|base_model.model.model.layers.0.mlp.experts.lora_A.weight|all experts at once",
        "|base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector|expected names such as",
        "|base_model.model..lora_A.weight|target_modules", "|base_model.model.lora_A.weight|expected names such as",
        "|base_model.model.lm_head.lora_A.weight|target_modules", "|base_model.model.lm_head.base_layer.weight|lm_head"
    })
    void weightsOfAnotherModel(String remove, String add, String expected) throws IOException {
        Path folder = adapter(LORA);
        weights(folder, remove == null ? "" : remove, add == null ? "" : add, Tensor.zeros(DType.F32, Shape.of(3, 12)));
        refused(folder, expected);
    }

    @Test
    void filesThatAreNotThere() throws IOException {
        Path folder = adapter(LORA);
        Files.delete(folder.resolve("adapter_model.safetensors"));
        refused(folder, "adapter_model.safetensors: there is no such file");
        Files.writeString(folder.resolve("adapter_model.bin"), "PK");
        refused(folder, "adapter_model.bin: a pickle");
        Files.delete(base.resolve("model.safetensors"));
        Exception e = assertThrows(IOException.class, () -> Models.open(folder));
        assertTrue(e.getMessage().startsWith(base.resolve("model.safetensors") + ": there is no such file"), e + "");
    }

    @Test
    void anAdapterIsNotAModelToTrain() throws IOException {
        Path folder = adapter(LORA);
        String m = assertThrows(IOException.class, () -> Models.openTrainable(folder)).getMessage();
        assertTrue(m.contains("merge it into that first"), m);
        assertTrue(assertThrows(IOException.class, () -> Models.adapt(folder, LORA, 1)).getMessage()
                .contains("is an adapter already"));
        assertTrue(assertThrows(IOException.class, () -> Models.adapt(base)).getMessage().contains("holds no adapter"));
    }

    @Test
    void targetsThatAreNotThere() {
        String m = assertThrows(IllegalArgumentException.class,
                () -> Models.adapt(base, new Lora(2, 2, 0, List.of("q_proj", "c_attn")), 1)).getMessage();
        assertTrue(m.startsWith(base + ": target_modules names c_attn, and no linear layer is called so: expected "
                + "all-linear or some of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"), m);
        assertTrue(assertThrows(IllegalArgumentException.class,
                () -> Models.adapt(base, new Lora(2, 2, 0.1, List.of("lm_head")), 1)).getMessage().contains("dropout"));
    }

    /// Bytes changed, cut and added anywhere: a model, or one line that names the folder.
    @Test
    void anyBytesGiveAModelOrOneLine() throws IOException {
        Path folder = adapter(LORA);
        int opened = 0;
        for (String name : List.of("adapter_config.json", "adapter_model.safetensors")) {
            Path file = folder.resolve(name);
            byte[] good = Files.readAllBytes(file);
            for (int i = 0; i < 150; i++) {
                Random random = new Random(i);
                byte[] bad = Arrays.copyOf(good, random.nextInt(4) == 0 ? random.nextInt(good.length) : good.length);
                for (int n = random.nextInt(3); n >= 0 && bad.length > 0; n--) {
                    bad[random.nextInt(Math.min(bad.length, 2000))] = (byte) random.nextInt();
                }
                Files.write(file, bad);
                try (CausalLm _ = Models.open(folder)) {
                    opened++;
                } catch (IOException | IllegalArgumentException e) {
                    String m = String.valueOf(e.getMessage());
                    assertTrue(m.startsWith(folder.toString()) && !m.contains("\n") && !m.contains("null"),
                            name + " " + i + ": " + m);
                }
            }
            Files.write(file, good);
        }
        assertTrue(opened > 0 && opened < 300, opened + " opened");
    }
}
