package dev.deckle.tensor;

import dev.deckle.autograd.Definitions;
import dev.deckle.autograd.NoGrad;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// Operations of several equal operands: the fused forms that models use. Each is one [Op], which has its definition in
/// plainer operations in [dev.deckle.autograd.Definitions].
public final class Functional {
    private Functional() {}

    /// x W^T + b over the last dimension: x (..., in), weight (out, in), bias (out).
    ///
    /// A weight of BF16 goes with F32 for all else. Then x is rounded to BF16, unless it is of it already, and the
    /// products are added up in F32.
    public static Tensor linear(Tensor x, Tensor weight, Optional<Tensor> bias) {
        return Eager.run(new Op.Linear(x, weight, bias));
    }

    /// Rows of weight (n, d) for ids (...): (..., d), of the weight's type, or F32 for BF16.
    ///
    /// @throws IllegalArgumentException if an id is not in 0..n-1
    public static Tensor embedding(Tensor weight, Tensor ids) {
        return Eager.run(new Op.Embedding(weight, ids));
    }

    /// Joined along one dimension.
    public static Tensor concat(List<Tensor> parts, int dim) {
        return Eager.run(new Op.Concat(List.copyOf(parts), parts.isEmpty() ? 0 : parts.getFirst().shape().axis(dim)));
    }

    /// Root mean square normalisation over the last dimension (Zhang and Sennrich 2019).
    public static Tensor rmsNorm(Tensor x, Tensor weight, double eps) {
        return rmsNorm(x, weight, eps, x.dtype());
    }

    /// The same of type `dtype`, x's or BF16: what only products with weights of BF16 read, which would round it.
    public static Tensor rmsNorm(Tensor x, Tensor weight, double eps, DType dtype) {
        return Eager.run(new Op.RmsNorm(x, weight, eps, dtype, rows(x)));
    }

