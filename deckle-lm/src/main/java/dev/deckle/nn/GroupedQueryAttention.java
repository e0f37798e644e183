package dev.deckle.nn;

import dev.deckle.autograd.Definitions;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Optional;

/// Causal self-attention in which several query heads share one key and value head (Ainslie et al. 2023); with as many
/// key heads as query heads it is multi-head attention (Vaswani et al. 2017), with one it is multi-query attention
/// (Shazeer 2019). Query head h reads key head h / (H/G). Hugging Face's `LlamaAttention`.
public final class GroupedQueryAttention {
    private final int layer;
    private final int heads; // H
    private final int kvHeads; // G
    private final int headDim; // D
    private final Linear qProj;
    private final Linear kProj;
    private final Linear vProj;
    private final Linear oProj;
    private final RotaryEmbedding rope;
    private final Dropout dropout;

    /// @param layer this layer's place in the KV cache
    public GroupedQueryAttention(
            Weights w, int layer, int hiddenSize, int heads, int kvHeads, int headDim, boolean bias, Init init,
            RotaryEmbedding rope, Dropout dropout) {
        this.layer = layer;
        this.heads = heads;
        this.kvHeads = kvHeads;
        this.headDim = headDim;
        this.rope = rope;
        this.dropout = dropout;
        qProj = new Linear(w.scope("q_proj"), hiddenSize, heads * headDim, bias, init);
        kProj = new Linear(w.scope("k_proj"), hiddenSize, kvHeads * headDim, bias, init);
        vProj = new Linear(w.scope("v_proj"), hiddenSize, kvHeads * headDim, bias, init);
        oProj = new Linear(w.scope("o_proj"), heads * headDim, hiddenSize, bias, init);
    }

    /// x (B, T, hidden) to (B, T, hidden).
    public Tensor forward(Tensor x, Pass pass) {
        int from = pass.position();
        Tensor q = rope.rotate(split(qProj.forward(x), heads), from); // (B, H, T, D)
        Tensor k = rope.rotate(split(kProj.forward(x), kvHeads), from); // (B, G, T, D)
        Tensor v = split(vProj.forward(x), kvHeads); // (B, G, T, D)
        if (pass.cache().isPresent()) {
            KvCache.KeysValues all = pass.cache().get().append(layer, k, v);
            k = all.keys(); // (B, G, S, D)
            v = all.values();
        }
        double scale = 1 / Math.sqrt(headDim);
        Tensor y = dropout.p() > 0 && pass.random().isPresent()
                ? withDropout(q, k, v, scale, pass)
                : Functional.attention(q, k, v, Optional.empty(), true, scale); // (B, H, T, D)
        Tensor joined = y.transpose(1, 2).reshape(x.dim(0), x.dim(1), heads * headDim); // (B, T, H*D)
        return oProj.forward(joined);
    }

    /// (B, T, heads*D) to (B, heads, T, D), a view.
    private Tensor split(Tensor x, int heads) {
        return x.reshape(x.dim(0), x.dim(1), heads, headDim).transpose(1, 2);
    }

    /// Dropout acts on the weights, which the fused kernel never stores: the textbook's steps instead.
    private Tensor withDropout(Tensor q, Tensor k, Tensor v, double scale, Pass pass) {
        int group = heads / kvHeads;
        Tensor keys = Definitions.repeatHeads(k, group);
        Tensor scores = q.matmul(keys.t()).mul(scale).add(Definitions.causalMask(q.dtype(), q.dim(2), k.dim(2)));
        Tensor weights = dropout.forward(scores.softmax(-1), pass); // (B, H, T, S)
        return weights.matmul(Definitions.repeatHeads(v, group));
    }
}
