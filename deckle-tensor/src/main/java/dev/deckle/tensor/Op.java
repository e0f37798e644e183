package dev.deckle.tensor;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.ReduceFn;
import dev.deckle.kernel.UnaryFn;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// Everything that a tensor can be the result of. A record holds the inputs and attributes of one operation.
///
/// Every meaning of an operation is one exhaustive `switch` without a `default`, so that an operation without it does
/// not compile: its result's type and shape in [Shapes], its arithmetic in [Eager], its derivative in
/// [dev.deckle.autograd.Gradients], its price in [dev.deckle.autograd.Cost], and what it means in terms of plainer
/// operations in [dev.deckle.autograd.Definitions].
///
/// A field that is commented as *kept* is written by the forward computation and read by the derivative.
public sealed interface Op {
    /// The tensors that it reads and may have derivatives for, in order.
    List<Tensor> inputs();

    /// The record's name, as messages and traces show it.
    default String label() {
        return getClass().getSimpleName();
    }

    // ---- element-wise; operands of [Binary] and [Where] broadcast

    record Unary(UnaryFn fn, Tensor x) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }

        @Override
        public String label() {
            return fn.name().toLowerCase(java.util.Locale.ROOT);
        }
    }

    record Binary(BinaryFn fn, Tensor a, Tensor b) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(a, b);
        }

        @Override
        public String label() {
            return fn.name().toLowerCase(java.util.Locale.ROOT);
        }
    }

    /// x mul + add, with plain numbers.
    record Affine(Tensor x, double mul, double add) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    /// a where the condition (BOOL) is true, else b.
    record Where(Tensor condition, Tensor a, Tensor b) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(a, b);
        }
    }

    record Cast(Tensor x, DType dtype) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    // ---- movement; all but [Contiguous] and [Concat] are views without a copy

    /// The same elements in another shape; x is contiguous.
    record Reshape(Tensor x, Shape shape) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    /// Dimension i of the result is dimension `order[i]` of x.
    record Permute(Tensor x, List<Integer> order) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    /// Repeats dimensions of size 1 (stride 0).
    record Expand(Tensor x, Shape shape) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    /// Elements start, start + step, ... below end of one dimension.
    record Slice(Tensor x, int dim, int start, int end, int step) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    /// A copy in row-major order.
    record Contiguous(Tensor x) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    record Concat(List<Tensor> parts, int dim) implements Op {
        @Override
        public List<Tensor> inputs() {
            return parts;
        }
    }

    // ---- reductions

    /// Over one dimension, which stays with size 1.
    record Reduce(ReduceFn fn, Tensor x, int dim) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }

        @Override
        public String label() {
            return fn.name().toLowerCase(java.util.Locale.ROOT);
        }
    }

    /// The index (I64) of the largest element of one dimension, the first of equal ones; the dimension stays with size
    /// 1.
    record ArgMax(Tensor x, int dim) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    /// Running sums along one dimension.
    record CumSum(Tensor x, int dim) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    // ---- products

    /// (..., m, k) times (..., k, n), or times one (k, n); leading dimensions equal.
    ///
    /// One (k, n) of BF16 may stand beside F32: the one place where types mix. **In a product with BF16 weights the
    /// activations are rounded to BF16 (to nearest, ties to even) and the products are added up in F32**, which is what
    /// the matrix units of processors do. Activations that are of BF16 already give the same. It holds for every
    /// backend and any number of rows, so that decoding, prefill and all backends agree to the order of the additions.
    /// The gradients are such products too, and round the gradient that comes in: [dev.deckle.kernel.Kernels] says what
    /// is rounded when. That of the weights is of F32 until a leaf gathers it, in its own buffer's type.
    record MatMul(Tensor a, Tensor b) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(a, b);
        }
    }

    /// x W^T + b: x (..., in), weight (out, in), bias (out). A weight of BF16 beside F32 is multiplied as [MatMul]
    /// says.
    record Linear(Tensor x, Tensor weight, Optional<Tensor> bias) implements Op {
        @Override
        public List<Tensor> inputs() {
            return bias.isPresent() ? List.of(x, weight, bias.get()) : List.of(x, weight);
        }
    }

    // ---- indexing, by I64

    /// The elements of x at `index` along one dimension; other dimensions equal.
    record Gather(Tensor x, int dim, Tensor index) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    /// Rows of weight (n, d): ids (...) gives (..., d). Those of BF16 become F32, exactly, and what their gradient
    /// gathers for an id is added up in F32.
    record Embedding(Tensor weight, Tensor ids) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(weight);
        }
    }

    // ---- memory

    /// `layer(x)`, of x's type and shape, of which nothing is kept but the result: a gradient computes it `again` and
    /// goes back through that (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
    ///
    /// It is an operation like others rather than a mode of the backward pass: it has operands, a result, a definition
    /// (the layer as it is) and a derivative, and who walks a graph meets one node in place of a layer's. Only how much
    /// is remembered differs. What the layer is made of is computed by operations of its own, which observers see, the
    /// second time too.
    ///
    /// @param layer reads x, leaves and constants
    /// @param again computes the same to the bit; where `layer` draws random numbers, it draws those once more
    record Recomputed(Tensor x, UnaryOperator<Tensor> layer, UnaryOperator<Tensor> again) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    // ---- fused: one pass over memory where the definition takes several

    /// Over the last dimension; its logarithm where `log`.
    record Softmax(Tensor x, boolean log) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    /// x / sqrt(mean(x^2) + eps) weight over the last dimension, of `dtype`: x's, or BF16, rounded from F32, for those
    /// who would round it ([MatMul]). Kept: rstd (rows).
    record RmsNorm(Tensor x, Tensor weight, double eps, DType dtype, Tensor rstd) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x, weight);
        }
    }

    /// (x - mean) / sqrt(var + eps) weight + bias over the last dimension. Kept: mean, rstd (rows).
    record LayerNorm(Tensor x, Tensor weight, Tensor bias, double eps, Tensor mean, Tensor rstd) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x, weight, bias);
        }
    }

    /// Rotary position embedding of x (..., T, D) by tables (T, D/2), or (B, T, D/2) with one for each row of the
    /// batch.
    record Rope(Tensor x, Tensor cos, Tensor sin, boolean interleaved) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }
    }

    /// silu(gate) up, of `dtype`: theirs, or BF16, rounded from F32. Then the gradients of gate and up are rounded as
    /// well: so they would be by products with weights of BF16, where gate and up come from ([MatMul]).
    record SwiGlu(Tensor gate, Tensor up, DType dtype) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(gate, up);
        }
    }

    /// `-log softmax(logits)[target]` a row: logits (N, C), targets (N) I64, result (N); 0 where the target is
    /// `ignoreIndex`. Kept: logSumExp (N).
    record CrossEntropy(Tensor logits, Tensor targets, long ignoreIndex, Tensor logSumExp) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(logits);
        }
    }

    /// The sum of [CrossEntropy] over the rows of x weight^T, whose logits are made some rows at a time and never held
    /// whole: x (N, D), weight (C, D), targets (N) I64, result (). Kept where they are wanted, instead of the logits:
    /// the gradients of x and weight for a gradient of 1, which are computed on the way there, while the logits of
    /// their rows still exist, and are used up by the way back (Hsu et al. 2024, "Liger Kernel").
    record LinearCrossEntropy(
            Tensor x, Tensor weight, Tensor targets, long ignoreIndex, Optional<Tensor> xGrad,
            Optional<Tensor> weightGrad) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(x, weight);
        }
    }

    /// softmax(query key^T scale + mask) value: query (B, H, T, D), key (B, G, S, D), value (B, G, S, E) with H a
    /// multiple of G; mask (additive, expands to (B, H, T, S)); where `causal`, query i sees keys up to i + S - T, and
    /// of these the last `window` only, if that is not 0. Where `rounded`, all that is multiplied is rounded to BF16
    /// first, as x is in a product with weights of BF16. Kept: logSumExp (B, H, T).
    record Attention(
            Tensor query, Tensor key, Tensor value, Optional<Tensor> mask, boolean causal, int window,
            double scale, boolean rounded, Tensor logSumExp) implements Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(query, key, value);
        }
    }

    /// Causal attention over keys and values in blocks: query (B, H, T, D), keys (blocks, block_size, G, D), values
    /// (blocks, block_size, G, E). Key j of row b is at place j mod block_size of block `table[b, j / block_size]`, for
    /// j below `lengths[b]`; table (B, n) and lengths (B) are I64. The last query sees the last key, and each of them
    /// the last `window` keys of its past only, if that is not 0. Has no derivative: a cache keeps numbers.
    record PagedAttention(
            Tensor query, Tensor keys, Tensor values, Tensor table, Tensor lengths, int window, double scale)
            implements
            Op {
        @Override
        public List<Tensor> inputs() {
            return List.of(query, keys, values);
        }
    }
}
