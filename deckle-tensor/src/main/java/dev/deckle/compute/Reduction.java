package dev.deckle.compute;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.ReduceFn;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.ref.Reference;

/// Reductions over one dimension, and softmax over the last.
public final class Reduction {
    private Reduction() {}

    /// Over dimension `dim`, which stays with size 1.
    public static Tensor reduce(ReduceFn f, Tensor x, int dim) {
        Tensor in = Pointwise.contiguous(x);
        Tensor y = Tensor.empty(x.dtype(), x.shape().with(dim, 1));
        DType t = x.dtype();
        Kernels k = Door.current().of(Family.REDUCE, t);
        long w = t.bytes();
        long outer = x.shape().slice(0, dim).numel();
        long n = x.dim(dim);
        long inner = x.shape().slice(dim + 1, x.rank()).numel();
        long xa = in.address();
        long ya = y.address();
        if (outer == 1 && inner == 1 && n > Work.GRAIN) {
            partials(f, in, y);
        } else if (outer == 1) {
            columns(k, f, in, y, n, inner);
        } else {
            Work.rows(outer, n * inner, (from, to) -> k.reduce(t, f, xa + from * n * inner * w, ya + from * inner * w,
                    to - from, n, inner), in, y);
        }
        return y;
    }

    /// All of a long array: in parts of a fixed size, then the parts.
    private static void partials(ReduceFn f, Tensor x, Tensor y) {
        DType t = x.dtype();
        Kernels k = Door.current().of(Family.REDUCE, t);
        long w = t.bytes();
        int parts = Work.tasks(x.numel(), Work.GRAIN);
        Tensor partial = Tensor.empty(t, Shape.of(parts));
        long xa = x.address();
        long pa = partial.address();
        Work.split(x.numel(), Work.GRAIN,
                (from, to) -> k.reduce(t, f, xa + from * w, pa + from / Work.GRAIN * w, 1, to - from, 1));
        k.reduce(t, f, pa, y.address(), 1, parts, 1);
        Reference.reachabilityFence(x);
        Reference.reachabilityFence(partial);
        Reference.reachabilityFence(y);
    }

    /// Sums down the columns of (n, inner) in blocks of rows, whose results are then summed in order.
    private static void columns(Kernels k, ReduceFn f, Tensor x, Tensor y, long n, long inner) {
        DType t = x.dtype();
        long w = t.bytes();
        long xa = x.address();
        // at most sixteen partial sums: they are as long as a row, which may be long
        long each = Math.max(Math.max(1, Work.GRAIN / Math.max(1, inner)), (n + 15) / 16);
        int parts = Work.tasks(n, each);
        if (parts <= 1) {
            k.reduce(t, f, xa, y.address(), 1, n, inner);
        } else {
            Tensor partial = Tensor.empty(t, Shape.of(parts, Math.toIntExact(inner)));
            long pa = partial.address();
            Work.split(n, each, (from, to) -> k.reduce(t, f, xa + from * inner * w, pa + from / each * inner * w, 1,
                    to - from, inner));
            k.reduce(t, f, pa, y.address(), 1, parts, inner);
            Reference.reachabilityFence(partial);
        }
        Reference.reachabilityFence(x);
        Reference.reachabilityFence(y);
    }

    /// The index of the first largest element; NaN counts as the largest.
    public static Tensor argMax(Tensor x, int dim) {
        Tensor in = Pointwise.contiguous(x);
        Tensor y = Tensor.empty(DType.I64, x.shape().with(dim, 1));
        long n = x.dim(dim);
        long inner = x.shape().slice(dim + 1, x.rank()).numel();
        DType t = x.dtype();
        long xa = in.address();
        long ya = y.address();
        Work.rows(y.numel(), n, (from, to) -> {
            for (long r = from; r < to; r++) {
                long base = r / inner * n * inner + r % inner;
                long best = 0;
                for (long j = 1; j < n; j++) {
                    if (Double.compare(Elements.get(t, xa, base + j * inner),
                            Elements.get(t, xa, base + best * inner)) > 0) {
                        best = j;
                    }
                }
                Elements.setLong(DType.I64, ya, r, best);
            }
        }, in, y);
        return y;
    }

    /// Running sums along `dim`, in f64; backwards (from the end) where `reverse`.
    public static Tensor cumSum(Tensor x, int dim, boolean reverse) {
        Tensor in = Pointwise.contiguous(x);
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        long n = x.dim(dim);
        long inner = x.shape().slice(dim + 1, x.rank()).numel();
        DType t = x.dtype();
        long xa = in.address();
        long ya = y.address();
        long lines = n == 0 ? 0 : x.numel() / n;
        Work.rows(lines, n, (from, to) -> {
            for (long r = from; r < to; r++) {
                long base = r / inner * n * inner + r % inner;
                double sum = 0;
                for (long j = 0; j < n; j++) {
                    long at = base + (reverse ? n - 1 - j : j) * inner;
                    sum += Elements.get(t, xa, at);
                    Elements.set(t, ya, at, sum);
                }
            }
        }, in, y);
        return y;
    }

    /// Over the last dimension; its logarithm where `log`.
    public static Tensor softmax(Tensor x, boolean log) {
        Tensor in = Pointwise.contiguous(x);
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        DType t = x.dtype();
        Kernels k = Door.current().of(Family.SOFTMAX, t);
        int n = x.dim(-1);
        long w = (long) t.bytes() * n;
        long xa = in.address();
        long ya = y.address();
        Work.rows(n == 0 ? 0 : x.numel() / n, n,
                (from, to) -> k.softmax(t, log, xa + from * w, ya + from * w, to - from, n), in, y);
        return y;
    }

    /// The gradient of x from the result y.
    public static Tensor softmaxGrad(Tensor y, Tensor dy, boolean log) {
        Tensor out = Pointwise.contiguous(y);
        Tensor g = Pointwise.contiguous(dy);
        Tensor dx = Tensor.empty(y.dtype(), y.shape());
        DType t = y.dtype();
        Kernels k = Door.current().of(Family.SOFTMAX, t);
        int n = y.dim(-1);
        long w = (long) t.bytes() * n;
        long ya = out.address();
        long ga = g.address();
        long da = dx.address();
        Work.rows(n == 0 ? 0 : y.numel() / n, n,
                (from, to) -> k.softmaxGrad(t, log, ya + from * w, ga + from * w, da + from * w, to - from, n), out, g,
                dx);
        return dx;
    }
}
