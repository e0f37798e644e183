package dev.deckle.models;

import com.google.gson.JsonObject;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Embedding;
import dev.deckle.nn.ExpertRouter;
import dev.deckle.nn.GroupedQueryAttention;
import dev.deckle.nn.Init;
import dev.deckle.nn.Linear;
import dev.deckle.nn.MixtureOfExperts;
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
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/// The decoder of Qwen 3 (Yang et al. 2025): Llama's, with norms of queries and keys head by head; in its form with a
/// mixture of experts most feed-forward networks are [MixtureOfExperts]. Weight names and config keys are those of
/// Hugging Face's `Qwen3ForCausalLM` and `Qwen3MoeForCausalLM`.
public final class Qwen3 implements LinearHead {
    /// The keys of `config.json` that decide about the computation.
    ///
    /// @param windows of each layer, 0 for none
    /// @param experts of each layer with a mixture; absent for a dense model
    /// @param sparse whether a layer has a mixture
    /// @param activation of the gate, silu if absent
    record Config(
            DecoderConfig decoder, Rotary rotary, boolean attention_bias, List<Integer> windows,
            Optional<Experts> experts, IntPredicate sparse, Optional<UnaryOperator<Tensor>> activation) {
        static Config readDense(ConfigReader c) {
            return read(c, 32, 128, Optional.empty(), _ -> false);
        }

        static Config readMixture(ConfigReader c) {
            int layers = c.integer("num_hidden_layers", 1, 10_000);
            int step = c.integer("decoder_sparse_step", 1, layers, 1);
            List<Integer> dense = c.integers("mlp_only_layers");
            return read(c, 4, 0, Optional.of(Experts.read(c)),
                    i -> !dense.contains(i) && (i + 1) % step == 0);
        }

        private static Config read(
                ConfigReader c, int kvHeads, int headDim, Optional<Experts> experts, IntPredicate sparse) {
            DecoderConfig d = DecoderConfig.read(c, new DecoderConfig.Defaults(kvHeads, headDim, 32_768, false));
            List<Integer> windows = experts.isEmpty() ? Qwen2.Config.windows(c, d.num_hidden_layers())
                    : Collections.nCopies(d.num_hidden_layers(), Qwen2.Config.window(c)); // a mixture's are all alike
            return new Config(d, Rotary.read(c, d.max_position_embeddings()), c.flag("attention_bias", false), windows,
                    experts, sparse, HiddenAct.gate(c, "hidden_act"));
        }
    }

    /// The mixtures' keys.
    record Experts(int num_experts, int num_experts_per_tok, int moe_intermediate_size, boolean norm_topk_prob) {
        static Experts read(ConfigReader c) {
            // written by transformers 5 under another name
            int n = c.integer(c.has("num_experts") ? "num_experts" : "num_local_experts", 1, 1 << 14, 128);
            return new Experts(n, c.integer("num_experts_per_tok", 1, n, 8),
                    c.integer("moe_intermediate_size", 1, 1 << 24, 768), c.flag("norm_topk_prob", false));
        }
    }

    /// x + attention(norm(x)), then x + mlp(norm(x)).
    private static final class Layer implements Block {
        private final RmsNorm inputLayernorm;
        private final GroupedQueryAttention selfAttn;
        private final RmsNorm postAttentionLayernorm;
        private final UnaryOperator<Tensor> mlp;

        Layer(Weights w, int layer, Config config, RotaryEmbedding rope) {
            DecoderConfig c = config.decoder;
            Init init = Init.normal(c.initializer_range());
            selfAttn = new GroupedQueryAttention(w.scope("self_attn"),
                    c.attention(config.attention_bias)
                            .withQkNorm(c.rms_norm_eps())
                            .withWindow(config.windows.get(layer)),
                    layer, init, rope);
            mlp = config.sparse.test(layer)
                    ? mixture(w.scope("mlp"), config, config.experts.orElseThrow(), init)::forward
                    : mlp(w.scope("mlp"), config, c.intermediate_size(), init)::forward;
            inputLayernorm = new RmsNorm(w.scope("input_layernorm"), c.hidden_size(), c.rms_norm_eps())
                    .forHalves(selfAttn.takesHalves());
            postAttentionLayernorm = new RmsNorm(w.scope("post_attention_layernorm"), c.hidden_size(),
                    c.rms_norm_eps());
        }

        private static SwiGluMlp mlp(Weights w, Config config, int width, Init init) {
            return new SwiGluMlp(w, config.decoder.hidden_size(), width, false, init, config.activation);
        }

        private static MixtureOfExperts mixture(Weights w, Config config, Experts e, Init init) {
            var router = new ExpertRouter(w.scope("gate"), config.decoder.hidden_size(), e.num_experts,
                    new ExpertRouter.Softmax(e.num_experts_per_tok, e.norm_topk_prob), init);
            return new MixtureOfExperts(router, IntStream.range(0, e.num_experts)
                    .mapToObj(i -> mlp(w.scope("experts").scope(Integer.toString(i)), config, e.moe_intermediate_size,
                            init))
                    .toList());
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            Tensor h = Block.residual(x, selfAttn.forward(inputLayernorm.forward(x), pass));
            return Block.residual(h, mlp.apply(postAttentionLayernorm.forward(h)));
        }
    }

    private final State state;
    private final Embedding embedTokens;
    private final List<Layer> layers = new ArrayList<>();
    private final RmsNorm norm;
    private final Linear lmHead;

    Qwen3(Config config, JsonObject configJson, Weights weights, ModelMemory memory) {
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
