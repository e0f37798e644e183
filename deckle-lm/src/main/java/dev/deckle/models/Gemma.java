package dev.deckle.models;

import com.google.gson.JsonObject;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Dropout;
import dev.deckle.nn.Embedding;
import dev.deckle.nn.GroupedQueryAttention;
import dev.deckle.nn.Init;
import dev.deckle.nn.Linear;
import dev.deckle.nn.Pass;
import dev.deckle.nn.RmsNorm;
import dev.deckle.nn.RotaryEmbedding;
import dev.deckle.nn.ScaledDotProductAttention;
import dev.deckle.nn.SwiGluMlp;
import dev.deckle.nn.Weights;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// The decoders of Gemma (2024) and Gemma 2 (2024): norms whose weights are kept as their distance from 1, embeddings
/// scaled by sqrt(hidden), a GELU gate. Gemma 2 also normalises what leaves each half of a block, caps scores and
/// logits softly, and lets every other layer see a window only. Weight names and config keys are those of Hugging
/// Face's `GemmaForCausalLM` and `Gemma2ForCausalLM`.
public final class Gemma implements CausalLm {
    /// The keys of `config.json` that decide about the computation.
    ///
    /// @param second whether it is Gemma 2
    /// @param scale of the scores
    /// @param windows of each layer, 0 for none
    /// @param attn_logit_softcapping 0 for none
    /// @param final_logit_softcapping 0 for none
    record Config(
            DecoderConfig decoder, Rotary rotary, boolean attention_bias, UnaryOperator<Tensor> activation,
            boolean second, double scale, List<Integer> windows, double attn_logit_softcapping,
            double final_logit_softcapping) {
        static Config readFirst(ConfigReader c) {
            DecoderConfig d = DecoderConfig.read(c, new DecoderConfig.Defaults(16, 256, 8192, true));
            return new Config(d, Rotary.read(c, d.max_position_embeddings()), bias(c),
                    HiddenAct.read(c, "hidden_act", "gelu_pytorch_tanh"), false, 1 / Math.sqrt(d.head_dim()),
                    Collections.nCopies(d.num_hidden_layers(), 0), 0,
                    0);
        }

        static Config readSecond(ConfigReader c) {
            DecoderConfig d = DecoderConfig.read(c, new DecoderConfig.Defaults(4, 256, 8192, true));
            int missing = c.json().has("sliding_window") ? 0 : 4096; // null is none
            int window = c.integer("sliding_window", 1, Integer.MAX_VALUE, missing);
            return new Config(d, Rotary.read(c, d.max_position_embeddings()), bias(c),
                    HiddenAct.read(c, "hidden_activation", "gelu_pytorch_tanh"), true,
                    1 / Math.sqrt(c.real("query_pre_attn_scalar", 0, Optional.of(256.0))),
                    DecoderConfig.windows(c, d.num_hidden_layers(), window, i -> i % 2 == 0),
                    cap(c, "attn_logit_softcapping", 50), cap(c, "final_logit_softcapping", 30));
        }

        private static boolean bias(ConfigReader c) {
            if (c.flag("use_bidirectional_attention", false)) {
                throw c.bad("use_bidirectional_attention", "false: a decoder looks back only");
            }
            return c.flag("attention_bias", false);
        }

        private static double cap(ConfigReader c, String key, double otherwise) {
            return c.real(key, -1e-9, Optional.of(c.json().has(key) ? 0 : otherwise)); // null is none
        }

        private RmsNorm norm(Weights w) {
            return RmsNorm.offset(w, decoder.hidden_size(), decoder.rms_norm_eps());
        }

        private GroupedQueryAttention.Config attention(int layer) {
            return decoder.attention(attention_bias).with(new ScaledDotProductAttention(scale, true,
                    windows.get(layer), attn_logit_softcapping, new Dropout(decoder.attention_dropout())));
        }
    }

