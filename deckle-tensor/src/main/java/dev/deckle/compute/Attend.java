package dev.deckle.compute;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.FlashAttention;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.ref.Reference;
import java.util.List;
import java.util.Optional;

/// Attention by tiles, on operands in any order of memory whose last dimension lies together.
public final class Attend {
    private Attend() {}

    /// Writes `logSumExp`. The result lies in memory as (B, T, H, E), so that joining the heads costs no copy.
    public static Tensor forward(Op.Attention op) {
        Tensor q = rows(op.query());
        Tensor k = rows(op.key());
        Tensor v = rows(op.value());
        Optional<Tensor> mask = mask(op);
        Tensor y = Tensor.empty(q.dtype(), Shape.of(q.dim(0), q.dim(2), q.dim(1), v.dim(3))).transpose(1, 2);
        flash(q.dtype()).forward(shape(op, mask), view(q), view(k), view(v), view(y), op.logSumExp().address(),
                Team.shared());
        keepAlive(q, k, v, y, mask, op.logSumExp());
        return y;
    }

    /// The gradients of query, key and value, each lying in memory as its operand does.
    public static List<Tensor> backward(Op.Attention op, Tensor y, Tensor dy) {
        Tensor q = rows(op.query());
        Tensor k = rows(op.key());
        Tensor v = rows(op.value());
        Tensor out = rows(y);
        Tensor g = rows(dy);
        Optional<Tensor> mask = mask(op);
        Tensor dq = Like.layout(q);
        Tensor dk = Like.layout(k);
        Tensor dv = Like.layout(v);
        flash(q.dtype()).backward(shape(op, mask), view(q), view(k), view(v), view(out), op.logSumExp().address(),
                view(g), view(dq), view(dk), view(dv), Team.shared());
        keepAlive(q, k, v, out, g, mask, dq, dk, dv, op.logSumExp());
        return List.of(dq, dk, dv);
    }

    private static FlashAttention flash(DType t) {
        Door door = Door.current();
        return new FlashAttention(door.of(Family.MATMUL, t), door.of(Family.ATTENTION, t));
    }

    private static FlashAttention.Shape shape(Op.Attention op, Optional<Tensor> mask) {
        Tensor q = op.query();
        Tensor k = op.key();
        int t = q.dim(2);
        int s = k.dim(2);
        return new FlashAttention.Shape(q.dtype(), q.dim(0), q.dim(1), k.dim(1), t, s, q.dim(3), op.value().dim(3),
                op.scale(), op.causal() ? s - t : FlashAttention.Shape.NOT_CAUSAL, op.window(),
                mask.map(Attend::view).orElse(FlashAttention.View.NONE));
    }

    /// The mask as (B, H, T, S), repeated without a copy where it can be.
    private static Optional<Tensor> mask(Op.Attention op) {
        Tensor q = op.query();
        return op.mask().map(m -> {
            Tensor wide = m.detach().dim(-1) == op.key().dim(2) ? m.detach()
                    : m.detach().expand(m.shape().with(-1, op.key().dim(2)));
            return rows(wide).expand(q.dim(0), q.dim(1), q.dim(2), op.key().dim(2));
        });
    }

    private static Tensor rows(Tensor x) {
        return x.stride(-1) == 1 || x.dim(-1) == 1 && x.isContiguous() ? x.detach() : Pointwise.contiguous(x.detach());
    }

    private static FlashAttention.View view(Tensor x) {
        return new FlashAttention.View(x.address(), x.stride(0), x.stride(1), x.stride(2));
    }

    private static void keepAlive(Object... touched) {
        Reference.reachabilityFence(touched);
    }
}
