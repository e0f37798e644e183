package dev.deckle.models;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Embedding;
import dev.deckle.nn.GroupedQueryAttention;
import dev.deckle.nn.Init;
import dev.deckle.nn.Linear;
import dev.deckle.nn.Pass;
import dev.deckle.nn.RmsNorm;
import dev.deckle.nn.RopeScaling;
import dev.deckle.nn.RotaryEmbedding;
import dev.deckle.nn.SwiGluMlp;
import dev.deckle.nn.Weights;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The decoder of Llama (Touvron et al. 2023): RMSNorm before each half of a block, rotary positions, grouped-query
/// attention, SwiGLU. Weight names and config keys are those of Hugging Face's `LlamaForCausalLM`.
public final class Llama implements CausalLm {
    /// The keys of `config.json` that decide about the computation.
    public record Config(
            int vocab_size,
            int hidden_size,
            int intermediate_size,
            int num_hidden_layers,
            int num_attention_heads,
            int num_key_value_heads,
            int head_dim,
            int max_position_embeddings,
            double rms_norm_eps,
            double rope_theta,
            RopeScaling rope_scaling,
            boolean tie_word_embeddings,
            boolean attention_bias,
            boolean mlp_bias,
            double attention_dropout,
            double initializer_range,
            List<Integer> eos_token_id) {

        public Config {
            require(vocab_size > 0, "vocab_size must be positive, not " + vocab_size);
            require(num_attention_heads > 0 && hidden_size % num_attention_heads == 0 || head_dim > 0,
                    "hidden_size " + hidden_size + " must be a multiple of num_attention_heads " + num_attention_heads);
            require(num_key_value_heads > 0 && num_attention_heads % num_key_value_heads == 0, "num_attention_heads "
                    + num_attention_heads + " must be a multiple of num_key_value_heads " + num_key_value_heads);
            require(head_dim % 2 == 0, "head_dim " + head_dim + " must be even: rotary positions turn pairs");
        }

        private static void require(boolean holds, String otherwise) {
            if (!holds) {
                throw new IllegalArgumentException(otherwise);
            }
        }

        /// A plain configuration of a size, with Hugging Face's defaults for the rest.
        public static Config of(
                int vocabSize, int hiddenSize, int intermediateSize, int layers, int heads, int kvHeads, int context,
                boolean tied, int eos) {
            require(heads > 0 && hiddenSize % heads == 0, "hidden size " + hiddenSize + " must be a multiple of the "
                    + heads + " heads");
            return new Config(vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads, hiddenSize / heads,
                    context, 1e-6, 10_000, new RopeScaling.None(), tied, false, false, 0, 0.02, List.of(eos));
        }

        static Config read(ConfigReader c) {
            int hidden = c.integer("hidden_size", 1, 1 << 20);
            int heads = c.integer("num_attention_heads", 1, 1 << 14);
            if (!c.text("hidden_act", "silu").equals("silu")) {
                throw c.bad("hidden_act", "silu");
            }
            if (!c.has("head_dim") && hidden % heads != 0) {
                throw c.bad("hidden_size", "a multiple of num_attention_heads " + heads);
            }
            int headDim = c.integer("head_dim", 2, 1 << 14, hidden / heads);
            int kvHeads = c.integer("num_key_value_heads", 1, heads, heads);
            if (heads % kvHeads != 0) {
                throw c.bad("num_key_value_heads", "a divisor of num_attention_heads " + heads);
            }
            if (headDim % 2 != 0) {
                throw c.bad("head_dim", "an even number");
            }
            int context = c.integer("max_position_embeddings", 1, Integer.MAX_VALUE / 2);
            // newer files keep theta and scaling together
            ConfigReader rope = c.object("rope_parameters").filter(r -> r.has("rope_theta")).orElse(c);
            if (c.real("attention_dropout", -1e-9, Optional.of(0.0)) >= 1) {
                throw c.bad("attention_dropout", "a number from 0 to below 1");
            }
            return new Config(c.integer("vocab_size", 1, Integer.MAX_VALUE), hidden,
                    c.integer("intermediate_size", 1, 1 << 24), c.integer("num_hidden_layers", 1, 10_000), heads,
                    kvHeads, headDim, context, c.real("rms_norm_eps", 0, Optional.of(1e-6)),
                    rope.real("rope_theta", 1, Optional.of(10_000.0)),
                    c.object("rope_parameters").or(() -> c.object("rope_scaling"))
                            .map(s -> scaling(s, context)).orElse(new RopeScaling.None()),
                    c.flag("tie_word_embeddings", false), c.flag("attention_bias", false), c.flag("mlp_bias", false),
                    c.real("attention_dropout", -1e-9, Optional.of(0.0)),
                    c.real("initializer_range", 0, Optional.of(0.02)), c.integers("eos_token_id"));
        }

        private static RopeScaling scaling(ConfigReader s, int context) {
            String type = s.text("rope_type", s.text("type", "default"));
            double original = s.real("original_max_position_embeddings", 0, Optional.of((double) context));
            return switch (type) {
                case "default" -> new RopeScaling.None();
                case "linear" -> new RopeScaling.Linear(s.real("factor", 0, Optional.empty()));
                case "llama3" -> new RopeScaling.Llama3(s.real("factor", 0, Optional.empty()),
                        s.real("low_freq_factor", 0, Optional.empty()), s.real("high_freq_factor", 0, Optional.empty()),
                        original);
                case "yarn" -> {
                    double factor = s.real("factor", 0, Optional.empty());
                    yield new RopeScaling.Yarn(factor, s.real("beta_fast", 0, Optional.of(32.0)),
                            s.real("beta_slow", 0, Optional.of(1.0)), original, s.flag("truncate", true),
                            s.real("attention_factor", 0,
                                    Optional.of(RopeScaling.Yarn.defaultAttentionFactor(factor))));
                }
                default -> throw s.bad("rope_type", "default, linear, llama3 or yarn");
            };
        }

        JsonObject json() {
            JsonObject j = new JsonObject();
            JsonArray architectures = new JsonArray();
            architectures.add("LlamaForCausalLM");
            j.add("architectures", architectures);
            j.addProperty("model_type", "llama");
            j.addProperty("vocab_size", vocab_size);
            j.addProperty("hidden_size", hidden_size);
            j.addProperty("intermediate_size", intermediate_size);
            j.addProperty("num_hidden_layers", num_hidden_layers);
            j.addProperty("num_attention_heads", num_attention_heads);
            j.addProperty("num_key_value_heads", num_key_value_heads);
            j.addProperty("head_dim", head_dim);
            j.addProperty("max_position_embeddings", max_position_embeddings);
            j.addProperty("rms_norm_eps", rms_norm_eps);
            j.addProperty("rope_theta", rope_theta);
            j.addProperty("hidden_act", "silu");
            j.addProperty("tie_word_embeddings", tie_word_embeddings);
            j.addProperty("attention_bias", attention_bias);
            j.addProperty("mlp_bias", mlp_bias);
            j.addProperty("attention_dropout", attention_dropout);
            j.addProperty("initializer_range", initializer_range);
            if (eos_token_id.size() == 1) {
                j.addProperty("eos_token_id", eos_token_id.getFirst());
                j.addProperty("bos_token_id", eos_token_id.getFirst()); // a document begins after the end of another
            }
            j.add("pad_token_id", JsonNull.INSTANCE);
            j.addProperty("dtype", "float32");
            return j;
        }
    }

