package dev.deckle.models;

import com.google.gson.JsonObject;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Embedding;
import dev.deckle.nn.GroupedQueryAttention;
import dev.deckle.nn.Init;
import dev.deckle.nn.Linear;
import dev.deckle.nn.Pass;
import dev.deckle.nn.RmsNorm;
import dev.deckle.nn.RotaryEmbedding;
import dev.deckle.nn.SwiGluMlp;
import dev.deckle.nn.Weights;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// The decoder of Mistral 7B (Jiang et al. 2023): Llama's, where each position sees the last `sliding_window` only, so
/// that its cache stops growing. Weight names and config keys are those of Hugging Face's `MistralForCausalLM`.
public final class Mistral implements LinearHead {
    /// The keys of `config.json` that decide about the computation.
    ///
    /// @param sliding_window 0 for none
    /// @param activation of the gate, silu if absent
    record Config(
            DecoderConfig decoder, Rotary rotary, int sliding_window, Optional<UnaryOperator<Tensor>> activation) {
        static Config read(ConfigReader c) {
            DecoderConfig d = DecoderConfig.read(c, new DecoderConfig.Defaults(8, 0, 131_072, false));
            int missing = c.json().has("sliding_window") ? 0 : 4096; // null is none
            return new Config(d, Rotary.read(c, d.max_position_embeddings()),
                    c.integer("sliding_window", 1, Integer.MAX_VALUE, missing), HiddenAct.gate(c, "hidden_act"));
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
            selfAttn = new GroupedQueryAttention(w.scope("self_attn"),
                    c.attention(false).withWindow(config.sliding_window), layer, init, rope);
            mlp = new SwiGluMlp(w.scope("mlp"), c.hidden_size(), c.intermediate_size(), false, init,
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

    Mistral(Config config, JsonObject configJson, Weights weights, ModelMemory memory) {
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
                Collections.nCopies(layers.size(), config.sliding_window));
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
