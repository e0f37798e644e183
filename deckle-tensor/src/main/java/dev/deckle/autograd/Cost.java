package dev.deckle.autograd;

import dev.deckle.tensor.Op;
import dev.deckle.tensor.Tensor;
import java.util.List;

/// What an operation costs: floating-point operations (a multiply-add counts as two, any function of one number as
/// one), and the bytes it must at least read and write. Views cost nothing.
public record Cost(long flops, long bytes) {
    /// The cost of computing `y` by `op`, the forward direction only.
    public static Cost of(Op op, Tensor y) {
        long n = y.numel();
        return switch (op) {
            case Op.Unary _, Op.Binary _, Op.Where _, Op.Cast _ -> new Cost(n, moved(op, y));
            case Op.Affine _, Op.CumSum _ -> new Cost(2 * n, moved(op, y));
            case Op.Reshape _, Op.Permute _, Op.Expand _, Op.Slice _ -> new Cost(0, 0);
            case Op.Contiguous _, Op.Concat _ -> new Cost(0, moved(op, y));
            case Op.Recomputed _ -> new Cost(0, 0); // what it is made of has its own
            case Op.Reduce(_, Tensor x, _) -> new Cost(x.numel(), moved(op, y));
            case Op.ArgMax(Tensor x, _) -> new Cost(x.numel(), moved(op, y));
            case Op.MatMul(Tensor a, _) -> new Cost(2 * n * a.dim(-1), moved(op, y));
            case Op.Linear(Tensor x, _, var bias) -> new Cost(2 * n * x.dim(-1) + (bias.isPresent() ? n : 0),
                    moved(op, y));
            case Op.Gather _, Op.Embedding _ -> new Cost(0, 2 * y.bytes());
            case Op.Softmax _ -> new Cost(4 * n, moved(op, y)); // maximum, difference, exponential and sum, division
            case Op.RmsNorm _ -> new Cost(4 * n, moved(op, y));
            case Op.LayerNorm _ -> new Cost(7 * n, moved(op, y));
            case Op.Rope _ -> new Cost(3 * n, moved(op, y));
            case Op.SwiGlu _ -> new Cost(4 * n, moved(op, y));
            case Op.CrossEntropy(Tensor logits, _, _, _) -> new Cost(3 * logits.numel(), logits.bytes() + y.bytes());
            case Op.LinearCrossEntropy l -> linearCrossEntropy(l);
            case Op.Attention a -> attention(a, y);
            case Op.PagedAttention a -> attention(a, y);
        };
    }

    /// The cost of the way back through `op`: of a product y = a b two of its size, da = dy b^T and db = a^T dy; of
    /// attention five in place of two, because its scores are computed once more.
    public static Cost backward(Op op, Tensor y) {
        Cost c = of(op, y);
        return switch (op) {
            case Op.MatMul _, Op.Linear _ -> new Cost(2 * c.flops, 2 * c.bytes);
            case Op.LinearCrossEntropy(Tensor x, Tensor weight, _, _, _, _) -> new Cost(x.numel() + weight.numel(),
                    2 * (x.bytes() + weight.bytes())); // the products were made on the way there
            case Op.Attention _ -> new Cost(5 * c.flops / 2, 2 * c.bytes);
            default -> new Cost(2 * c.flops, c.flops == 0 && c.bytes == 0 ? 0 : 2 * c.bytes);
        };
    }

    private static Cost linearCrossEntropy(Op.LinearCrossEntropy l) {
        long logits = (long) l.x().dim(0) * l.weight().dim(0);
        int products = 1 + (l.xGrad().isPresent() ? 1 : 0) + (l.weightGrad().isPresent() ? 1 : 0);
        return new Cost(2 * logits * l.x().dim(1) * products + 3 * logits, products * (l.x().bytes()
                + l.weight().bytes()));
    }

    private static Cost attention(Op.Attention a, Tensor y) {
        long t = a.query().dim(2);
        long s = a.key().dim(2);
        long hidden = a.causal() ? t * (t - 1) / 2 : 0; // scores that no query sees
        if (a.window() > 0) { // the first query sees beyond - t + window too many keys to its left, each other one more
            long beyond = Math.max(0, s - a.window());
            long first = Math.max(0, beyond - t + 1);
            hidden += (first + beyond) * (beyond - first + 1) / 2;
        }
        long scores = Math.max(0, t * s - hidden) * a.query().dim(0) * a.query().dim(1);
        return new Cost(scores * (2L * a.query().dim(3) + 2L * y.dim(3) + 4), moved(a, y));
    }

    /// What is read of keys and values is what is there, not the memory for it.
    private static Cost attention(Op.PagedAttention a, Tensor y) {
        long t = a.query().dim(2);
        long seen = 0;
        long scores = 0;
        for (long s : a.lengths().toLongs()) {
            for (long last = s - t; last < s; last++) {
                scores += Math.max(0, a.window() == 0 ? last + 1 : Math.min(a.window(), last + 1));
            }
            seen += a.window() == 0 ? s : Math.min(s, a.window() + t - 1);
        }
        long widths = a.query().dim(3) + y.dim(3);
        return new Cost(scores * a.query().dim(1) * (2 * widths + 4), a.query().bytes() + y.bytes()
                + seen * a.keys().dim(2) * widths * y.dtype().bytes());
    }

    private static long moved(Op op, Tensor y) {
        return op.inputs().stream().mapToLong(Tensor::bytes).sum() + y.bytes();
    }

    /// The cost of everything that was recorded on the way to a result.
    public static Cost ofGraph(Tensor result) {
        var seen = java.util.Collections.newSetFromMap(new java.util.IdentityHashMap<Tensor, Boolean>());
        var todo = new java.util.ArrayDeque<>(List.of(result));
        long flops = 0;
        long bytes = 0;
        while (!todo.isEmpty()) {
            Tensor y = todo.pop();
            if (y.creator().isPresent() && seen.add(y)) {
                Cost c = of(y.creator().get(), y);
                flops += c.flops;
                bytes += c.bytes;
                todo.addAll(y.creator().get().inputs());
            }
        }
        return new Cost(flops, bytes);
    }
}