    /// x + attention(norm(x)), then x + mlp(norm(x)).
    private static final class Block {
        private final RmsNorm inputLayernorm;
        private final GroupedQueryAttention selfAttn;
        private final RmsNorm postAttentionLayernorm;
        private final SwiGluMlp mlp;

        Block(Weights w, int layer, Config c, RotaryEmbedding rope) {
            Init init = Init.normal(c.initializer_range);
            var attention = new GroupedQueryAttention.Config(c.hidden_size, c.num_attention_heads,
                    c.num_key_value_heads, c.head_dim, c.attention_bias, false, true, c.attention_dropout);
            selfAttn = new GroupedQueryAttention(w.scope("self_attn"), attention, layer, init, rope);
            mlp = new SwiGluMlp(w.scope("mlp"), c.hidden_size, c.intermediate_size, c.mlp_bias, init);
            inputLayernorm = new RmsNorm(w.scope("input_layernorm"), c.hidden_size, c.rms_norm_eps);
            postAttentionLayernorm = new RmsNorm(w.scope("post_attention_layernorm"), c.hidden_size, c.rms_norm_eps);
        }

        Tensor forward(Tensor x, Pass pass) {
            Tensor h = x.add(selfAttn.forward(inputLayernorm.forward(x), pass));
            return h.add(mlp.forward(postAttentionLayernorm.forward(h)));
        }
    }

