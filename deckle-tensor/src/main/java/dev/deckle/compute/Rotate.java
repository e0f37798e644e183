package dev.deckle.compute;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;

/// Rotary position embedding of (..., T, D), in whatever order x lies in memory.
public final class Rotate {
    private Rotate() {}

    /// The result lies in memory as x does (so that heads may stay interleaved with positions). `inverse` rotates back,
    /// which is the gradient.
    public static Tensor rope(Tensor x, Tensor cos, Tensor sin, boolean interleaved, boolean inverse) {
        Tensor in = x.stride(-1) == 1 ? x : Pointwise.contiguous(x);
        Tensor y = Like.layout(in);
        Tensor c = Pointwise.contiguous(cos);
        Tensor s = Pointwise.contiguous(sin);
        int rows = x.dim(-2);
        int d = x.dim(-1);
        DType t = x.dtype();
        Kernels k = Door.current().of(Family.ROPE, t);
        long w = t.bytes();
        // each (batch, head) is one call over its T rows
        long total = x.shape().slice(0, x.rank() - 2).numel();
        long heads = x.rank() < 3 ? 1 : x.shape().slice(1, x.rank() - 2).numel();
        long perBatch = cos.rank() == 3 ? (long) rows * (d / 2) * w : 0;
        long xa = in.address();
        long ya = y.address();
        long ca = c.address();
        long sa = s.address();
        Work.rows(total, (long) rows * d, (from, to) -> {
            for (long i = from; i < to; i++) {
                long table = i / heads * perBatch;
                k.rope(t, xa + lead(in, i) * w, in.stride(-2), ya + lead(y, i) * w, y.stride(-2), ca + table,
                        sa + table, rows, d, interleaved, inverse);
            }
        }, in, y, c, s);
        return y;
    }

    /// Where the i-th (T, D) matrix of x begins, in elements.
    private static long lead(Tensor x, long i) {
        long offset = 0;
        for (int a = x.rank() - 3; a >= 0; a--) {
            offset += i % x.dim(a) * x.stride(a);
            i /= x.dim(a);
        }
        return offset;
    }
}
