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
import java.util.stream.IntStream;

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
        flash(q.dtype(), op.rounded()).forward(shape(op, mask), view(q), view(k), view(v), view(y),
                op.logSumExp().address(),
                Team.shared());
        keepAlive(q, k, v, y, mask, op.logSumExp());
        return y;
    }

    /// Over keys and values in blocks, where they lie.
    public static Tensor forward(Op.PagedAttention op) {
        Tensor q = rows(op.query());
        Tensor k = rows(op.keys());
        Tensor v = rows(op.values());
        Tensor table = Pointwise.contiguous(op.table());
        Tensor y = Tensor.empty(q.dtype(), Shape.of(q.dim(0), q.dim(2), q.dim(1), v.dim(3))).transpose(1, 2);
        Tensor lse = Tensor.empty(q.dtype(), q.shape().slice(0, 3));
        int[] lengths = lengths(op);
        int longest = IntStream.of(lengths).max().orElse(0);
        var shape =
                new FlashAttention.Shape(q.dtype(), false, q.dim(0), q.dim(1), k.dim(2), q.dim(2), longest, q.dim(3),
                        v.dim(3), op.scale(), longest - q.dim(2), op.window(), FlashAttention.View.NONE);
        flash(q.dtype(), false).forward(shape, lengths, view(q), blocks(k, table), blocks(v, table), view(y),
                lse.address(),
                Team.shared());
        keepAlive(q, k, v, y, table, lse);
        return y;
    }

    /// @throws IllegalArgumentException if a row is longer than its blocks, or a block is none of those there are
    private static int[] lengths(Op.PagedAttention op) {
        long[] lengths = op.lengths().toLongs();
        long[] table = op.table().toLongs();
        int n = op.table().dim(1);
        int size = op.keys().dim(1);
        int[] checked = new int[lengths.length];
        for (int b = 0; b < lengths.length; b++) {
            if (lengths[b] < 0 || lengths[b] > (long) n * size) {
                throw new IllegalArgumentException("PagedAttention: row " + b + " has " + lengths[b] + " keys, but "
                        + n + " blocks of " + size);
            }
            checked[b] = (int) lengths[b];
            for (int i = 0; i * size < checked[b]; i++) {
                if (table[b * n + i] < 0 || table[b * n + i] >= op.keys().dim(0)) {
                    throw new IllegalArgumentException("PagedAttention: block " + table[b * n + i] + " of row " + b
                            + " is not in 0.." + (op.keys().dim(0) - 1));
                }
            }
        }
        return checked;
    }

    private static FlashAttention.Blocks blocks(Tensor x, Tensor table) {
        return new FlashAttention.Blocks(x.address(), x.stride(0), x.stride(2), x.stride(1), x.dim(1), table.address(),
                table.dim(1));
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
        flash(q.dtype(), op.rounded()).backward(shape(op, mask), view(q), view(k), view(v), view(out),
                op.logSumExp().address(),
                view(g), view(dq), view(dk), view(dv), Team.shared());
        keepAlive(q, k, v, out, g, mask, dq, dk, dv, op.logSumExp());
        return List.of(dq, dk, dv);
    }

    private static FlashAttention flash(DType t, boolean rounded) {
        Door door = Door.current();
        return new FlashAttention(door.of(Family.MATMUL, rounded ? DType.BF16 : t), door.of(Family.ATTENTION, t));
    }

    private static FlashAttention.Shape shape(Op.Attention op, Optional<Tensor> mask) {
        Tensor q = op.query();
        Tensor k = op.key();
        int t = q.dim(2);
        int s = k.dim(2);
        return new FlashAttention.Shape(q.dtype(), op.rounded(), q.dim(0), q.dim(1), k.dim(1), t, s, q.dim(3),
                op.value().dim(3),
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
