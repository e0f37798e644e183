package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/// DeepSeek's latent attention: the keys and values of all heads are functions of one narrow vector a position, and
/// only that vector is cached. Positions come in through a second, small key that carries the rotation and that all
/// heads share, because a rotation between the two matrices would keep them from being multiplied together.
///
/// With a cache it runs *absorbed*: the matrix that makes keys of the latent is applied to the query instead, so that
/// the latents themselves serve as keys and values of one shared head, and nothing is expanded. Both forms give the
/// same numbers. [LatentQueryAttention] is another thing with a similar name.
///
/// - **Formula**: c = norm(x W_kva); k = [c W_k, rope(x W_kr)], v = c W_v; q = [q_nope, rope(q_rope)] of norm(x W_qa)
///   W_qb; y = concat softmax(q k^T / sqrt(D_nope + D_rope)) v W_o. Absorbed: q' = q_nope W_k^T, scores = q' c^T +
///   q_rope k_r^T, y = (softmax(scores) c) W_v W_o
/// - **Shapes**: x (B, T, hidden), c (B, S, kv_lora_rank), k_r (B, 1, S, D_rope), q (B, H, T, D_nope + D_rope), v
///   (B, H, S, D_v), y (B, T, hidden)
/// - **Cost**: the cache holds kv_lora_rank + D_rope numbers a position, for DeepSeek-V3 576 where multi-head attention
///   would hold 32,768; absorbed, attention costs
///   2 B H T S (2 kv_lora_rank + D_rope) operations, and the cached latents are joined with their keys once a step
/// - **Source**: DeepSeek-V2 (2024), section 2.1; DeepSeek-V3 (2024)
/// - **PyTorch**: Hugging Face's `DeepseekV3Attention` (which expands at every step)
/// - **Classic mistake**: caching the latent before its norm, rotating the latent itself, or the scale of D_nope alone
public final class MultiHeadLatentAttention {
    /// The keys of `config.json` that decide about it.
    ///
    /// @param q_lora_rank width of the query's latent; 0 for one plain matrix `q_proj`
    /// @param attention_bias of the matrices to the latents and of the output's
    /// @param scale of the scores, 1/sqrt(D_nope + D_rope) but for models stretched by YaRN
    public record Config(
            int hidden_size, int num_attention_heads, int q_lora_rank, int kv_lora_rank, int qk_nope_head_dim,
            int qk_rope_head_dim, int v_head_dim, double rms_norm_eps, boolean attention_bias, double scale) {
        /// Without biases, with the usual scale.
        public Config(
                int hidden_size, int num_attention_heads, int q_lora_rank, int kv_lora_rank, int qk_nope_head_dim,
                int qk_rope_head_dim, int v_head_dim, double rms_norm_eps) {
            this(hidden_size, num_attention_heads, q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim,
                    v_head_dim, rms_norm_eps, false, 1 / Math.sqrt(qk_nope_head_dim + qk_rope_head_dim));
        }

        public Config {
            if (num_attention_heads < 1 || kv_lora_rank < 1 || qk_rope_head_dim % 2 != 0) {
                throw new IllegalArgumentException("latent attention needs heads, a kv_lora_rank of at least 1 and an "
                        + "even qk_rope_head_dim, not " + num_attention_heads + ", " + kv_lora_rank + " and "
                        + qk_rope_head_dim);
            }
        }
    }

    private final Config c;
    private final int layer;
    private final Optional<Linear> qProj;
    private final Optional<Linear> qAProj;
    private final Optional<RmsNorm> qANorm;
    private final Optional<Linear> qBProj;
    private final Linear kvAProj; // to kv_lora_rank and the shared rotated key
    private final RmsNorm kvANorm;
    private final Linear kvB; // to H * (D_nope + D_v)
    private final Linear oProj;
    private final RotaryEmbedding rope;
    private final ScaledDotProductAttention attention;

    /// @param layer its place in the KV cache
    /// @param rope of width qk_rope_head_dim; DeepSeek's layout is interleaved
    public MultiHeadLatentAttention(Weights w, Config config, int layer, Init init, RotaryEmbedding rope) {
        c = config;
        this.layer = layer;
        this.rope = rope;
        int heads = c.num_attention_heads;
        int queries = heads * (c.qk_nope_head_dim + c.qk_rope_head_dim);
        boolean narrow = c.q_lora_rank > 0;
        qProj = only(!narrow, () -> new Linear(w.scope("q_proj"), c.hidden_size, queries, false, init));
        qAProj = only(narrow,
                () -> new Linear(w.scope("q_a_proj"), c.hidden_size, c.q_lora_rank, c.attention_bias, init));
        qANorm = only(narrow, () -> new RmsNorm(w.scope("q_a_layernorm"), c.q_lora_rank, c.rms_norm_eps));
        qBProj = only(narrow, () -> new Linear(w.scope("q_b_proj"), c.q_lora_rank, queries, false, init));
        kvAProj = new Linear(w.scope("kv_a_proj_with_mqa"), c.hidden_size, c.kv_lora_rank + c.qk_rope_head_dim,
                c.attention_bias, init);
        kvANorm = new RmsNorm(w.scope("kv_a_layernorm"), c.kv_lora_rank, c.rms_norm_eps);
        kvB = Linear.wide(w.scope("kv_b_proj"), c.kv_lora_rank, heads * (c.qk_nope_head_dim + c.v_head_dim), init);
        oProj = new Linear(w.scope("o_proj"), heads * c.v_head_dim, c.hidden_size, c.attention_bias, init);
        attention = new ScaledDotProductAttention(c.scale, true, new Dropout(0)).roundedLike(oProj);
    }

