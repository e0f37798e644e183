package dev.deckle.models;

import com.google.gson.JsonObject;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Embedding;
import dev.deckle.nn.ExpertRouter;
import dev.deckle.nn.Init;
import dev.deckle.nn.Linear;
import dev.deckle.nn.MixtureOfExperts;
import dev.deckle.nn.MultiHeadLatentAttention;
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
import java.util.stream.IntStream;

/// The decoder of DeepSeek-V3 (2024): latent attention, then a mixture of experts with one shared by all tokens, after
/// a few dense layers. Weight names and config keys are those of Hugging Face's `DeepseekV3ForCausalLM`. The layers for
/// predicting several tokens, which a checkpoint may hold after the last, are not used.
public final class DeepseekV3 implements LinearHead {
    private static final double LATENT_EPS = 1e-6; // of the norms of the latents, whatever rms_norm_eps is

    /// The keys of `config.json` that decide about the computation.
    ///
    /// @param decoder `head_dim` is that of the rotated part
    /// @param dense how many layers come before the mixtures: `first_k_dense_replace`
    /// @param layout of the rotated part
    /// @param activation of the gate, silu if absent
    record Config(
            DecoderConfig decoder, Rotary rotary, RotaryEmbedding.Layout layout,
            MultiHeadLatentAttention.Config attention, int dense, Experts experts,
            Optional<UnaryOperator<Tensor>> activation) {
        static Config read(ConfigReader c) {
            int rope = c.integer("qk_rope_head_dim", 2, 1 << 14, 64);
            DecoderConfig d = DecoderConfig.read(c, new DecoderConfig.Defaults(0, rope, 4096, false));
            Rotary rotary = Rotary.read(c, d.max_position_embeddings());
            int nope = c.integer("qk_nope_head_dim", 1, 1 << 14, 128);
            // null is a plain matrix for queries, a missing key DeepSeek's own rank
            int queryRank = c.integer("q_lora_rank", 1, 1 << 20, c.json().has("q_lora_rank") ? 0 : 1536);
            var attention = new MultiHeadLatentAttention.Config(d.hidden_size(), d.num_attention_heads(), queryRank,
                    c.integer("kv_lora_rank", 1, 1 << 20, 512), nope, rope, c.integer("v_head_dim", 1, 1 << 14, 128),
                    LATENT_EPS, c.flag("attention_bias", false), rotary.scoreScale() / Math.sqrt(nope + rope));
            if (d.attention_dropout() != 0) {
                throw c.bad("attention_dropout", "0");
            }
            return new Config(d, rotary, c.flag("rope_interleave", true) ? RotaryEmbedding.Layout.INTERLEAVED
                    : RotaryEmbedding.Layout.HALF, attention, c.integer("first_k_dense_replace", 0, 10_000, 3),
                    Experts.read(c), HiddenAct.gate(c, "hidden_act"));
        }
    }

    /// The mixtures' keys.
    record Experts(
            int n_routed_experts, int n_shared_experts, int moe_intermediate_size,
            ExpertRouter.GroupedSigmoid choice) {
        static Experts read(ConfigReader c) {
            // some files have the name of other families
            int n = c.integer(c.has("num_local_experts") ? "num_local_experts" : "n_routed_experts", 1, 1 << 14, 256);
            int groups = c.integer("n_group", 1, n, 8);
            if (n % groups != 0 || n / groups < 2) {
                throw c.bad("n_group", "groups of two or more that divide n_routed_experts " + n);
            }
            int topkGroup = c.integer("topk_group", 1, groups, Math.min(4, groups));
            int k = c.integer("num_experts_per_tok", 1, n / groups * topkGroup, 8);
            return new Experts(n, c.integer("n_shared_experts", 1, 1 << 10, 1),
                    c.integer("moe_intermediate_size", 1, 1 << 20, 2048),
                    new ExpertRouter.GroupedSigmoid(k, c.flag("norm_topk_prob", true), groups, topkGroup,
                            c.real("routed_scaling_factor", 0, Optional.of(2.5))));
        }
    }

    /// Experts of which each token sees a few, and one that all see.
    private record Mixture(MixtureOfExperts routed, SwiGluMlp shared) {
        Tensor forward(Tensor x) {
            return routed.forward(x).add(shared.forward(x));
        }
    }

    /// x + attention(norm(x)), then x + mlp(norm(x)).
    private static final class Layer implements Block {
        private final RmsNorm inputLayernorm;
        private final MultiHeadLatentAttention selfAttn;
        private final RmsNorm postAttentionLayernorm;
        private final UnaryOperator<Tensor> mlp;

        Layer(Weights w, int layer, Config config, RotaryEmbedding rope) {
            DecoderConfig c = config.decoder;
            Init init = Init.normal(c.initializer_range());
            selfAttn = new MultiHeadLatentAttention(w.scope("self_attn"), config.attention, layer, init, rope);
            mlp = layer < config.dense
                    ? mlp(w.scope("mlp"), config, c.intermediate_size(), init)::forward
                    : mixture(w.scope("mlp"), config, init)::forward;
            inputLayernorm = new RmsNorm(w.scope("input_layernorm"), c.hidden_size(), c.rms_norm_eps());
            postAttentionLayernorm = new RmsNorm(w.scope("post_attention_layernorm"), c.hidden_size(),
                    c.rms_norm_eps());
        }

        private static SwiGluMlp mlp(Weights w, Config config, int width, Init init) {
            return new SwiGluMlp(w, config.decoder.hidden_size(), width, false, init, config.activation);
        }

        private static Mixture mixture(Weights w, Config config, Init init) {
            Experts e = config.experts;
            var router = new ExpertRouter(w.scope("gate"), config.decoder.hidden_size(), e.n_routed_experts, e.choice,
                    init);
            var routed = new MixtureOfExperts(router, IntStream.range(0, e.n_routed_experts)
                    .mapToObj(i -> mlp(w.scope("experts").scope(Integer.toString(i)), config, e.moe_intermediate_size,
                            init))
                    .toList());
            return new Mixture(routed, mlp(w.scope("shared_experts"), config,
                    e.moe_intermediate_size * e.n_shared_experts, init));
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

    DeepseekV3(Config config, JsonObject configJson, Weights weights, ModelMemory memory) {
        DecoderConfig c = config.decoder;
        Init init = Init.normal(c.initializer_range());
        RotaryEmbedding rope = config.rotary.embedding(c.head_dim(), config.layout);
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
        weights.ignore(n -> n.startsWith("model.layers." + c.num_hidden_layers() + ".")); // predicts several tokens
        state = new State(configJson, weights.finish(), memory, c.vocab_size(),
                config.rotary.reach(c.max_position_embeddings()), config.rotary.scaling().fixedUpTo(),
                Collections.nCopies(layers.size(), 0));
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
