package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Attention itself, without projections: each query takes a mean of the values, weighted by how well it fits the keys.
///
/// [#forward] runs the fused kernel, which never stores the weights; [#forwardWithWeights] writes the steps out and
/// returns them. Query heads that share a key head are laid side by side as one tall matrix, so that shared keys are
/// never repeated in memory.
///
/// - **Formula**: y = softmax(q k^T scale + mask) v, scale = 1/sqrt(D)
/// - **Shapes**: q (B, H, T, D), k (B, G, S, D), v (B, G, S, E), H a multiple of G; mask (B, S), (B, T, S) or
///   (B, 1 or H, T, S), 1 for visible; y (B, H, T, E)
/// - **Cost**: 2 B H T S (D + E) operations; the fused kernel's memory grows with T + S, the written-out steps' with T
///   S
/// - **Source**: Vaswani et al. 2017; Dao 2023 (the kernel); Ainslie et al. 2023 (shared keys)
/// - **PyTorch**: `F.scaled_dot_product_attention(enable_gqa=True)`, whose `is_causal` is top-left where T != S
/// - **Classic mistake**: no scale, softmax over the queries, keys tiled (head h reads key head h mod G) in place of
///   interleaved (h / (H/G)), or a causal mask aligned top-left while decoding with a cache
///
/// @param scale multiplies the scores
/// @param causal query i sees keys up to i + S - T
/// @param window how many of these it sees, the last ones; 0 for all
/// @param softcap scores become softcap tanh(score / softcap) (Gemma 2); 0 for as they are
/// @param rounded whether the fused kernel rounds all that it multiplies to BF16, where there is no cache
/// @param dropout acts on the weights
public record ScaledDotProductAttention(
        double scale, boolean causal, int window, double softcap, boolean rounded, Dropout dropout) {
    public ScaledDotProductAttention(double scale, boolean causal, int window, double softcap, Dropout dropout) {
        this(scale, causal, window, softcap, false, dropout);
    }

    /// Without a window and a cap.
    public ScaledDotProductAttention(double scale, boolean causal, Dropout dropout) {
        this(scale, causal, 0, 0, dropout);
    }

    /// The same, rounded as the products of this layer are: where its weights are of BF16.
    public ScaledDotProductAttention roundedLike(Linear layer) {
        return new ScaledDotProductAttention(scale, causal, window, softcap, layer.rounds(), dropout);
    }

    /// Through the fused kernel, unless dropout or a cap acts on the scores that it never stores.
    public Tensor forward(Tensor q, Tensor k, Tensor v, Optional<Tensor> mask, Pass pass) {
        if (!pass.lengths().isEmpty()) {
            return each(q, k, v, mask, pass);
        }
        if (softcap > 0 || dropout.p() > 0 && pass.random().isPresent()) {
            return forwardWithWeights(q, k, v, mask, pass).output();
        }
        return Functional.attention(q, k, v, mask.map(m -> AttentionMask.additive(visible(m, q, k), q.dtype())), causal,
                window, scale, rounded && pass.cache().isEmpty());
    }

    /// Of sequences that stand end to end in one row, each by itself: what a mask of blocks on the diagonal says,
    /// without the work of the scores that it hides.
    private Tensor each(Tensor q, Tensor k, Tensor v, Optional<Tensor> mask, Pass pass) {
        int tokens = pass.lengths().stream().mapToInt(n -> n).sum();
        if (mask.isPresent() || q.dim(0) != 1 || q.dim(2) != tokens || k.dim(2) != tokens) {
            throw new IllegalArgumentException("attention of " + pass.lengths().size() + " sequences in a row of "
                    + tokens + " takes one row and no mask, not q " + q.shape() + ", k " + k.shape());
        }
        Pass alone = pass.packed(List.of());
        List<Tensor> parts = new ArrayList<>();
        int from = 0;
        for (int n : pass.lengths()) {
            int to = from + n;
            parts.add(forward(q.slice(2, from, to), k.slice(2, from, to), v.slice(2, from, to), mask, alone));
            from = to;
        }
        return Functional.concat(parts, 2);
    }

    /// Step by step.
    public Attended forwardWithWeights(Tensor q, Tensor k, Tensor v, Optional<Tensor> mask, Pass pass) {
        int[] d = q.shape().toArray();
        int s = k.dim(2);
        Tensor scores = byKeyHead(q, k).matmul(k.t()).mul(scale); // (B, G, H/G*T, S)
        scores = scores.reshape(d[0], d[1], d[2], s); // (B, H, T, S)
        if (softcap > 0) {
            scores = scores.mul(1 / softcap).tanh().mul(softcap);
        }
        Optional<Tensor> sees = mask.map(m -> visible(m, q, k));
        if (causal) {
            Tensor past = AttentionMask.causal(d[2], s, window);
            sees = Optional.of(sees.map(seen -> seen.where(past, past)).orElse(past)); // both
        }
        Tensor all = scores;
        Tensor weights = sees.map(seen -> AttentionMask.softmax(all, seen)).orElseGet(() -> all.softmax(-1));
        Tensor y = byKeyHead(dropout.forward(weights, pass), k).matmul(v); // (B, G, H/G*T, E)
        return new Attended(y.reshape(d[0], d[1], d[2], v.dim(3)), weights); // (B, H, T, E)
    }

    private static Tensor visible(Tensor mask, Tensor q, Tensor k) {
        return AttentionMask.visible(mask, q.dim(0), q.dim(1), q.dim(2), k.dim(2));
    }

    /// (B, H, T, X) to (B, G, H/G*T, X): the heads of a group below each other.
    private static Tensor byKeyHead(Tensor x, Tensor k) {
        int groups = k.dim(1);
        if (x.dim(1) % groups != 0) {
            throw new IllegalArgumentException("attention: " + x.dim(1) + " query heads cannot share " + groups
                    + " key heads: expected a multiple");
        }
        return x.reshape(Shape.of(x.dim(0), groups, x.dim(1) / groups * x.dim(2), x.dim(3)));
    }
}
