package dev.deckle.models;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Init;
import dev.deckle.nn.Linear;
import dev.deckle.nn.Lora;
import dev.deckle.nn.ParameterHome;
import dev.deckle.nn.Weights;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.Consumer;
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

    /// Where a model's parameters come from.
    @FunctionalInterface
    private interface Reader {
        Weights read(ModelMemory memory, Map<String, Tensor> checkpoint) throws IOException;
    }

    /// What comes to the weights of a model.
    @FunctionalInterface
    private interface Addition {
        Map<String, Tensor> to(ModelMemory memory, Map<String, Tensor> checkpoint) throws IOException;
    }

    /// Opens a Hugging Face model folder for running: weights are mapped, not copied, where they are F32. A folder with
    /// an adapter of PEFT is opened as the model that it names with the adapter on it.
    ///
    /// @throws IOException in one line naming the file, where one is missing or broken
    /// @throws IllegalArgumentException in one line naming file, key and what was expected, where they do not fit
    public static CausalLm open(Path folder) throws IOException {
        return Adapter.is(folder) ? adapter(folder, Weights::load).model() : open(folder, folder, Weights::load);
    }

    /// Puts a new adapter on a model: that stays where it is mapped and does not learn, the adapter does.
    ///
    /// @param seed what the adapter's first values are drawn from
    /// @throws IllegalArgumentException if the model has no layers that are called so
    public static Adapted adapt(Path folder, Lora lora, long seed) throws IOException {
        return adapt(folder, lora, seed, Models::adapterAlone);
    }

    /// The same with parameters that live in a home of their own, which decides about what does not learn: a
    /// [dev.deckle.zero.Partition] is to be told that [Lora#isBase] is frozen.
    public static Adapted adapt(Path folder, Lora lora, long seed, ParameterHome home) throws IOException {
        return adapt(folder, lora, seed, _ -> home);
    }

    /// Opens an adapter's folder to go on with its training: the model below does not learn.
    public static Adapted adapt(Path adapter) throws IOException {
        return adapt(adapter, Models::adapterAlone);
    }

    /// The same with parameters that live in a home of their own.
    public static Adapted adapt(Path adapter, ParameterHome home) throws IOException {
        return adapt(adapter, _ -> home);
    }

    private static ParameterHome adapterAlone(ModelMemory memory) {
        return ParameterHome.in(memory, DType.F32, Lora::isAdapter);
    }

    private static Adapted adapt(Path folder, Lora lora, long seed, Function<ModelMemory, ParameterHome> home)
            throws IOException {
        if (Adapter.is(folder)) {
            throw new IOException(folder + ": is an adapter already: go on with it, or merge it into its model first "
                    + "(deckle convert)");
        }
        if (lora.dropout() > 0 && lora.targets("lm_head")) {
            throw new IllegalArgumentException("an adapter of lm_head cannot have dropout: take it from the targets, "
                    + "or a dropout of 0");
        }
        CausalLm model = open(folder, folder, (memory, checkpoint) -> Weights
                .loadTrainable(memory, checkpoint, home.apply(memory))
                .withNewAdapters(lora, new Generator(seed)));
        return new Adapted(model, lora, folder);
    }

    private static Adapted adapt(Path folder, Function<ModelMemory, ParameterHome> home) throws IOException {
        if (!Adapter.is(folder)) {
            throw new IOException(folder + ": holds no adapter (" + Adapter.CONFIG + ")");
        }
        return adapter(folder, (memory, checkpoint) -> Weights.loadTrainable(memory, checkpoint, home.apply(memory)));
    }

    private static Adapted adapter(Path folder, Reader reader) throws IOException {
        Adapter adapter = Adapter.open(folder);
        Lora[] lora = new Lora[1];
        CausalLm model = open(adapter.base(), folder, (memory, checkpoint) -> {
            Adapter.Content content = adapter.read(memory, false);
            Map<String, Tensor> both = new LinkedHashMap<>(checkpoint);
            both.putAll(content.weights());
            lora[0] = content.lora();
            return reader.read(memory, both).withAdapters(lora[0]);
        });
        return new Adapted(model, lora[0], adapter.base());
    }

    /// Whether a model's matrices, but for its head, lie as (in, out).
    static boolean liesTransposed(JsonObject config) {
        return config.get("model_type").getAsString().equals("gpt2");
    }

    /// The same as [#open] with trainable copies of the weights, in F32; not for an adapter.
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

    /// What a model of a folder takes.
    public record Limits(int vocabSize, int maxPositionEmbeddings) {}

    /// From its `config.json` alone.
    public static Limits limits(Path folder) throws IOException {
        ConfigReader config = ConfigReader.ofModel(folder);
        family(config);
        String positions = config.has("n_positions") ? "n_positions" : "max_position_embeddings";
        return new Limits(config.integer("vocab_size", 1, Integer.MAX_VALUE),
                config.integer(positions, 1, Integer.MAX_VALUE, 2048));
    }

    /// Opens a model folder as a classifier of one label, with trainable copies of the weights that live in a home of
    /// their own. Where the folder holds a model with a head, that is left out, and the score's weights are drawn.
    ///
    /// @param seed of the score's first weights, where the folder has none
    public static SequenceClassifier openClassifier(Path folder, ParameterHome home, long seed) throws IOException {
        return openClassifier(folder, folder, home, seed);
    }

    /// The same for a run that goes on from a checkpoint: a classifier's configuration names a token that pads where
    /// the model had none, and the embedding of such a token does not learn.
    ///
    /// @param begun the folder that the run began with, whose padding it is
    public static SequenceClassifier openClassifier(Path folder, Path begun, ParameterHome home, long seed)
            throws IOException {
        JsonElement padding = ConfigReader.ofModel(begun).json().get("pad_token_id");
        return classifier(folder, c -> c.json().add("pad_token_id", padding),
                (memory, checkpoint) -> Weights.loadTrainable(memory, checkpoint, home), trained(home, seed));
    }

    /// The same with a new adapter: the home is to be told that this and the score learn, and nothing else.
    public static Adapted adaptClassifier(Path folder, Lora lora, ParameterHome home, long seed) throws IOException {
        SequenceClassifier model = classifier(folder, _ -> {},
                (memory, checkpoint) -> Weights.loadTrainable(memory, checkpoint, home)
                        .withNewAdapters(lora, new Generator(seed)),
                trained(home, seed));
        return new Adapted(model, lora, folder);
    }

    /// Opens the folder of an adapter and its score to go on with their training.
    public static Adapted adaptClassifier(Path adapter, ParameterHome home) throws IOException {
        return classifierAdapter(adapter, (memory, checkpoint) -> Weights.loadTrainable(memory, checkpoint, home),
                (values, hidden) -> home.adopt(SequenceClassifier.SCORE,
                        values.orElseThrow(() -> noScore(adapter, hidden)), true));
    }

    /// A classifier's score alone, from the last hidden states (..., hidden_size) of the model in a folder to (..., 1),
    /// its weights drawn and adopted as `score.weight`: for a model that is open already.
    public static Linear score(Path folder, ParameterHome home, long seed) throws IOException {
        return new Linear(trained(home, seed).apply(Optional.empty(), hiddenSize(ConfigReader.ofModel(folder))));
    }

    private static int hiddenSize(ConfigReader config) {
        return config.integer(config.has("n_embd") ? "n_embd" : "hidden_size", 1, 1 << 20);
    }

    /// A score of its own, or a new one, that lives in a home.
    private static BiFunction<Optional<Tensor>, Integer, Tensor> trained(ParameterHome home, long seed) {
        return (values, hidden) -> {
            Tensor first = Tensor.empty(DType.F32, Shape.of(1, hidden));
            Init.normal(0.02).fill(first, new Generator(seed));
            return home.adopt(SequenceClassifier.SCORE, values.orElse(first), true);
        };
    }

    private static IllegalArgumentException noScore(Path folder, int hidden) {
        return new IllegalArgumentException(folder + ": score.weight (1, " + hidden + ") is missing: no model that "
                + "judges (deckle align reward makes one)");
    }

    /// Opens a classifier of one label for running. A folder with an adapter and a score is opened as the model that it
    /// names with both on it.
    ///
    /// @throws IllegalArgumentException if the folder holds no score
    public static SequenceClassifier openClassifier(Path folder) throws IOException {
        if (Adapter.is(folder)) {
            return (SequenceClassifier) classifierAdapter(folder, Weights::load,
                    (values, hidden) -> values.orElseThrow(() -> noScore(folder, hidden))).model();
        }
        return classifier(folder, _ -> {}, Weights::load,
                (values, hidden) -> values.orElseThrow(() -> noScore(folder, hidden)));
    }

    /// @param score from the score that was saved beside the adapter, and the width of what it judges by
    private static Adapted classifierAdapter(
            Path folder, Reader reader, BiFunction<Optional<Tensor>, Integer, Tensor> score) throws IOException {
        Adapter adapter = Adapter.open(folder);
        Lora[] lora = new Lora[1];
        SequenceClassifier model = classifier(adapter.base(), folder, _ -> {},
                (memory, checkpoint) -> {
                    Adapter.Content content = adapter.read(memory, true);
                    lora[0] = content.lora();
                    Map<String, Tensor> both = new LinkedHashMap<>(checkpoint);
                    both.remove(SequenceClassifier.SCORE); // of the model below: the adapter has its own
                    both.putAll(content.weights());
                    return both;
                },
                (memory, weights) -> reader.read(memory, weights).withAdapters(lora[0]), score);
        return new Adapted(model, lora[0], adapter.base());
    }

    private static SequenceClassifier classifier(
            Path folder, Consumer<ConfigReader> change, Reader reader,
            BiFunction<Optional<Tensor>, Integer, Tensor> score) throws IOException {
        return classifier(folder, folder, change, (_, checkpoint) -> checkpoint, reader, score);
    }

    private static SequenceClassifier classifier(
            Path folder, Path asked, Consumer<ConfigReader> change, Addition addition, Reader reader,
            BiFunction<Optional<Tensor>, Integer, Tensor> score) throws IOException {
        ConfigReader config = ConfigReader.ofModel(folder);
        int hidden = hiddenSize(config);
        boolean tied = config.flag("tie_word_embeddings", true);
        Tensor[] scoreWeight = new Tensor[1];
        Consumer<ConfigReader> headless = c -> c.json().addProperty("tie_word_embeddings", true); // it needs no head
        CausalLm decoder = open(folder, asked, headless.andThen(change),
                (memory, checkpoint) -> {
                    Map<String, Tensor> weights = new LinkedHashMap<>(addition.to(memory, checkpoint));
                    weights.remove("lm_head.weight");
                    Tensor own = weights.remove(SequenceClassifier.SCORE);
                    if (own != null && !own.shape().equals(Shape.of(1, hidden))) {
                        throw new IllegalArgumentException("score.weight is " + own.shape() + ", (1, " + hidden
                                + ") expected");
                    }
                    scoreWeight[0] = score.apply(Optional.ofNullable(own), hidden);
                    return reader.read(memory, weights);
                });
        decoder.configJson().addProperty("tie_word_embeddings", tied);
        return new SequenceClassifier(decoder, scoreWeight[0]);
    }

    private static CausalLm openTrainable(Path folder, Function<ModelMemory, ParameterHome> home) throws IOException {
        CausalLm model = open(folder, folder,
                (memory, checkpoint) -> Weights.loadTrainable(memory, checkpoint, home.apply(memory)));
        model.configJson().remove("torch_dtype"); // the copies are F32, whatever they were copied from
        model.configJson().addProperty("dtype", "float32");
        return model;
    }

    /// @param asked the folder that was asked for, which complaints name
    private static CausalLm open(Path folder, Path asked, Reader reader) throws IOException {
        return open(folder, asked, _ -> {}, reader);
    }

    private static CausalLm open(Path folder, Path asked, Consumer<ConfigReader> change, Reader reader)
            throws IOException {
        ConfigReader config = ConfigReader.ofModel(folder);
        change.accept(config);
        Family family = family(config);
        ModelMemory memory = new ModelMemory();
        try {
            Map<String, Tensor> checkpoint = WeightFiles.open(folder, memory);
            boolean gpt2 = liesTransposed(config.json());
            checkpoint = withBase(checkpoint, prefix(config.json()));
            if (config.flag("tie_word_embeddings", true)) {
                checkpoint = withEmbedding(checkpoint, gpt2 ? "transformer.wte.weight" : "model.embed_tokens.weight");
            }
            return family.build(config, reader.read(memory, checkpoint), memory);
        } catch (IllegalArgumentException e) {
            memory.close();
            String m = String.valueOf(e.getMessage());
            throw m.startsWith(folder.toString()) || m.startsWith(asked.toString()) ? e
                    : new IllegalArgumentException(asked + ": " + m, e);
        } catch (IOException | RuntimeException | Error e) {
            memory.close();
            throw e;
        }
    }

    /// What the names of all weights but the head's begin with.
    static String prefix(JsonObject config) {
        return liesTransposed(config) ? "transformer." : "model.";
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
