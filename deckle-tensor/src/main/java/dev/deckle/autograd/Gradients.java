package dev.deckle.autograd;

import dev.deckle.compute.Attend;
import dev.deckle.compute.Indexing;
import dev.deckle.compute.Loss;
import dev.deckle.compute.Normalise;
import dev.deckle.compute.Pointwise;
import dev.deckle.compute.Product;
import dev.deckle.compute.Reduction;
import dev.deckle.compute.Rotate;
import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.ReduceFn;
import dev.deckle.kernel.UnaryFn;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// The derivative of every operation: given the gradient g of the result y, what each input receives. One case an
/// operation and no `default`, so that none is forgotten.
///
/// Repeating (broadcasting) is undone in one place: [#unbroadcast] sums a gradient to its operand's shape.
public final class Gradients {
    private Gradients() {}

    static void of(Op op, Tensor y, Tensor g, Sink sink) {
        switch (op) {
            case Op.Unary(UnaryFn fn, Tensor x) -> sink.add(x, Pointwise.unaryGrad(fn, x, g));
            case Op.Binary(BinaryFn fn, Tensor a, Tensor b) -> binary(fn, a, b, y, g, sink);
            case Op.Affine(Tensor x, double mul, _) -> sink.add(x, g.mul(mul));
            case Op.Where(Tensor condition, Tensor a, Tensor b) -> {
                Tensor zero = Tensor.zeros(g.dtype(), Shape.SCALAR);
                if (sink.wants(a)) {
                    sink.add(a, unbroadcast(g.where(condition, zero), a.shape()));
                }
                if (sink.wants(b)) {
                    sink.add(b, unbroadcast(zero.where(condition, g), b.shape()));
                }
            }
            case Op.Cast(Tensor x, _) -> sink.add(x, g.to(x.dtype().sums()));
            case Op.Reshape(Tensor x, _) -> sink.add(x, g.reshape(x.shape()));
            case Op.Permute(Tensor x, List<Integer> order) -> sink.add(x, g.permute(IntStream.range(0, order.size())
                    .map(order::indexOf)
                    .toArray()));
            case Op.Expand(Tensor x, _) -> sink.add(x, unbroadcast(g, x.shape()));
            case Op.Slice(Tensor x, int dim, int start, int end, int step) -> {
                Pointwise.add(g, sink.into(x).slice(dim, start, end, step));
            }
            case Op.Contiguous(Tensor x) -> sink.add(x, g);
            case Op.Recomputed layer -> Backward.through(layer, g, sink);
            case Op.Concat(List<Tensor> parts, int dim) -> {
                int at = 0;
                for (Tensor p : parts) {
                    sink.add(p, g.slice(dim, at, at + p.dim(dim)));
                    at += p.dim(dim);
                }
            }
            case Op.Reduce(ReduceFn fn, Tensor x, int dim) -> {
                switch (fn) {
                    case SUM -> sink.add(x, g.expand(x.shape()));
                    case MAX -> {
                        Tensor hit = x.detach().eq(y.detach().expand(x.shape()));
                        Tensor share = hit.to(x.dtype());
                        sink.add(x, share.mul(g.div(share.sum(dim, true))));
                    }
                }
            }
            case Op.ArgMax _ -> throw new AssertionError("an index has no derivative and is never recorded");
            case Op.CumSum(Tensor x, int dim) -> sink.add(x, Reduction.cumSum(g, dim, true));
            case Op.MatMul(Tensor a, Tensor b) -> matmul(a, b, g, sink);
            case Op.Linear(Tensor x, Tensor weight, Optional<Tensor> bias) -> {
                Tensor rows = Product.rows(g); // (rows, out)
                sink.addProduct(x, rows, weight.detach());
                sink.addProduct(weight, rows.t(), Product.rows(x));
                bias.ifPresent(b -> sink.add(b, unbroadcast(rows, b.shape())));
            }
            case Op.Gather(Tensor x, int dim, Tensor index) -> Indexing.gatherGrad(dim, index, g, sink.into(x));
            case Op.Embedding(Tensor weight, Tensor ids) -> Indexing.embeddingGrad(ids, g, sink.into(weight));
            case Op.Softmax(Tensor x, boolean log) -> sink.add(x, Reduction.softmaxGrad(y, g, log));
            case Op.RmsNorm(Tensor x, Tensor weight, _, _, Tensor rstd) -> sink.add(weight,
                    Normalise.rmsNormGrad(x, weight, rstd, g, sink.into(x)));
            case Op.LayerNorm(Tensor x, Tensor weight, Tensor bias, _, Tensor mean, Tensor rstd) -> each(sink,
                    List.of(weight, bias), Normalise.layerNormGrad(x, weight, mean, rstd, g, sink.into(x)));
            case Op.Rope(Tensor x, Tensor cos, Tensor sin, boolean interleaved) -> sink.add(x,
                    Rotate.back(x, g, cos, sin, interleaved));
            case Op.SwiGlu(Tensor gate, Tensor up, DType dtype) -> each(sink, List.of(gate, up),
                    Pointwise.swigluGrad(gate, up, g, dtype));
            case Op.CrossEntropy(Tensor logits, Tensor targets, long ignore, Tensor lse) -> sink.add(logits,
                    Loss.crossEntropyGrad(logits, targets, ignore, lse, g));
            case Op.LinearCrossEntropy l -> {
                l.xGrad().ifPresent(d -> sink.addKept(l.x(), d, g));
                l.weightGrad().ifPresent(d -> sink.addKept(l.weight(), d, g));
            }
            case Op.Attention a -> each(sink, a.inputs(), Attend.backward(a, y, g));
            case Op.PagedAttention _ -> throw new AssertionError("attention over blocks is never recorded");
        }
    }

