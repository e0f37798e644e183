package dev.deckle.autograd;

import dev.deckle.kernel.ReduceFn;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/// What each operation means in plainer ones. A primitive has no definition but its scalar kernel; a fused operation is
/// computed here as the textbook writes it, step by step and with every intermediate, and must give the same values and
/// the same gradients: that is how the harness judges it.
public final class Definitions {
    private static final ScopedValue<Boolean> IN_FORCE = ScopedValue.newInstance();

    private Definitions() {}

    /// Runs `work` on this thread with every fused operation replaced by its definition: slow, and the same numbers but
    /// for their rounding.
    public static <R> R during(Supplier<R> work) {
        return ScopedValue.where(IN_FORCE, true).call(work::get);
    }

    /// Whether this thread computes by definitions.
    public static boolean inForce() {
        return IN_FORCE.isBound();
    }

    /// The result of `op` by plainer operations on the same inputs; empty for a primitive.
    public static Optional<Tensor> of(Op op) {
        return switch (op) {
            case Op.Unary _, Op.Binary _, Op.Affine _, Op.Where _, Op.Cast _ -> Optional.empty();
            case Op.Reshape _, Op.Permute _, Op.Expand _, Op.Slice _, Op.Contiguous _, Op.Concat _ -> Optional.empty();
            case Op.Reduce _, Op.ArgMax _, Op.CumSum _, Op.MatMul _, Op.Gather _, Op.Embedding _ -> Optional.empty();
            case Op.Recomputed(Tensor x, _, var again) -> Optional.of(again.apply(x));
            case Op.Linear(Tensor x, Tensor weight, Optional<Tensor> bias) -> {
                Tensor y = x.matmul(weight.t());
                yield Optional.of(bias.map(y::add).orElse(y));
            }
            case Op.Softmax(Tensor x, boolean log) -> Optional.of(softmax(x, log));
            case Op.RmsNorm(Tensor x, Tensor weight, double eps, DType dtype, _) -> Optional
                    .of(x.mul(x.square().mean(-1, true).add(eps).rsqrt()).mul(weight).to(dtype));
            case Op.LayerNorm(Tensor x, Tensor weight, Tensor bias, double eps, _, _) -> {
                Tensor centred = x.sub(x.mean(-1, true));
                Tensor variance = centred.square().mean(-1, true);
                yield Optional.of(centred.mul(variance.add(eps).rsqrt()).mul(weight).add(bias));
            }
            case Op.Rope r -> Optional.of(rope(r));
            case Op.SwiGlu(Tensor gate, Tensor up, DType dtype) -> Optional.of(gate.silu().mul(up).to(dtype));
            case Op.CrossEntropy(Tensor logits, Tensor targets, long ignore, _) -> {
                Tensor counted = targets.ne(Tensor.of(new long[] {ignore}));
                Tensor safe = targets.where(counted, Tensor.of(new long[] {0})).reshape(-1, 1);
                Tensor loss = softmax(logits, true).gather(1, safe).squeeze(1).neg();
                yield Optional.of(loss.where(counted, Tensor.zeros(loss.dtype(), Shape.of(1))));
            }
            case Op.LinearCrossEntropy l -> Optional.of(Functional
                    .crossEntropy(Functional.linear(l.x(), l.weight(), Optional.empty()), l.targets(), l.ignoreIndex())
                    .sum());
            case Op.Attention a -> Optional.of(attention(a));
            case Op.PagedAttention a -> Optional.of(attention(gathered(a)));
        };
    }

    private static Tensor softmax(Tensor x, boolean log) {
        Tensor shifted = x.sub(x.max(-1, true).detach());
        Tensor sum = shifted.exp().sum(-1, true);
        return log ? shifted.sub(sum.log()) : shifted.exp().div(sum);
    }