    /// x + attention(norm(x)), then x + mlp(norm(x)); Gemma 2 has a norm after each as well as before.
    private static final class Layer implements Block {
        private final RmsNorm inputLayernorm;
        private final GroupedQueryAttention selfAttn;
        private final RmsNorm postAttentionLayernorm; // Gemma's norm before the mlp, Gemma 2's after attention
        private final Optional<RmsNorm> preFeedforwardLayernorm;
        private final SwiGluMlp mlp;
        private final Optional<RmsNorm> postFeedforwardLayernorm;

        Layer(Weights w, int layer, Config config, RotaryEmbedding rope) {
            DecoderConfig c = config.decoder;
            Init init = Init.normal(c.initializer_range());
            selfAttn = new GroupedQueryAttention(w.scope("self_attn"), config.attention(layer), layer, init, rope);
            mlp = new SwiGluMlp(w.scope("mlp"), c.hidden_size(), c.intermediate_size(), false, init,
                    Optional.of(config.activation));
            inputLayernorm = config.norm(w.scope("input_layernorm")).forHalves(selfAttn.takesHalves());
            postAttentionLayernorm = config.norm(w.scope("post_attention_layernorm"))
                    .forHalves(!config.second && mlp.takesHalves());
            preFeedforwardLayernorm = second(config, w, "pre_feedforward_layernorm")
                    .map(n -> n.forHalves(mlp.takesHalves()));
            postFeedforwardLayernorm = second(config, w, "post_feedforward_layernorm");
        }

        private static Optional<RmsNorm> second(Config config, Weights w, String name) {
            return config.second ? Optional.of(config.norm(w.scope(name))) : Optional.empty();
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            Tensor a = selfAttn.forward(inputLayernorm.forward(x), pass);
            if (preFeedforwardLayernorm.isEmpty()) {
                Tensor h = Block.residual(x, a);
                return Block.residual(h, mlp.forward(postAttentionLayernorm.forward(h)));
            }
            Tensor h = Block.residual(x, postAttentionLayernorm.forward(a));
            Tensor y = mlp.forward(preFeedforwardLayernorm.get().forward(h));
            return Block.residual(h, postFeedforwardLayernorm.orElseThrow().forward(y));
        }
    }

    private final State state;
    private final Config config;
    private final Embedding embedTokens;
    private final List<Layer> layers = new ArrayList<>();
    private final RmsNorm norm;
    private final Linear lmHead;

    Gemma(Config config, JsonObject configJson, Weights weights, ModelMemory memory) {
        this.config = config;
        DecoderConfig c = config.decoder;
        Init init = Init.normal(c.initializer_range());
        RotaryEmbedding rope = config.rotary.embedding(c.head_dim(), RotaryEmbedding.Layout.HALF);
        Weights model = weights.scope("model");
        embedTokens = new Embedding(model.scope("embed_tokens"), c.vocab_size(), c.hidden_size(), init,
                DecoderConfig.paddingIndex(configJson, c.vocab_size()));
        for (int i = 0; i < c.num_hidden_layers(); i++) {
            layers.add(new Layer(model.scope("layers").scope(Integer.toString(i)), i, config, rope));
        }
        norm = config.norm(model.scope("norm"));
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
        Tensor x = embedTokens.forward(ids).mul((float) Math.sqrt(config.decoder.hidden_size())); // (B, T, hidden)
        x = Block.forward(layers, x, pass);
        pass.cache().ifPresent(c -> c.advance(ids.dim(1)));
        return norm.forward(x);
    }

    @Override
    public Tensor head(Tensor hidden) {
        Tensor logits = lmHead.forward(hidden);
        double cap = config.final_logit_softcapping;
        return cap > 0 ? logits.mul(1 / cap).tanh().mul(cap) : logits;
    }

    @Override
    public Tensor lossSum(Tensor hidden, Tensor targets, long ignored) {
        return config.final_logit_softcapping > 0
                ? CausalLm.super.lossSum(hidden, targets, ignored)
                : lmHead.crossEntropySum(hidden.reshape(-1, hidden.dim(-1)), targets.reshape(-1), ignored);
    }
}