    /// Whether [#of] can read a gradient of BF16 of a result of F32, because it does no more with it than to round it
    /// to that.
    static boolean rounds(Op op) {
        return op instanceof Op.Linear(_, Tensor weight, var bias) && weight.dtype() == DType.BF16 && bias.isEmpty();
    }

    /// What [#of] reads beside the gradient, the shapes aside: the values that must outlive the way forward.
    public static List<Tensor> reads(Op op, Tensor y) {
        return switch (op) {
            case Op.Unary(_, Tensor x) -> List.of(x);
            case Op.Binary(BinaryFn fn, Tensor a, Tensor b) -> switch (fn) {
                case ADD, SUB -> List.of();
                case MUL, MAX, MIN -> List.of(a, b);
                case DIV, POW -> List.of(a, b, y);
                case EQ, NE, LT, LE, GT, GE -> throw new AssertionError("a comparison is never recorded");
            };
            case Op.Where(Tensor condition, _, _) -> List.of(condition);
            case Op.Affine _, Op.Cast _, Op.CumSum _, Op.Concat _ -> List.of();
            case Op.Reshape _, Op.Permute _, Op.Expand _, Op.Slice _, Op.Contiguous _ -> List.of();
            case Op.Reduce(ReduceFn fn, Tensor x, _) -> fn == ReduceFn.SUM ? List.of() : List.of(x, y);
            case Op.Gather(_, _, Tensor index) -> List.of(index);
            case Op.Embedding(_, Tensor ids) -> List.of(ids);
            case Op.Softmax _ -> List.of(y);
            case Op.Rope(_, Tensor cos, Tensor sin, _) -> List.of(cos, sin);
            case Op.MatMul _, Op.Linear _, Op.RmsNorm _, Op.LayerNorm _, Op.SwiGlu _, Op.CrossEntropy _ -> op.inputs();
            case Op.LinearCrossEntropy _, Op.Recomputed _ -> op.inputs();
            case Op.Attention _ -> Stream.concat(op.inputs().stream(), Stream.of(y)).toList();
            case Op.ArgMax _, Op.PagedAttention _ -> throw new AssertionError("never recorded");
        };
    }

    private static void binary(BinaryFn fn, Tensor a, Tensor b, Tensor y, Tensor g, Sink sink) {
        Tensor x = a.detach();
        Tensor z = b.detach();
        Tensor zero = Tensor.zeros(a.dtype(), Shape.SCALAR);
        if (sink.wants(a)) {
            Tensor ga = switch (fn) {
                case ADD, SUB -> g;
                case MUL -> g.mul(z);
                case DIV -> g.div(z);
                case POW -> zero.where(z.eq(zero), g.mul(z).mul(x.pow(z.sub(1)))); // x^0 is 1 at 0 too
                case MAX -> g.mul(winner(x, z));
                case MIN -> g.mul(winner(z, x));
                case EQ, NE, LT, LE, GT, GE -> throw new AssertionError("a comparison is never recorded");
            };
            sink.add(a, unbroadcast(ga, a.shape()));
        }
        if (sink.wants(b)) {
            Tensor gb = switch (fn) {
                case ADD -> g;
                case SUB -> g.neg();
                case MUL -> g.mul(x);
                case DIV -> g.mul(y.detach()).div(z).neg();
                case POW -> {
                    Tensor slope = g.mul(y.detach()).mul(x.log());
                    yield zero.where(z.ge(zero), slope).where(x.eq(zero), slope); // 0^z stays 0
                }
                case MAX -> g.mul(winner(z, x));
                case MIN -> g.mul(winner(x, z));
                case EQ, NE, LT, LE, GT, GE -> throw new AssertionError("a comparison is never recorded");
            };
            sink.add(b, unbroadcast(gb, b.shape()));
        }
    }

    /// 1 where a is greater than b, 1/2 where they are equal, else 0.
    private static Tensor winner(Tensor a, Tensor b) {
        DType t = a.dtype();
        return a.gt(b).to(t).add(a.ge(b).to(t)).div(2);
    }

    private static void matmul(Tensor a, Tensor b, Tensor g, Sink sink) {
        if (b.rank() == 2) {
            Tensor rows = Product.rows(g);
            sink.addProduct(a, rows, b.detach().t());
            sink.addProduct(b, Product.rows(a).t(), rows);
        } else {
            if (sink.wants(a)) {
                sink.add(a, g.matmul(b.detach().t()));
            }
            if (sink.wants(b)) {
                sink.add(b, a.detach().t().matmul(g));
            }
        }
    }

    private static void each(Sink sink, List<Tensor> inputs, List<Tensor> gradients) {
        for (int i = 0; i < inputs.size(); i++) {
            sink.add(inputs.get(i), gradients.get(i));
        }
    }

    /// The sum of g over what was repeated to make it from `shape`.
    static Tensor unbroadcast(Tensor g, Shape shape) {
        Tensor s = g;
        while (s.rank() > shape.rank()) {
            s = s.sum(0, false);
        }
        for (int i = 0; i < shape.rank(); i++) {
            if (shape.dim(i) == 1 && s.dim(i) != 1) {
                s = s.sum(i, true);
            }
        }
        return s;
    }
}
