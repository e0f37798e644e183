package dev.deckle.nn;

import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/// Multi-head, grouped-query and multi-query attention: the same class with as many key and value heads as query heads,
/// with fewer, and with one. Fewer key heads make the KV cache smaller, which decoding is bound by.
///
/// The notebook's interview version of multi-head attention projects keys and values with the query's matrix
/// (`K = query_proj(X)`): every head then asks for itself, the scores are symmetric, and two of the three matrices are
/// never trained.
///
/// - **Formula**: head h = softmax(q_h k_g^T / sqrt(D)) v_g with g = h / (H/G), rounded down; y = concat(heads) W_o
/// - **Shapes**: x (B, T, hidden), q (B, H, T, D), k and v (B, G, S, D), weights (B, H, T, S), y (B, T, hidden)
/// - **Cost**: projections 4 B T hidden D (H + G) operations, attention 4 B H T S D; the cache holds 2 G D numbers a
///   position
/// - **Source**: Vaswani et al. 2017 (G = H); Shazeer 2019 (G = 1); Ainslie et al. 2023
/// - **PyTorch**: `nn.MultiheadAttention` for G = H; Hugging Face's `LlamaAttention`
/// - **Classic mistake**: `reshape(B, H, T, D)` without the transpose, which mixes positions into heads; sharing key
///   heads by tiling in place of interleaving
public final class GroupedQueryAttention {
    /// The sizes and kinds of one attention layer.
    ///
    /// @param heads query heads H
    /// @param kvHeads key and value heads G, which divides H
    /// @param headDim D
    /// @param bias whether the projections of queries, keys and values have one
    /// @param outputBias whether the output's projection has one
    /// @param fusedQkv one matrix `qkv_proj` in place of `q_proj`, `k_proj` and `v_proj`
    /// @param qkNormEps if present, queries and keys are normalised head by head before they are rotated (`q_norm` and
    ///     `k_norm`, Qwen 3)
    /// @param attention on the heads
    public record Config(
            int hiddenSize, int heads, int kvHeads, int headDim, boolean bias, boolean outputBias, boolean fusedQkv,
            OptionalDouble qkNormEps, ScaledDotProductAttention attention) {
        public Config {
            if (heads < 1 || kvHeads < 1 || heads % kvHeads != 0) {
                throw new IllegalArgumentException(heads + " query heads cannot share " + kvHeads
                        + " key and value heads: expected a multiple of kv_heads");
            }
        }

        /// A layer of a decoder: causal, with the scale 1/sqrt(headDim), without a norm of queries and keys.
        public static Config causal(
                int hiddenSize, int heads, int kvHeads, int headDim, boolean bias, double dropout) {
            return new Config(hiddenSize, heads, kvHeads, headDim, bias, bias, false, OptionalDouble.empty(),
                    new ScaledDotProductAttention(1 / Math.sqrt(headDim), true, new Dropout(dropout)));
        }

        /// Multi-head attention as the notebook has it: bidirectional, with biases.
        public static Config multiHead(int hiddenSize, int heads) {
            return grouped(hiddenSize, heads, heads);
        }

        /// All query heads share one key and value head.
        public static Config multiQuery(int hiddenSize, int heads) {
            return grouped(hiddenSize, heads, 1);
        }

        /// @throws IllegalArgumentException if heads do not divide hiddenSize, or kvHeads heads
        public static Config grouped(int hiddenSize, int heads, int kvHeads) {
            if (heads < 1 || hiddenSize % heads != 0) {
                throw new IllegalArgumentException("hidden_size " + hiddenSize + " must be a multiple of heads "
                        + heads);
            }
            int headDim = hiddenSize / heads;
            return new Config(hiddenSize, heads, kvHeads, headDim, true, true, false, OptionalDouble.empty(),
                    new ScaledDotProductAttention(1 / Math.sqrt(headDim), false, new Dropout(0)));
        }

        /// The same with one matrix for queries, keys and values.
        public Config withFusedQkv() {
            return new Config(hiddenSize, heads, kvHeads, headDim, bias, outputBias, true, qkNormEps, attention);
        }

        /// The same without a bias of the output's projection (Qwen 2).
        public Config withoutOutputBias() {
            return new Config(hiddenSize, heads, kvHeads, headDim, bias, false, fusedQkv, qkNormEps, attention);
        }

        /// The same with norms of queries and keys (Qwen 3).
        public Config withQkNorm(double eps) {
            return new Config(hiddenSize, heads, kvHeads, headDim, bias, outputBias, fusedQkv, OptionalDouble.of(eps),
                    attention);
        }

        /// The same where a position sees the last `window` only (Mistral); 0 for all.
        public Config withWindow(int window) {
            return with(new ScaledDotProductAttention(attention.scale(), attention.causal(), window,
                    attention.softcap(), attention.dropout()));
        }

        /// The same with another attention on the heads.
        public Config with(ScaledDotProductAttention other) {
            return new Config(hiddenSize, heads, kvHeads, headDim, bias, outputBias, fusedQkv, qkNormEps, other);
        }
    }

    private final Config c;
    private final int layer;
    private final List<Linear> projections; // query, key, value; or one for all
    private final Linear oProj;
    private final ScaledDotProductAttention attention;
    private final Optional<RmsNorm> qNorm;
    private final Optional<RmsNorm> kNorm;
    private final Optional<RotaryEmbedding> rope;

