package dev.deckle.models;

import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.ParameterHome;
import dev.deckle.nn.Weights;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.Function;

/// The families of models by the `model_type` of their `config.json`, and how a folder is opened.
public final class Models {
    /// Builds a model of one family.
    @FunctionalInterface
    private interface Family {
        CausalLm build(ConfigReader config, Weights weights, ModelMemory memory);
    }

    private static final Map<String, Family> FAMILIES = new TreeMap<>(Map.of(
            "deepseek_v3", (c, w, m) -> new DeepseekV3(DeepseekV3.Config.read(c), c.json(), w, m),
            "gemma", (c, w, m) -> new Gemma(Gemma.Config.readFirst(c), c.json(), w, m),
            "gemma2", (c, w, m) -> new Gemma(Gemma.Config.readSecond(c), c.json(), w, m),
            "gpt2", (c, w, m) -> new Gpt2(Gpt2.Config.read(c), c.json(), w, m),
            "llama", (c, w, m) -> new Llama(Llama.Config.read(c), c.json(), w, m),
            "mistral", (c, w, m) -> new Mistral(Mistral.Config.read(c), c.json(), w, m),
            "qwen2", (c, w, m) -> new Qwen2(Qwen2.Config.read(c), c.json(), w, m),
            "qwen3", (c, w, m) -> new Qwen3(Qwen3.Config.readDense(c), c.json(), w, m),
            "qwen3_moe", (c, w, m) -> new Qwen3(Qwen3.Config.readMixture(c), c.json(), w, m)));

    private Models() {}

    /// Opens a Hugging Face model folder for running: weights are mapped, not copied, where they are F32.
    ///
    /// @throws IOException in one line naming the file, where one is missing or broken
    /// @throws IllegalArgumentException in one line naming file, key and what was expected, where they do not fit
    public static CausalLm open(Path folder) throws IOException {
        return open(folder, Weights::load);
    }

    /// The same with trainable copies of the weights, in F32.
    public static CausalLm openTrainable(Path folder) throws IOException {
        return openTrainable(folder, memory -> ParameterHome.in(memory, DType.F32));
    }

    /// The same with trainable copies that live in a home of their own.
    public static CausalLm openTrainable(Path folder, ParameterHome home) throws IOException {
        return openTrainable(folder, _ -> home);
    }

    /// Tells a home of the parameters of a model, which is not made, by its `config.json`: weights need not be there.
    ///
    /// @throws IOException in one line naming the file, where it is missing or broken
    /// @throws IllegalArgumentException in one line naming file, key and what was expected
    public static void describe(Path folder, ParameterHome home) throws IOException {
        ConfigReader config = ConfigReader.ofModel(folder);
        Family family = family(config);
        try (ModelMemory memory = new ModelMemory()) {
            family.build(config, Weights.described(memory, home), memory);
        } catch (IllegalArgumentException e) {
            throw in(folder, e);
        }
    }

    private static IllegalArgumentException in(Path folder, IllegalArgumentException e) {
        String m = String.valueOf(e.getMessage());
        return m.startsWith(folder.toString()) ? e : new IllegalArgumentException(folder + ": " + m, e);
    }

    private static CausalLm openTrainable(Path folder, Function<ModelMemory, ParameterHome> home) throws IOException {
        CausalLm model =
                open(folder, (memory, checkpoint) -> Weights.loadTrainable(memory, checkpoint, home.apply(memory)));
        model.configJson().remove("torch_dtype"); // the copies are F32, whatever they were copied from
        model.configJson().addProperty("dtype", "float32");
        return model;
    }

    private static CausalLm open(Path folder, BiFunction<ModelMemory, Map<String, Tensor>, Weights> reader)
            throws IOException {
        ConfigReader config = ConfigReader.ofModel(folder);
        Family family = family(config);
        ModelMemory memory = new ModelMemory();
        try {
            Map<String, Tensor> checkpoint = WeightFiles.open(folder, memory);
            boolean gpt2 = config.text("model_type", "").equals("gpt2");
            checkpoint = withBase(checkpoint, gpt2 ? "transformer." : "model.");
            if (config.flag("tie_word_embeddings", true)) {
                checkpoint = withEmbedding(checkpoint, gpt2 ? "transformer.wte.weight" : "model.embed_tokens.weight");
            }
            return family.build(config, reader.apply(memory, checkpoint), memory);
        } catch (IllegalArgumentException e) {
            memory.close();
            throw in(folder, e);
        } catch (IOException | RuntimeException | Error e) {
            memory.close();
            throw e;
        }
    }

    /// The weights under their full names: a file that was saved from the model without its head has them without the
    /// first part.
    static Map<String, Tensor> withBase(Map<String, Tensor> weights, String base) {
        if (weights.keySet().stream().anyMatch(n -> n.startsWith(base))) {
            return weights;
        }
        Map<String, Tensor> renamed = new LinkedHashMap<>();
        weights.forEach((n, t) -> renamed.put(n.startsWith("lm_head.") ? n : base + n, t));
        return renamed;
    }

    /// Of two tied weights a file may hold the head only.
    private static Map<String, Tensor> withEmbedding(Map<String, Tensor> weights, String embedding) {
        if (weights.containsKey(embedding) || !weights.containsKey("lm_head.weight")) {
            return weights;
        }
        Map<String, Tensor> renamed = new LinkedHashMap<>(weights);
        renamed.put(embedding, renamed.remove("lm_head.weight"));
        return renamed;
    }

    private static Family family(ConfigReader config) {
        if (config.has("quantization_config")) {
            String method = config.object("quantization_config").orElseThrow().text("quant_method", "a method without "
                    + "a name");
            throw config.bad("quantization_config", "none: weights quantised by " + method + " are not read yet; take "
                    + "the model's original weights, in F32, BF16 or F16");
        }
        Family family = FAMILIES.get(config.text("model_type", ""));
        if (family == null) {
            String known = "one of " + String.join(", ", FAMILIES.keySet());
            throw config.bad("model_type", config.has("auto_map") ? known + "; its auto_map names Python code in the "
                    + "checkpoint (trust_remote_code), and code in checkpoints is never run" : known);
        }
        return family;
    }
}