    /// Layer normalisation over the last dimension (Ba et al. 2016), with the biased variance.
    public static Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, double eps) {
        return Eager.run(new Op.LayerNorm(x, weight, bias, eps, rows(x), rows(x)));
    }

    /// Rotary position embedding (Su et al. 2021): x (..., T, D), cos and sin (T, D/2) or (B, T, D/2). Pairs are
    /// (i, i + D/2) as in Llama's published checkpoints, or (2i, 2i+1) where `interleaved`.
    public static Tensor rope(Tensor x, Tensor cos, Tensor sin, boolean interleaved) {
        return Eager.run(new Op.Rope(x, cos, sin, interleaved));
    }

    /// silu(gate) up (Shazeer 2020).
    public static Tensor swiglu(Tensor gate, Tensor up) {
        return swiglu(gate, up, gate.dtype());
    }

    /// The same of type `dtype`, theirs or BF16: what only products with weights of BF16 read, where gate and up are
    /// such products too, without a bias. Their gradients are of it then as well.
    public static Tensor swiglu(Tensor gate, Tensor up, DType dtype) {
        return Eager.run(new Op.SwiGlu(gate, up, dtype));
    }

    /// The negative log-likelihood of each row: logits (N, C), targets (N) I64, result (N), 0 where the target is
    /// `ignoreIndex`. The probabilities are never stored.
    public static Tensor crossEntropy(Tensor logits, Tensor targets, long ignoreIndex) {
        Tensor lse = Tensor.empty(logits.dtype(), Shape.of(logits.rank() == 2 ? logits.dim(0) : 0));
        return Eager.run(new Op.CrossEntropy(logits, targets, ignoreIndex, lse));
    }

    /// The sum of [#crossEntropy] over the rows of `x weight^T`: x (N, D), weight (C, D), targets (N) I64, result ().
    /// The logits, often the largest array of a step, are made some rows at a time and are gone at once, also where a
    /// gradient will be asked for. It costs what the definition does.
    public static Tensor linearCrossEntropy(Tensor x, Tensor weight, Tensor targets, long ignoreIndex) {
        return Eager.run(new Op.LinearCrossEntropy(x, weight, targets, ignoreIndex, forGradient(x),
                forGradient(weight)));
    }

    /// Memory for what x's gradient will be made of, if there is to be one: held until it is.
    private static Optional<Tensor> forGradient(Tensor x) {
        if (!x.requiresGrad() || !NoGrad.recording()) {
            return Optional.empty();
        }
        Tensor d = Tensor.empty(x.dtype().sums(), x.shape());
        d.storage().retain();
        return Optional.of(d);
    }

    /// Scaled dot-product attention by online softmax (Dao 2023), memory linear in the length: query (B, H, T, D), key
    /// (B, G, S, D), value (B, G, S, E), H a multiple of G (query head h reads key head h / (H/G)).
    ///
    /// @param mask added to the scaled scores; expands to (B, H, T, S). A query that sees no key gives zeros. Where it
    ///     requires a gradient, attention is computed as its definition does, with all scores in memory.
    /// @param causal query i sees keys up to i + S - T: the last query sees every key, as decoding with a cache needs
    public static Tensor attention(
            Tensor query, Tensor key, Tensor value, Optional<Tensor> mask, boolean causal, double scale) {
        return attention(query, key, value, mask, causal, 0, scale);
    }

    /// The same where each query sees its own key and the `window - 1` before it only (Beltagy et al. 2020); 0 for all.
    public static Tensor attention(
            Tensor query, Tensor key, Tensor value, Optional<Tensor> mask, boolean causal, int window, double scale) {
        return attention(query, key, value, mask, causal, window, scale, false);
    }

    /// The same; where `rounded`, all that is multiplied is rounded to BF16 first, as [#linear] does with weights of
    /// BF16.
    public static Tensor attention(
            Tensor query, Tensor key, Tensor value, Optional<Tensor> mask, boolean causal, int window, double scale,
            boolean rounded) {
        Shape rows = query.rank() == 4 ? query.shape().slice(0, 3) : Shape.SCALAR;
        var op = new Op.Attention(query, key, value, mask, causal, window, scale, rounded,
                Tensor.empty(query.dtype(), rows));
        if (mask.isPresent() && mask.get().requiresGrad() && NoGrad.recording()) {
            Shapes.of(op);
            return Definitions.of(op).orElseThrow(); // a learned bias: the tiles keep no gradient for each score
        }
        return Eager.run(op);
    }

    /// Causal attention that reads keys and values where a paged cache keeps them (Kwon et al. 2023): query
    /// (B, H, T, D), keys (blocks, block_size, G, D), values (blocks, block_size, G, E). Row b has `lengths[b]` keys;
    /// key j is at place j mod block_size of block `table[b, j / block_size]`. The last query of a row sees its last
    /// key; a query before the first key sees nothing and gives zeros.
    ///
    /// @param table (B, n) I64; what it says behind a row's length is not looked at
    /// @param lengths (B) I64
    /// @param window how many keys each query sees at most, the last ones; 0 for all
    /// @throws IllegalStateException if an operand requires a gradient, which this operation has not
    public static Tensor pagedAttention(
            Tensor query, Tensor keys, Tensor values, Tensor table, Tensor lengths, int window, double scale) {
        var op = new Op.PagedAttention(query, keys, values, table, lengths, window, scale);
        if (NoGrad.recording() && op.inputs().stream().anyMatch(Tensor::requiresGrad)) {
            throw new IllegalStateException("attention over blocks has no derivative: run it inside NoGrad.open()");
        }
        return Eager.run(op);
    }

    /// `layer(x)`, of x's type and shape, that keeps nothing for its gradient but x: when that comes, `again(x)` is
    /// computed, and the gradient goes back through it. A model of n layers then remembers n inputs and one layer, for
    /// one more forward pass (Chen et al. 2016). Inside [dev.deckle.autograd.NoGrad] it is the plain layer.
    ///
    /// @param layer reads x, leaves and constants: what else was recorded it may not read
    /// @param again must give the same to the bit, and need be another function only where `layer` moves something on
    ///     that must stand where it stood, as a random stream
    public static Tensor recomputed(Tensor x, UnaryOperator<Tensor> layer, UnaryOperator<Tensor> again) {
        return NoGrad.recording() ? Eager.run(new Op.Recomputed(x, layer, again)) : layer.apply(x);
    }

    private static Tensor rows(Tensor x) {
        return Tensor.empty(x.dtype(), x.rank() == 0 ? Shape.SCALAR : x.shape().slice(0, x.rank() - 1));
    }
}
