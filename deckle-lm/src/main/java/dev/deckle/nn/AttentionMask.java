package dev.deckle.nn;

import dev.deckle.autograd.Definitions;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Attention masks: which key each query may see, 1 for yes. A mask comes as (B, S), over keys (padding); as (B, T, S),
/// for each query; or as (B, 1, T, S) or (B, H, T, S), for each head.
///
/// - **Formula**: scores + 0 where the mask is 1, scores - infinity where it is 0; then softmax
/// - **Shapes**: (B, S), (B, T, S) or (B, 1 or H, T, S) to (B, 1 or H, 1 or T, S)
/// - **Cost**: one pass over the mask; it is broadcast, never repeated
/// - **Source**: Vaswani et al. 2017, section 3.2.3
/// - **PyTorch**: `attn_mask` of `F.scaled_dot_product_attention`, bool, true for keep; Hugging Face's `attention_mask`
/// - **Classic mistake**: filling with -1e20: a query that may see no key then gets the plain mean of all values,
///   padding included. Filling with -infinity alone gives it NaN. Here such a query gets zeros
public final class AttentionMask {
    private AttentionMask() {}

    /// The mask for scores (batch, heads, queries, keys): BOOL, of rank 4, expandable to them.
    ///
    /// @throws IllegalArgumentException if its rank or sizes do not fit the scores
    public static Tensor visible(Tensor mask, int batch, int heads, int queries, int keys) {
        Tensor m = switch (mask.rank()) {
            case 2 -> mask.reshape(mask.dim(0), 1, 1, mask.dim(1));
            case 3 -> mask.reshape(mask.dim(0), 1, mask.dim(1), mask.dim(2));
            default -> mask;
        };
        boolean fits = m.rank() == 4 && (m.dim(0) == batch || m.dim(0) == 1) && (m.dim(1) == heads || m.dim(1) == 1)
                && (m.dim(2) == queries || m.dim(2) == 1) && m.dim(3) == keys;
        if (!fits) {
            throw new IllegalArgumentException("attention_mask has shape " + mask.shape() + ", expected (B, S) = ("
                    + batch + ", " + keys + "), (B, T, S) = (" + batch + ", " + queries + ", " + keys
                    + ") or (B, 1 or " + heads + ", T, S)");
        }
        return m.dtype() == DType.BOOL ? m : m.ne(Tensor.zeros(m.dtype(), Shape.SCALAR));
    }

    /// The past of each query: (T, S), BOOL, keys up to i + S - T for query i, and of these the last `window` if that
    /// is not 0.
    public static Tensor causal(int queries, int keys, int window) {
        return Definitions.causalMask(DType.F32, queries, keys, window).eq(Tensor.zeros(1));
    }

    /// 0 where visible, else -infinity: what [dev.deckle.tensor.Functional#attention] adds to the scores.
    public static Tensor additive(Tensor visible, DType dtype) {
        Tensor hidden = Tensor.full(dtype, Double.NEGATIVE_INFINITY, 1);
        return Tensor.zeros(dtype, Shape.of(1)).where(visible, hidden);
    }

    /// The softmax over keys of scores (B, H, T, S) under a mask that expands to them; a row that sees nothing is
    /// zeros. Its scores are set to 0 first: softmax of -infinity alone is NaN, and so is its gradient whatever is put
    /// in its place afterwards.
    public static Tensor softmax(Tensor scores, Tensor visible) {
        DType t = scores.dtype();
        Tensor zero = Tensor.zeros(t, Shape.SCALAR);
        Tensor some = visible.to(t).sum(-1, true).gt(zero); // (B, 1 or H, 1 or T, 1)
        Tensor masked = scores.where(visible, Tensor.full(t, Double.NEGATIVE_INFINITY, 1));
        return masked.where(some, zero).softmax(-1).where(some, zero);
    }
}
