package dev.deckle.models;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.nn.GroupedQueryAttention;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/// The keys of `config.json` that decoders since Llama have in common, under their names there.
public record DecoderConfig(
        int vocab_size,
        int hidden_size,
        int intermediate_size,
        int num_hidden_layers,
        int num_attention_heads,
        int num_key_value_heads,
        int head_dim,
        int max_position_embeddings,
        double rms_norm_eps,
        double attention_dropout,
        double initializer_range,
        boolean tie_word_embeddings) {

    public DecoderConfig {
        require(vocab_size > 0, "vocab_size must be positive, not " + vocab_size);
        require(num_attention_heads > 0 && head_dim > 0, "num_attention_heads " + num_attention_heads
                + " and head_dim " + head_dim + " must be positive");
        require(num_key_value_heads > 0 && num_attention_heads % num_key_value_heads == 0, "num_attention_heads "
                + num_attention_heads + " must be a multiple of num_key_value_heads " + num_key_value_heads);
        require(head_dim % 2 == 0, "head_dim " + head_dim + " must be even: rotary positions turn pairs");
    }

    static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalArgumentException(otherwise);
        }
    }

    /// A plain one of a size, with Hugging Face's defaults for the rest.
    public static DecoderConfig of(
            int vocabSize, int hiddenSize, int intermediateSize, int layers, int heads, int kvHeads, int context,
            boolean tied) {
        require(heads > 0 && hiddenSize % heads == 0, "hidden size " + hiddenSize + " must be a multiple of the "
                + heads + " heads");
        return new DecoderConfig(vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads, hiddenSize / heads,
                context, 1e-6, 0, 0.02, tied);
    }

    /// What a family takes for keys that a file leaves out.
    ///
    /// @param kvHeads 0: as many as there are query heads
    /// @param headDim 0: hidden_size / num_attention_heads
    record Defaults(int kvHeads, int headDim, int context, boolean tied) {}

    static DecoderConfig read(ConfigReader c, Defaults d) {
        int hidden = c.integer("hidden_size", 1, 1 << 20);
        int heads = c.integer("num_attention_heads", 1, 1 << 14);
        if (d.headDim == 0 && !c.has("head_dim") && hidden % heads != 0) {
            throw c.bad("hidden_size", "a multiple of num_attention_heads " + heads);
        }
        int headDim = c.integer("head_dim", 2, 1 << 14, d.headDim > 0 ? d.headDim : hidden / heads);
        if (headDim % 2 != 0) {
            throw c.bad("head_dim", "an even number");
        }
        // null means one for each query head; a missing key the family's default
        int absent = d.kvHeads == 0 || c.json().has("num_key_value_heads") ? heads : d.kvHeads;
        int kvHeads = c.integer("num_key_value_heads", 1, heads, absent);
        if (heads % kvHeads != 0) {
            throw c.bad("num_key_value_heads", "a divisor of num_attention_heads " + heads);
        }
        return new DecoderConfig(c.integer("vocab_size", 1, Integer.MAX_VALUE), hidden,
                c.integer("intermediate_size", 1, 1 << 24), c.integer("num_hidden_layers", 1, 10_000), heads, kvHeads,
                headDim, c.integer("max_position_embeddings", 1, Integer.MAX_VALUE / 2, d.context),
                c.real("rms_norm_eps", 0, Optional.of(1e-6)), c.probability("attention_dropout"),
                c.real("initializer_range", 0, Optional.of(0.02)), c.flag("tie_word_embeddings", d.tied));
    }

    /// The windows of the layers: `sliding_window` where `layer_types` says `sliding_attention`, otherwise where
    /// `slides` says so; 0 for none.
    static List<Integer> windows(ConfigReader c, int layers, int window, IntPredicate slides) {
        List<String> types = c.texts("layer_types", layers).orElseGet(() -> IntStream.range(0, layers)
                .mapToObj(i -> slides.test(i) ? "sliding_attention" : "full_attention")
                .toList());
        return types.stream().map(t -> switch (t) {
            case "full_attention" -> 0;
            case "sliding_attention" -> window;
            default -> throw c.bad("layer_types", "full_attention or sliding_attention for each layer");
        }).toList();
    }

    /// `pad_token_id`, whose row of the embedding transformers' decoders leave without a gradient.
    static OptionalInt paddingIndex(JsonObject config, int vocabSize) {
        boolean there = config.get("pad_token_id") instanceof JsonPrimitive p && p.isNumber()
                && p.getAsDouble() == p.getAsInt() && p.getAsInt() >= 0 && p.getAsInt() < vocabSize;
        return there ? OptionalInt.of(config.get("pad_token_id").getAsInt()) : OptionalInt.empty();
    }

    /// Causal attention with these heads.
    GroupedQueryAttention.Config attention(boolean bias) {
        return GroupedQueryAttention.Config.causal(hidden_size, num_attention_heads, num_key_value_heads, head_dim,
                bias, attention_dropout);
    }

    /// The keys as `config.json` has them.
    JsonObject json(String architecture, String modelType) {
        JsonObject j = new JsonObject();
        JsonArray architectures = new JsonArray();
        architectures.add(architecture);
        j.add("architectures", architectures);
        j.addProperty("model_type", modelType);
        j.addProperty("vocab_size", vocab_size);
        j.addProperty("hidden_size", hidden_size);
        j.addProperty("intermediate_size", intermediate_size);
        j.addProperty("num_hidden_layers", num_hidden_layers);
        j.addProperty("num_attention_heads", num_attention_heads);
        j.addProperty("num_key_value_heads", num_key_value_heads);
        j.addProperty("head_dim", head_dim);
        j.addProperty("max_position_embeddings", max_position_embeddings);
        j.addProperty("rms_norm_eps", rms_norm_eps);
        j.addProperty("hidden_act", "silu");
        j.addProperty("tie_word_embeddings", tie_word_embeddings);
        j.addProperty("attention_dropout", attention_dropout);
        j.addProperty("initializer_range", initializer_range);
        j.add("pad_token_id", JsonNull.INSTANCE);
        j.addProperty("dtype", "float32");
        return j;
    }
}
