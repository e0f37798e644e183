package dev.deckle.models;

import com.google.gson.JsonObject;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Embedding;
import dev.deckle.nn.GroupedQueryAttention;
import dev.deckle.nn.Init;
import dev.deckle.nn.Linear;
import dev.deckle.nn.ParameterHome;
import dev.deckle.nn.Pass;
import dev.deckle.nn.RmsNorm;
import dev.deckle.nn.RotaryEmbedding;
import dev.deckle.nn.SwiGluMlp;
import dev.deckle.nn.Weights;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// The decoder of Llama (Touvron et al. 2023): RMSNorm before each half of a block, rotary positions, grouped-query
/// attention, SwiGLU. Weight names and config keys are those of Hugging Face's `LlamaForCausalLM`.
public final class Llama implements LinearHead {
    /// The keys of `config.json` that decide about the computation.
    ///
    /// @param activation of the gate, silu if absent
    public record Config(
            DecoderConfig decoder, Rotary rotary, boolean attention_bias, boolean mlp_bias,
            Optional<UnaryOperator<Tensor>> activation) {
        /// A plain configuration of a size, with Hugging Face's defaults for the rest.
        public static Config of(
                int vocabSize, int hiddenSize, int intermediateSize, int layers, int heads, int kvHeads, int context,
                boolean tied) {
            return new Config(DecoderConfig.of(vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads, context,
                    tied), Rotary.plain(10_000), false, false, Optional.empty());
        }

        static Config read(ConfigReader c) {
            DecoderConfig d = DecoderConfig.read(c, new DecoderConfig.Defaults(0, 0, 2048, false));
            return new Config(d, Rotary.read(c, d.max_position_embeddings()), c.flag("attention_bias", false),
                    c.flag("mlp_bias", false), HiddenAct.gate(c, "hidden_act"));
        }

        /// For a new model, whose rotary positions are not stretched.
        JsonObject json(int eosTokenId) {
            JsonObject j = decoder.json("LlamaForCausalLM", "llama");
            j.addProperty("rope_theta", rotary.theta());
            j.addProperty("attention_bias", attention_bias);
            j.addProperty("mlp_bias", mlp_bias);
            j.addProperty("eos_token_id", eosTokenId);
            j.addProperty("bos_token_id", eosTokenId); // a document begins after the end of another
            return j;
        }
    }

    /// x + attention(norm(x)), then x + mlp(norm(x)).
    private static final class Layer implements Block {
        private final RmsNorm inputLayernorm;
        private final GroupedQueryAttention selfAttn;
        private final RmsNorm postAttentionLayernorm;
        private final SwiGluMlp mlp;

        Layer(Weights w, int layer, Config config, RotaryEmbedding rope) {
            DecoderConfig c = config.decoder;
            Init init = Init.normal(c.initializer_range());
            selfAttn = new GroupedQueryAttention(w.scope("self_attn"), c.attention(config.attention_bias), layer, init,
                    rope);
            mlp = new SwiGluMlp(w.scope("mlp"), c.hidden_size(), c.intermediate_size(), config.mlp_bias, init,
                    config.activation);
            inputLayernorm = new RmsNorm(w.scope("input_layernorm"), c.hidden_size(), c.rms_norm_eps())
                    .forHalves(selfAttn.takesHalves());
            postAttentionLayernorm = new RmsNorm(w.scope("post_attention_layernorm"), c.hidden_size(),
                    c.rms_norm_eps()).forHalves(mlp.takesHalves());
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            Tensor h = Block.residual(x, selfAttn.forward(inputLayernorm.forward(x), pass));
            return Block.residual(h, mlp.forward(postAttentionLayernorm.forward(h)));
        }
    }

    private final State state;
    private final Embedding embedTokens;
    private final List<Layer> layers = new ArrayList<>();
    private final RmsNorm norm;
    private final Linear lmHead;

    Llama(Config config, JsonObject configJson, Weights weights, ModelMemory memory) {
        DecoderConfig c = config.decoder;
        Init init = Init.normal(c.initializer_range());
        RotaryEmbedding rope = config.rotary.embedding(c.head_dim(), RotaryEmbedding.Layout.HALF);
        Weights model = weights.scope("model");
        embedTokens = new Embedding(model.scope("embed_tokens"), c.vocab_size(), c.hidden_size(), init,
                DecoderConfig.paddingIndex(configJson, c.vocab_size()));
        for (int i = 0; i < c.num_hidden_layers(); i++) {
            layers.add(new Layer(model.scope("layers").scope(Integer.toString(i)), i, config, rope));
        }
        norm = new RmsNorm(model.scope("norm"), c.hidden_size(), c.rms_norm_eps());
        lmHead = c.tie_word_embeddings()
                ? new Linear(weights.tied("lm_head.weight", embedTokens.weight()))
                : new Linear(weights.scope("lm_head"), c.hidden_size(), c.vocab_size(), false, init);
        state = new State(configJson, weights.finish(), memory, c.vocab_size(),
                config.rotary.reach(c.max_position_embeddings()), config.rotary.scaling().fixedUpTo(),
                Collections.nCopies(layers.size(), 0));
    }

    /// A new model, its parameters drawn from `seed`.
    ///
    /// @param eosTokenId the token that ends a text
    public static Llama create(Config config, int eosTokenId, long seed) {
        ModelMemory memory = new ModelMemory();
        return new Llama(config, config.json(eosTokenId), Weights.init(memory, new Generator(seed)), memory);
    }

    /// The same model with parameters that live in a home of their own.
    public static Llama create(Config config, int eosTokenId, long seed, ParameterHome home) {
        ModelMemory memory = new ModelMemory();
        return new Llama(config, config.json(eosTokenId), Weights.init(memory, new Generator(seed), home), memory);
    }

    /// Tells a home of the parameters of such a model, which is not made.
    public static void describe(Config config, ParameterHome home) {
        try (ModelMemory memory = new ModelMemory()) {
            new Llama(config, config.json(0), Weights.described(memory, home), memory);
        }
    }

    /// A model that runs with parameters that are there, by their names in a checkpoint.
    ///
    /// @param memory theirs, which the model closes
    public static Llama of(Config config, int eosTokenId, Map<String, Tensor> parameters, ModelMemory memory) {
        return new Llama(config, config.json(eosTokenId), Weights.load(memory, parameters), memory);
    }

    @Override
    public State state() {
        return state;
    }

    @Override
    public Tensor hidden(Tensor ids, Pass pass) {
        Tensor x = embedTokens.forward(ids); // (B, T, hidden)
        x = Block.forward(layers, x, pass);
        pass.cache().ifPresent(c -> c.advance(ids.dim(1)));
        return norm.forward(x);
    }

    @Override
    public Linear lmHead() {
        return lmHead;
    }
}