    private static <T> Optional<T> only(boolean condition, Supplier<T> made) {
        return condition ? Optional.of(made.get()) : Optional.empty();
    }

    /// x (B, T, hidden) to (B, T, hidden), causal: expanded without a cache, absorbed with one.
    public Tensor forward(Tensor x, Pass pass) {
        Tensor q = split(query(x), c.qk_nope_head_dim + c.qk_rope_head_dim); // (B, H, T, D_nope + D_rope)
        Tensor qNope = q.slice(-1, 0, c.qk_nope_head_dim);
        Tensor qRope = rope.rotate(q.slice(-1, c.qk_nope_head_dim, q.dim(-1)), pass);
        Tensor kva = kvAProj.forward(x); // (B, T, kv_lora_rank + D_rope)
        Tensor latent = kvANorm.forward(kva.slice(-1, 0, c.kv_lora_rank)).unsqueeze(1); // (B, 1, T, kv_lora_rank)
        Tensor kRope = rope.rotate(kva.slice(-1, c.kv_lora_rank, kva.dim(-1)).unsqueeze(1), pass);
        Tensor y = pass.cache().isPresent()
                ? absorbed(qNope, qRope, pass.cache().get().append(layer, latent, kRope), pass)
                : expanded(qNope, qRope, latent, kRope, pass); // (B, H, T, D_v)
        return oProj.forward(y.transpose(1, 2).reshape(x.dim(0), x.dim(1), c.num_attention_heads * c.v_head_dim));
    }

    private Tensor query(Tensor x) {
        return qProj.map(q -> q.forward(x))
                .orElseGet(() -> qBProj.orElseThrow().forward(qANorm.orElseThrow().forward(qAProj.orElseThrow()
                        .forward(x))));
    }

    /// Keys and values of all heads, as the formula has them: for training.
    private Tensor expanded(Tensor qNope, Tensor qRope, Tensor latent, Tensor kRope, Pass pass) {
        Tensor kv = split(kvB.forward(latent.squeeze(1)), c.qk_nope_head_dim + c.v_head_dim); // (B, H, T, D_nope + D_v)
        Tensor shared = kRope.expand(kRope.shape().with(1, c.num_attention_heads)); // (B, H, T, D_rope)
        Tensor k = Functional.concat(List.of(kv.slice(-1, 0, c.qk_nope_head_dim), shared), -1);
        Tensor v = kv.slice(-1, c.qk_nope_head_dim, kv.dim(-1));
        Tensor q = Functional.concat(List.of(qNope, qRope), -1);
        return attention.forward(q, k, v, Optional.empty(), pass);
    }

    /// The latents as keys and values of one shared head: for decoding.
    private Tensor absorbed(Tensor qNope, Tensor qRope, KvCache.KeysValues cached, Pass pass) {
        int b = qNope.dim(0);
        Tensor perHead = kvB.weight().reshape(1, c.num_attention_heads, c.qk_nope_head_dim + c.v_head_dim,
                c.kv_lora_rank);
        Tensor wk = perHead.slice(2, 0, c.qk_nope_head_dim); // (1, H, D_nope, kv_lora_rank)
        Tensor wv = perHead.slice(2, c.qk_nope_head_dim, perHead.dim(2)); // (1, H, D_v, kv_lora_rank)
        Tensor latentQuery = qNope.matmul(wk.expand(wk.shape().with(0, b))); // (B, H, T, kv_lora_rank)
        Tensor q = Functional.concat(List.of(latentQuery, qRope), -1);
        Tensor k = Functional.concat(List.of(cached.keys(), cached.values()), -1); // (B, 1, S, kv_lora_rank + D_rope)
        // (B, H, T, kv_lora_rank)
        Tensor gathered = attention.forward(q, k, cached.keys(), pass.mask(q.dim(2), k.dim(2)), pass);
        return gathered.matmul(wv.expand(wv.shape().with(0, b)).t()); // (B, H, T, D_v)
    }

    /// (B, T, H*D) to (B, H, T, D), a view.
    private Tensor split(Tensor x, int width) {
        return x.reshape(x.dim(0), x.dim(1), c.num_attention_heads, width).transpose(1, 2);
    }
}
