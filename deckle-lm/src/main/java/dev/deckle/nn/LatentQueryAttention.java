package dev.deckle.nn;

import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.Optional;

/// Attention in two stages through a few learned queries: these first gather the sequence into a summary of fixed
/// length, and every position then asks the summary.
///
/// The notebook calls this "MHLA" and DeepSeek's. It is not: [MultiHeadLatentAttention] compresses the *width* of each
/// position's keys and values and keeps every position; this compresses the *length* of the sequence and forgets the
/// positions. It is the idea of Perceiver and of set transformers. It cannot be causal: each summary has seen every
/// position.
///
/// - **Formula**: L = softmax(latent_q k^T / sqrt(D)) v; y = softmax(q L^T / sqrt(D)) L W_o
/// - **Shapes**: x (B, T, hidden), latent_q (1, latent_len, hidden), L (B, H, latent_len, D), weights
///   (B, H, T, latent_len), y (B, T, hidden)
/// - **Cost**: 8 B T latent_len hidden operations: linear in T
/// - **Source**: Lee et al. 2019 (Set Transformer's inducing points); Jaegle et al. 2021 (Perceiver)
/// - **PyTorch**: none; Hugging Face's `PerceiverModel` is the nearest
/// - **Classic mistake**: taking it for DeepSeek's latent attention; expanding `latent_q` to four dimensions, as the
///   notebook does, where it has three
public final class LatentQueryAttention {
    private final int heads;
    private final int headDim;
    private final Tensor latentQ; // (1, latent_len, hidden)
    private final Linear qProj;
    private final Linear kProj;
    private final Linear vProj;
    private final Linear oProj;
    private final ScaledDotProductAttention attention;

    public LatentQueryAttention(Weights w, int hiddenSize, int heads, int latentLength, Dropout dropout) {
        if (heads < 1 || hiddenSize % heads != 0) {
            throw new IllegalArgumentException("hidden_size " + hiddenSize + " must be a multiple of heads " + heads);
        }
        this.heads = heads;
        headDim = hiddenSize / heads;
        latentQ = w.get("latent_q", Init.normal(1), 1, latentLength, hiddenSize);
        qProj = new Linear(w.scope("q_proj"), hiddenSize, hiddenSize, true);
        kProj = new Linear(w.scope("k_proj"), hiddenSize, hiddenSize, true);
        vProj = new Linear(w.scope("v_proj"), hiddenSize, hiddenSize, true);
        oProj = new Linear(w.scope("o_proj"), hiddenSize, hiddenSize, true);
        attention = new ScaledDotProductAttention(1 / Math.sqrt(headDim), false, dropout);
    }

    /// @param mask 1 for visible, over the sequence: (B, T); the summary itself is always visible
    public Tensor forward(Tensor x, Optional<Tensor> mask, Pass pass) {
        Tensor latent = summary(x, mask, pass); // (B, H, latent_len, D)
        return join(attention.forward(split(qProj.forward(x)), latent, latent, Optional.empty(), pass));
    }

    /// The same with the weights of the second stage (B, H, T, latent_len).
    public Attended forwardWithWeights(Tensor x, Optional<Tensor> mask, Pass pass) {
        Tensor latent = summary(x, mask, pass);
        Attended a = attention.forwardWithWeights(split(qProj.forward(x)), latent, latent, Optional.empty(), pass);
        return new Attended(join(a.output()), a.weights());
    }

    private Tensor summary(Tensor x, Optional<Tensor> mask, Pass pass) {
        Shape forEach = latentQ.shape().with(0, x.dim(0));
        Tensor q = split(latentQ.expand(forEach)); // (B, H, latent_len, D)
        return attention.forward(q, split(kProj.forward(x)), split(vProj.forward(x)), mask, pass);
    }

    private Tensor split(Tensor x) {
        return x.reshape(x.dim(0), x.dim(1), heads, headDim).transpose(1, 2); // (B, X, hidden) -> (B, H, X, D)
    }

    private Tensor join(Tensor y) {
        return oProj.forward(y.transpose(1, 2).reshape(y.dim(0), y.dim(2), heads * headDim));
    }
}