    /// A layer of a decoder.
    ///
    /// @param layer its place in the KV cache
    /// @param init of the matrices; biases start at 0
    /// @param rope turns queries and keys by their positions
    public GroupedQueryAttention(Weights w, Config config, int layer, Init init, RotaryEmbedding rope) {
        this(w, config, layer, Optional.of(init), Optional.of(rope));
    }

    /// A layer by itself, with PyTorch's initial values and without positions.
    public GroupedQueryAttention(Weights w, Config config) {
        this(w, config, 0, Optional.empty(), Optional.empty());
    }

    private GroupedQueryAttention(
            Weights w, Config config, int layer, Optional<Init> init, Optional<RotaryEmbedding> rope) {
        c = config;
        this.layer = layer;
        this.rope = rope;
        int q = c.heads * c.headDim;
        int kv = c.kvHeads * c.headDim;
        projections = c.fusedQkv
                ? List.of(linear(w.scope("qkv_proj"), c.hiddenSize, q + 2 * kv, c.bias, init))
                : List.of(linear(w.scope("q_proj"), c.hiddenSize, q, c.bias, init),
                        linear(w.scope("k_proj"), c.hiddenSize, kv, c.bias, init),
                        linear(w.scope("v_proj"), c.hiddenSize, kv, c.bias, init));
        oProj = linear(w.scope("o_proj"), q, c.hiddenSize, c.outputBias, init);
        attention = c.attention.roundedLike(oProj);
        qNorm = norm(w.scope("q_norm"));
        kNorm = norm(w.scope("k_norm"));
    }

    private static Linear linear(Weights w, int in, int out, boolean bias, Optional<Init> init) {
        return init.map(i -> new Linear(w, in, out, bias, i)).orElseGet(() -> new Linear(w, in, out, bias));
    }

    private Optional<RmsNorm> norm(Weights w) {
        return c.qkNormEps.isEmpty() ? Optional.empty()
                : Optional.of(new RmsNorm(w, c.headDim,
                        c.qkNormEps.getAsDouble()));
    }

    /// Whether x may be of BF16, see [Linear#takesHalves].
    public boolean takesHalves() {
        return projections.stream().allMatch(Linear::takesHalves);
    }

    private record Heads(Tensor query, Tensor key, Tensor value) {}

    /// x (B, T, hidden) to (B, T, hidden), every position visible that causality allows.
    public Tensor forward(Tensor x, Pass pass) {
        Heads a = fresh(x, pass);
        return join(pass.attend(layer, a.query, a.key, a.value, attention));
    }

    /// The same under a mask, 1 for visible: (B, S), (B, T, S) or (B, 1 or H, T, S).
    public Tensor forward(Tensor x, Optional<Tensor> mask, Pass pass) {
        Heads a = heads(x, pass);
        Optional<Tensor> there = mask.isPresent() ? mask : pass.mask(x.dim(1), a.key.dim(2));
        return join(attention.forward(a.query, a.key, a.value, there, pass));
    }

    /// The same step by step, with the weights (B, H, T, S).
    public Attended forwardWithWeights(Tensor x, Optional<Tensor> mask, Pass pass) {
        Heads a = heads(x, pass);
        Attended y = attention.forwardWithWeights(a.query, a.key, a.value, mask, pass);
        return new Attended(join(y.output()), y.weights());
    }

    /// Query, and the keys and values of all positions.
    private Heads heads(Tensor x, Pass pass) {
        Heads a = fresh(x, pass);
        KvCache.KeysValues all = pass.append(layer, a.key, a.value);
        return new Heads(a.query, all.keys(), all.values()); // (B, G, S, D)
    }

    /// Query, key and value of x.
    private Heads fresh(Tensor x, Pass pass) {
        int q = c.heads * c.headDim;
        int kv = c.kvHeads * c.headDim;
        Tensor first = projections.getFirst().forward(x);
        Tensor query = split(c.fusedQkv ? first.slice(-1, 0, q) : first, c.heads); // (B, H, T, D)
        Tensor key = split(c.fusedQkv ? first.slice(-1, q, q + kv) : projections.get(1).forward(x), c.kvHeads);
        Tensor value = split(c.fusedQkv ? first.slice(-1, q + kv, q + 2 * kv) : projections.get(2).forward(x),
                c.kvHeads); // (B, G, T, D)
        if (qNorm.isPresent()) {
            query = qNorm.get().forward(query);
            key = kNorm.orElseThrow().forward(key);
        }
        if (rope.isPresent()) {
            query = rotated(query, pass);
            key = rotated(key, pass);
        }
        return new Heads(query, key, value);
    }

    /// By its positions. What is rotated is read no more.
    private Tensor rotated(Tensor x, Pass pass) {
        Tensor y = rope.orElseThrow().rotate(x, pass);
        x.giveUp();
        return y;
    }

    /// (B, T, heads*D) to (B, heads, T, D), a view.
    private Tensor split(Tensor x, int heads) {
        return x.reshape(x.dim(0), x.dim(1), heads, c.headDim).transpose(1, 2);
    }

    /// (B, H, T, D) to (B, T, H*D), through the output projection.
    private Tensor join(Tensor y) {
        return oProj.forward(y.transpose(1, 2).reshape(y.dim(0), y.dim(2), c.heads * c.headDim));
    }
}