    private static Tensor rope(Op.Rope r) {
        Tensor x = r.x(); // (..., T, D)
        int half = x.dim(-1) / 2;
        boolean perBatch = r.cos().rank() == 3;
        Tensor cos = perBatch ? heads(r.cos(), x.rank()) : r.cos();
        Tensor sin = perBatch ? heads(r.sin(), x.rank()) : r.sin();
        if (r.interleaved()) {
            Tensor a = x.slice(-1, 0, x.dim(-1), 2);
            Tensor b = x.slice(-1, 1, x.dim(-1), 2);
            Tensor first = a.mul(cos).sub(b.mul(sin)).unsqueeze(-1);
            Tensor second = b.mul(cos).add(a.mul(sin)).unsqueeze(-1);
            return Functional.concat(List.of(first, second), -1).reshape(x.shape()); // (..., T, D/2, 2) -> (..., T, D)
        }
        Tensor a = x.slice(-1, 0, half);
        Tensor b = x.slice(-1, half, 2 * half);
        return Functional.concat(List.of(a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))), -1);
    }

    private static Tensor heads(Tensor table, int rank) {
        Tensor t = table; // (B, T, D/2) -> (B, 1, ..., T, D/2)
        while (t.rank() < rank) {
            t = t.unsqueeze(1);
        }
        return t;
    }

    private static Tensor attention(Op.Attention a) {
        int group = a.query().dim(1) / a.key().dim(1);
        UnaryOperator<Tensor> r = x -> a.rounded() ? x.to(DType.BF16).to(x.dtype()) : x;
        Tensor k = repeatHeads(a.key(), group); // (B, H, S, D)
        Tensor v = repeatHeads(a.value(), group); // (B, H, S, E)
        Tensor scores = r.apply(a.query()).matmul(r.apply(k).t()).mul(a.scale()); // (B, H, T, S)
        int t = scores.dim(2);
        int s = scores.dim(3);
        if (a.mask().isPresent()) {
            scores = scores.add(a.mask().get());
        }
        if (a.causal()) {
            scores = scores.add(causalMask(scores.dtype(), t, s, a.window()));
        }
        // a row that sees nothing: -Infinity minus -Infinity is not a number, so its maximum counts as 0 and its sum as
        // 1
        DType type = scores.dtype();
        Tensor max = Tensor.zeros(type, Shape.of(1));
        if (s > 0) {
            Tensor top = dev.deckle.compute.Reduction.reduce(ReduceFn.MAX, scores.detach(), 3);
            max = top.where(top.gt(Tensor.full(type, Double.NEGATIVE_INFINITY, 1)), max);
        }
        Tensor p = scores.sub(max).exp();
        Tensor sum = p.sum(3, true);
        Tensor some = sum.gt(Tensor.zeros(type, Shape.of(1)));
        Tensor y = r.apply(p).matmul(r.apply(v)); // (B, H, T, E)
        return y.div(sum.where(some, Tensor.full(type, 1, 1)));
    }

    /// The same attention over keys and values that lie in the order of their positions. A block that a row does not
    /// have is read as any other and hidden.
    private static Op.Attention gathered(Op.PagedAttention a) {
        Tensor q = a.query();
        int t = q.dim(2);
        long[] table = a.table().toLongs();
        long[] lengths = a.lengths().toLongs();
        int size = a.keys().dim(1);
        int n = a.table().dim(1);
        int s = n * size;
        double[] mask = new double[q.dim(0) * t * s];
        for (int b = 0; b < q.dim(0); b++) {
            for (int block = Math.ceilDiv((int) lengths[b], size); block < n; block++) {
                table[b * n + block] = 0;
            }
            for (int i = 0; i < t; i++) {
                long last = lengths[b] - t + i;
                for (int j = 0; j < s; j++) {
                    boolean seen = j <= last && (a.window() == 0 || last - j < a.window());
                    mask[(b * t + i) * s + j] = seen ? 0 : Double.NEGATIVE_INFINITY;
                }
            }
        }
        Tensor blocks = Tensor.of(table, q.dim(0), n);
        Tensor visible = Tensor.of(mask, q.dim(0), 1, t, s).to(q.dtype());
        return new Op.Attention(q, inOrder(a.keys(), blocks), inOrder(a.values(), blocks), Optional.of(visible), false,
                0, a.scale(), false, Tensor.empty(q.dtype(), q.shape().slice(0, 3)));
    }

    /// Blocks (blocks, size, G, D) by a table (B, n): (B, G, n * size, D).
    private static Tensor inOrder(Tensor blocks, Tensor table) {
        Tensor rows = blocks.contiguous().reshape(blocks.dim(0), blocks.dim(1) * blocks.dim(2) * blocks.dim(3));
        return Functional.embedding(rows, table)
                .reshape(table.dim(0), table.dim(1) * blocks.dim(1), blocks.dim(2), blocks.dim(3))
                .transpose(1, 2);
    }

    /// 0 where query i sees key j, i + s - t - window < j <= i + s - t, else -Infinity: (t, s). A window of 0 is none.
    public static Tensor causalMask(DType dtype, int t, int s, int window) {
        double[] m = new double[t * s];
        for (int i = 0; i < t; i++) {
            int last = i + s - t;
            for (int j = 0; j < s; j++) {
                m[i * s + j] = j <= last && (window == 0 || last - j < window) ? 0 : Double.NEGATIVE_INFINITY;
            }
        }
        return Tensor.of(m, t, s).to(dtype);
    }

    /// Each key head repeated for the query heads that share it, next to each other: (B, G, S, D) -> (B, G*n, S, D).
    public static Tensor repeatHeads(Tensor x, int n) {
        int[] d = x.shape().toArray();
        return x.unsqueeze(2).expand(d[0], d[1], n, d[2], d[3]).reshape(d[0], d[1] * n, d[2], d[3]);
    }
}