    private final Config config;
    private final JsonObject configJson;
    private final ModelMemory memory;
    private final Embedding embedTokens;
    private final List<Block> layers = new ArrayList<>();
    private final RmsNorm norm;
    private final Linear lmHead;
    private final Map<String, Tensor> parameters;

    /// A model with parameters from `weights`, whose memory it closes.
    public Llama(Config config, JsonObject configJson, Weights weights, ModelMemory memory) {
        this.config = config;
        this.configJson = configJson;
        this.memory = memory;
        Init init = Init.normal(config.initializer_range);
        RotaryEmbedding rope = new RotaryEmbedding(config.head_dim, config.rope_theta, config.rope_scaling,
                RotaryEmbedding.Layout.HALF);
        Weights model = weights.scope("model");
        embedTokens = new Embedding(model.scope("embed_tokens"), config.vocab_size, config.hidden_size, init);
        for (int i = 0; i < config.num_hidden_layers; i++) {
            layers.add(new Block(model.scope("layers").scope(Integer.toString(i)), i, config, rope));
        }
        norm = new RmsNorm(model.scope("norm"), config.hidden_size, config.rms_norm_eps);
        lmHead = config.tie_word_embeddings
                ? new Linear(embedTokens.weight())
                : new Linear(weights.scope("lm_head"), config.hidden_size, config.vocab_size, false, init);
        // written by some: the head that is tied to the embedding, and frequencies that follow from the configuration
        weights.ignore(n -> n.endsWith(".rotary_emb.inv_freq")
                || config.tie_word_embeddings && n.equals("lm_head.weight"));
        parameters = weights.finish();
    }

    /// A new model, its parameters drawn from `seed`.
    public static Llama create(Config config, long seed) {
        ModelMemory memory = new ModelMemory();
        return new Llama(config, config.json(),
                Weights.init(memory, new Generator(seed)), memory);
    }

    @Override
    public Tensor hidden(Tensor ids, Pass pass) {
        Tensor x = embedTokens.forward(ids); // (B, T, hidden)
        for (Block layer : layers) {
            x = layer.forward(x, pass);
        }
        pass.cache().ifPresent(c -> c.advance(ids.dim(1)));
        return norm.forward(x);
    }

    @Override
    public Tensor head(Tensor hidden) {
        return lmHead.forward(hidden);
    }

    @Override
    public Tensor forward(Tensor ids, Pass pass) {
        return head(hidden(ids, pass)); // (B, T, vocab)
    }

    @Override
    public Map<String, Tensor> parameters() {
        return parameters;
    }

    @Override
    public JsonObject configJson() {
        return configJson;
    }

    @Override
    public int vocabSize() {
        return config.vocab_size;
    }

    @Override
    public int maxPositionEmbeddings() {
        return config.max_position_embeddings;
    }

    @Override
    public void close() {
        memory.close();
    }
}
