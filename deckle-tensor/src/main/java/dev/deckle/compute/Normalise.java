package dev.deckle.compute;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.ReduceFn;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.List;

/// Normalisation of rows. Gradients of the weights are gathered by task and then summed in order.
public final class Normalise {
    private Normalise() {}

    /// Of `type`, x's or BF16. Writes `rstd`, one a row.
    public static Tensor rmsNorm(Tensor x, Tensor weight, double eps, DType type, Tensor rstd) {
        Tensor in = Pointwise.contiguous(x);
        Tensor w = Pointwise.contiguous(weight);
        Tensor y = Tensor.empty(type, x.shape());
        DType t = x.dtype();
        Kernels k = kernels(t);
        int n = x.dim(-1);
        long b = t.bytes();
        long xa = in.address();
        long wa = w.address();
        long ya = y.address();
        long ra = rstd.address();
        if (type == t) {
            Work.rows(rstd.numel(), n, (from, to) -> k.rmsNorm(t, xa + from * n * b, wa, ya + from * n * b,
                    ra + from * b, to - from, n, eps), in, w, y, rstd);
        } else {
            Rounded.rows(rstd.numel(), n, (first, rows, floats) -> k.rmsNorm(t, xa + first * n * b, wa, floats[0],
                    ra + first * b, rows, n, eps), y);
            Work.keepAlive(in, w, rstd);
        }
        return y;
    }

    /// The gradient of weight; x's is added to dx, contiguous.
    public static Tensor rmsNormGrad(Tensor x, Tensor weight, Tensor rstd, Tensor dy, Tensor dx) {
        Tensor in = Pointwise.contiguous(x);
        Tensor w = Pointwise.contiguous(weight);
        Tensor g = Pointwise.contiguous(dy);
        DType t = x.dtype();
        Kernels k = kernels(t);
        int n = x.dim(-1);
        long b = t.bytes();
        long rows = rstd.numel();
        long each = rowsEach(n);
        Tensor dw = Tensor.zeros(t, Shape.of(Math.max(1, Work.tasks(rows, each)), n));
        long xa = in.address();
        long wa = w.address();
        long ra = rstd.address();
        long ga = g.address();
        long da = dx.address();
        long dwa = dw.address();
        Work.split(rows, each, (from, to) -> k.rmsNormGrad(t, xa + from * n * b, wa, ra + from * b, ga + from * n * b,
                da + from * n * b, dwa + from / each * n * b, to - from, n));
        Work.keepAlive(in, w, g, dx, dw, rstd);
        return sumOfParts(dw);
    }

    /// Writes `mean` and `rstd`, one a row.
    public static Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, double eps, Tensor mean, Tensor rstd) {
        Tensor in = Pointwise.contiguous(x);
        Tensor w = Pointwise.contiguous(weight);
        Tensor c = Pointwise.contiguous(bias);
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        DType t = x.dtype();
        Kernels k = kernels(t);
        int n = x.dim(-1);
        long b = t.bytes();
        long xa = in.address();
        long wa = w.address();
        long ca = c.address();
        long ya = y.address();
        long ma = mean.address();
        long ra = rstd.address();
        Work.rows(rstd.numel(), n, (from, to) -> k.layerNorm(t, xa + from * n * b, wa, ca, ya + from * n * b,
                ma + from * b, ra + from * b, to - from, n, eps), in, w, c, y, mean, rstd);
        return y;
    }

    /// The gradients of weight and bias; x's is added to dx, contiguous.
    public static List<Tensor> layerNormGrad(
            Tensor x, Tensor weight, Tensor mean, Tensor rstd, Tensor dy, Tensor dx) {
        Tensor in = Pointwise.contiguous(x);
        Tensor w = Pointwise.contiguous(weight);
        Tensor g = Pointwise.contiguous(dy);
        DType t = x.dtype();
        Kernels k = kernels(t);
        int n = x.dim(-1);
        long b = t.bytes();
        long rows = rstd.numel();
        long each = rowsEach(n);
        Tensor dw = Tensor.zeros(t, Shape.of(Math.max(1, Work.tasks(rows, each)), n));
        Tensor db = Tensor.zeros(t, dw.shape());
        long xa = in.address();
        long wa = w.address();
        long ma = mean.address();
        long ra = rstd.address();
        long ga = g.address();
        long da = dx.address();
        long dwa = dw.address();
        long dba = db.address();
        Work.split(rows, each, (from, to) -> k.layerNormGrad(t, xa + from * n * b, wa, ma + from * b, ra + from * b,
                ga + from * n * b, da + from * n * b, dwa + from / each * n * b, dba + from / each * n * b, to - from,
                n));
        Work.keepAlive(in, w, g, dx, dw, db, mean, rstd);
        return List.of(sumOfParts(dw), sumOfParts(db));
    }

    private static long rowsEach(int n) {
        // four times as many as elsewhere: each task has a row of sums to add up
        return Math.max(1, 4 * Work.GRAIN / Math.max(1, n));
    }

    private static Tensor sumOfParts(Tensor parts) {
        return Reduction.reduce(ReduceFn.SUM, parts, 0).reshape(parts.dim(1));
    }

    private static Kernels kernels(DType t) {
        return Door.current().of(Family.NORM, t);
    }
}
