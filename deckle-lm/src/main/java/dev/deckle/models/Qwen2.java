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
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// The decoder of Qwen 2 and 2.5 (Yang et al. 2024): Llama's with biases of queries, keys and values, and with sliding
/// windows in some layers if the configuration says so. Weight names and config keys are those of Hugging Face's
/// `Qwen2ForCausalLM`.
public final class Qwen2 implements LinearHead {
    /// The keys of `config.json` that decide about the computation.
    ///
    /// @param windows of each layer, 0 for none: `layer_types`, or `sliding_window` from `max_window_layers` on where
    ///     `use_sliding_window` is set
    /// @param activation of the gate, silu if absent
    record Config(
            DecoderConfig decoder, Rotary rotary, List<Integer> windows, Optional<UnaryOperator<Tensor>> activation) {
        static Config read(ConfigReader c) {
            DecoderConfig d = DecoderConfig.read(c, new DecoderConfig.Defaults(32, 0, 32_768, false));
            return new Config(d, Rotary.read(c, d.max_position_embeddings()), windows(c, d.num_hidden_layers()),
                    HiddenAct.gate(c, "hidden_act"));
        }

        static List<Integer> windows(ConfigReader c, int layers) {
            int window = window(c);
            int from = c.integer("max_window_layers", 0, Integer.MAX_VALUE, 28);
            return DecoderConfig.windows(c, layers, window, i -> window > 0 && i >= from);
        }

        static int window(ConfigReader c) {
            int missing = c.json().has("sliding_window") ? 0 : 4096; // null is none
            return c.flag("use_sliding_window", false) ? c.integer("sliding_window", 1, Integer.MAX_VALUE, missing) : 0;
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
                    c.attention(true).withoutOutputBias().withWindow(config.windows.get(layer)), layer, init, rope);
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

    Qwen2(Config config, JsonObject configJson, Weights weights, ModelMemory memory) {
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
                config.windows);
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
