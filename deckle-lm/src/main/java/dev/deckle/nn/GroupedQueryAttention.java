package dev.deckle.nn;

import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;

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
    /// @param bias whether the projections have one
    /// @param fusedQkv one matrix `qkv_proj` in place of `q_proj`, `k_proj` and `v_proj`
    /// @param causal whether a position sees only itself and those before it
    /// @param dropout on the weights
    public record Config(
            int hiddenSize, int heads, int kvHeads, int headDim, boolean bias, boolean fusedQkv, boolean causal,
            double dropout) {
        public Config {
            if (heads < 1 || kvHeads < 1 || heads % kvHeads != 0) {
                throw new IllegalArgumentException(heads + " query heads cannot share " + kvHeads
                        + " key and value heads: expected a multiple of kv_heads");
            }
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
            return new Config(hiddenSize, heads, kvHeads, hiddenSize / heads, true, false, false, 0);
        }

        /// The same with one matrix for queries, keys and values.
        public Config withFusedQkv() {
            return new Config(hiddenSize, heads, kvHeads, headDim, bias, true, causal, dropout);
        }
    }

    private final Config c;
    private final int layer;
    private final List<Linear> projections; // query, key, value; or one for all
    private final Linear oProj;
    private final Optional<RotaryEmbedding> rope;
    private final ScaledDotProductAttention attention;

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
                ? List.of(linear(w.scope("qkv_proj"), c.hiddenSize, q + 2 * kv, init))
                : List.of(linear(w.scope("q_proj"), c.hiddenSize, q, init),
                        linear(w.scope("k_proj"), c.hiddenSize, kv, init),
                        linear(w.scope("v_proj"), c.hiddenSize, kv, init));
        oProj = linear(w.scope("o_proj"), q, c.hiddenSize, init);
        attention = new ScaledDotProductAttention(1 / Math.sqrt(c.headDim), c.causal, new Dropout(c.dropout));
    }

    private Linear linear(Weights w, int in, int out, Optional<Init> init) {
        return init.map(i -> new Linear(w, in, out, c.bias, i)).orElseGet(() -> new Linear(w, in, out, c.bias));
    }

    private record Heads(Tensor query, Tensor key, Tensor value) {}

    /// x (B, T, hidden) to (B, T, hidden), every position visible that causality allows.
    public Tensor forward(Tensor x, Pass pass) {
        if (pass.cache().isEmpty()) {
            return forward(x, Optional.empty(), pass);
        }
        Heads a = fresh(x, pass);
        return join(pass.cache().get().attend(layer, a.query, a.key, a.value, attention, pass));
    }

    /// The same under a mask, 1 for visible: (B, S), (B, T, S) or (B, 1 or H, T, S).
    public Tensor forward(Tensor x, Optional<Tensor> mask, Pass pass) {
        Heads a = heads(x, pass);
        return join(attention.forward(a.query, a.key, a.value, mask, pass));
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
        if (pass.cache().isEmpty()) {
            return a;
        }
        KvCache.KeysValues all = pass.cache().get().append(layer, a.key, a.value);
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
        if (rope.isPresent()) {
            query = rope.get().rotate(query, pass);
            key = rope.get().rotate(key, pass);
        }
        return new Heads(query, key, value);
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
