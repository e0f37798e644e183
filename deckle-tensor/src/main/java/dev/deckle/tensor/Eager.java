package dev.deckle.tensor;

import dev.deckle.autograd.Definitions;
import dev.deckle.autograd.NoGrad;
import dev.deckle.compute.Attend;
import dev.deckle.compute.Indexing;
import dev.deckle.compute.Loss;
import dev.deckle.compute.Normalise;
import dev.deckle.compute.Pointwise;
import dev.deckle.compute.Product;
import dev.deckle.compute.Reduction;
import dev.deckle.compute.Rotate;
import dev.deckle.memory.Workspace;
import java.lang.ref.Reference;
import java.util.List;
import java.util.Optional;

/// Runs operations as they are called: checks the operands, computes, and records the operation in its result if an
/// input requires a gradient.
final class Eager {
    static final ScopedValue<OpObserver> OBSERVER = ScopedValue.newInstance();

    private Eager() {}

    static Tensor run(Op op) {
        Shapes.Result r = Shapes.of(op);
        if (Definitions.inForce()) {
            Optional<Tensor> plain = Definitions.of(op);
            if (plain.isPresent()) {
                return plain.get();
            }
        }
        OpObserver.tellBefore(op);
        Tensor y = compute(op, r);
        if (r.dtype().floating() && NoGrad.recording() && !(op instanceof Op.Recomputed)
                && requiresGrad(op.inputs())) {
            y.recordedBy(op);
        }
        if (OBSERVER.isBound()) {
            OBSERVER.get().computed(op, y);
        }
        Reference.reachabilityFence(op); // kernels see addresses only: the inputs must outlive them
        return y;
    }

    private static boolean requiresGrad(List<Tensor> inputs) {
        for (Tensor x : inputs) {
            if (x.requiresGrad()) {
                return true;
            }
        }
        return false;
    }

    private static Tensor compute(Op op, Shapes.Result r) {
        return switch (op) {
            case Op.Unary(var fn, Tensor x) -> Pointwise.unary(fn, x);
            case Op.Binary(var fn, Tensor a, Tensor b) -> Pointwise.binary(fn, a, b, r.shape());
            case Op.Affine(Tensor x, double mul, double add) -> Pointwise.affine(x, mul, add);
            case Op.Where(Tensor condition, Tensor a, Tensor b) -> Pointwise.where(condition, a, b, r.shape());
            case Op.Cast(Tensor x, DType dtype) -> Pointwise.cast(x, dtype);
            case Op.Reshape(Tensor x, Shape shape) -> x.view(shape, shape.contiguousStrides(), x.offset());
            case Op.Permute(Tensor x, List<Integer> order) -> x.view(r.shape(), permuted(x, order), x.offset());
            case Op.Expand(Tensor x, Shape shape) -> x.view(shape, expanded(x, shape), x.offset());
            case Op.Slice(Tensor x, int dim, int start, _, int step) -> {
                long[] strides = x.strides().clone();
                strides[dim] *= step;
                // an empty slice keeps the offset inside the memory
                yield x.view(r.shape(), strides, x.offset() + (r.shape().numel() == 0 ? 0 : start * x.stride(dim)));
            }
            case Op.Contiguous(Tensor x) -> Pointwise.copy(x, Tensor.empty(r.dtype(), r.shape()));
            case Op.Recomputed layer -> recomputed(layer, r);
            case Op.Concat(List<Tensor> parts, int dim) -> Pointwise.concat(parts, dim, r.shape());
            case Op.Reduce(var fn, Tensor x, int dim) -> Reduction.reduce(fn, x, dim);
            case Op.ArgMax(Tensor x, int dim) -> Reduction.argMax(x, dim);
            case Op.CumSum(Tensor x, int dim) -> Reduction.cumSum(x, dim, false);
            case Op.MatMul(Tensor a, Tensor b) -> Product.matmul(a, b);
            case Op.Linear(Tensor x, Tensor weight, Optional<Tensor> bias) -> Product.linear(x, weight, bias);
            case Op.Gather(Tensor x, int dim, Tensor index) -> Indexing.gather(x, dim, index);
            case Op.Embedding(Tensor weight, Tensor ids) -> Indexing.embedding(weight, ids);
            case Op.Softmax(Tensor x, boolean log) -> Reduction.softmax(x, log);
            case Op.RmsNorm(Tensor x, Tensor weight, double eps, DType dtype, Tensor rstd) -> Normalise.rmsNorm(x,
                    weight, eps, dtype, rstd);
            case Op.LayerNorm(Tensor x, Tensor weight, Tensor bias, double eps, Tensor mean, Tensor rstd) -> Normalise
                    .layerNorm(x, weight, bias, eps, mean, rstd);
            case Op.Rope(Tensor x, Tensor cos, Tensor sin, boolean interleaved) -> Rotate.rope(x, cos, sin,
                    interleaved);
            case Op.SwiGlu(Tensor gate, Tensor up, DType dtype) -> Pointwise.swiglu(gate, up, dtype);
            case Op.CrossEntropy(Tensor logits, Tensor targets, long ignore, Tensor lse) -> Loss.crossEntropy(logits,
                    targets, ignore, lse);
            case Op.LinearCrossEntropy l -> Loss.linearCrossEntropy(l);
            case Op.Attention a -> Attend.forward(a);
            case Op.PagedAttention a -> Attend.forward(a);
        };
    }

    /// The layer is recorded as without this operation, so that it is computed in the same way, and its result tells
    /// whether a gradient will come: x may need none while parameters of the layer do. Then all but a copy of the
    /// result is forgotten.
    private static Tensor recomputed(Op.Recomputed op, Shapes.Result r) {
        try (Workspace _ = Workspace.open()) {
            Tensor y = op.layer().apply(op.x());
            if (!y.shape().equals(r.shape()) || y.dtype() != r.dtype()) {
                throw new IllegalArgumentException("recomputed: a layer must give the type and shape of its input, "
                        + r.dtype() + " " + r.shape() + ", not " + y.dtype() + " " + y.shape());
            }
            Tensor kept = y.keep();
            if (y.requiresGrad()) {
                kept.recordedBy(op);
            }
            return kept;
        }
    }

    private static long[] permuted(Tensor x, List<Integer> order) {
        long[] s = new long[x.rank()];
        for (int i = 0; i < s.length; i++) {
            s[i] = x.stride(order.get(i));
        }
        return s;
    }

    private static long[] expanded(Tensor x, Shape shape) {
        int lead = shape.rank() - x.rank();
        long[] s = new long[shape.rank()];
        for (int i = 0; i < x.rank(); i++) {
            s[lead + i] = x.dim(i) == 1 && shape.dim(lead + i) != 1 ? 0 : x.stride(i);
        }
        return s;
    }
}
