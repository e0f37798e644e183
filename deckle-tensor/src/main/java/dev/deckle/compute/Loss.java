package dev.deckle.compute;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Softmax cross entropy by row, without storing probabilities.
public final class Loss {
    /// So many logits exist at once, beside those of one row: 64 MB of F32. The sum of the weight's gradient
    /// is read and written once for each of their parts.
    private static final long LOGITS = 1 << 24;

    private Loss() {}

    /// One loss a row; writes `logSumExp`.
    public static Tensor crossEntropy(Tensor logits, Tensor targets, long ignore, Tensor logSumExp) {
        Tensor x = Pointwise.contiguous(logits);
        Tensor y = Pointwise.contiguous(targets);
        int classes = logits.dim(1);
        for (long i = 0; i < y.numel(); i++) {
            long c = Native.getLong(y.address() + 8 * i);
            if (c != ignore && (c < 0 || c >= classes)) {
                throw new IllegalArgumentException("CrossEntropy: target " + c + " of row " + i + " is not in 0.."
                        + (classes - 1) + " nor the ignored " + ignore);
            }
        }
        DType t = logits.dtype();
        Tensor loss = Tensor.empty(t, Shape.of(logits.dim(0)));
        Kernels k = Door.current().of(Family.CROSS_ENTROPY, t);
        long w = t.bytes();
        long xa = x.address();
        long ta = y.address();
        long la = loss.address();
        long ea = logSumExp.address();
        Work.rows(x.dim(0), classes, (from, to) -> k.crossEntropy(t, xa + from * classes * w, ta + from * 8,
                la + from * w, ea + from * w, to - from, classes, ignore), x, y, loss, logSumExp);
        return loss;
    }

    /// The gradient of the logits, with one gradient of the loss a row.
    public static Tensor crossEntropyGrad(Tensor logits, Tensor targets, long ignore, Tensor logSumExp, Tensor dy) {
        Tensor dx = Tensor.empty(logits.dtype(), logits.shape());
        crossEntropyGrad(logits, targets, ignore, logSumExp, dy, dx);
        return dx;
    }

    /// Writes it to `dx`, which may be `logits`.
    private static void crossEntropyGrad(
            Tensor logits, Tensor targets, long ignore, Tensor logSumExp, Tensor dy, Tensor dx) {
        Tensor x = Pointwise.contiguous(logits);
        Tensor y = Pointwise.contiguous(targets);
        Tensor g = Pointwise.contiguous(dy);
        DType t = logits.dtype();
        int classes = logits.dim(1);
        Kernels k = Door.current().of(Family.CROSS_ENTROPY, t);
        long w = t.bytes();
        long xa = x.address();
        long ta = y.address();
        long ea = logSumExp.address();
        long ga = g.address();
        long da = dx.address();
        Work.rows(x.dim(0), classes, (from, to) -> k.crossEntropyGrad(t, xa + from * classes * w, ta + from * 8,
                ea + from * w, ga + from * w, da + from * classes * w, to - from, classes, ignore), x, y, g, dx,
                logSumExp);
    }

    /// The sum of the losses of the rows of x weight^T, with the gradients that the operation keeps: as many rows at a
    /// time as [#LOGITS] allow.
    public static Tensor linearCrossEntropy(Op.LinearCrossEntropy op) {
        Tensor x = op.x().detach();
        Tensor w = op.weight().detach();
        int rows = x.dim(0);
        boolean gradients = op.xGrad().isPresent() || op.weightGrad().isPresent();
        int parts = (int) Math.max(1, Math.ceilDiv((long) rows * w.dim(0), LOGITS));
        int each = Math.max(1, Math.ceilDiv(rows, parts));
        Tensor losses = Tensor.empty(x.dtype(), Shape.of(rows));
        Tensor memory = Tensor.empty(x.dtype(), Shape.of(Math.min(each, rows), w.dim(0)));
        Tensor lse = Tensor.empty(x.dtype(), Shape.of(each));
        Tensor one = Tensor.full(x.dtype(), 1, each);
        if (rows == 0) {
            op.weightGrad().ifPresent(d -> Native.zero(d.address(), d.bytes()));
        }
        for (int i = 0; i < rows; i += each) {
            int from = i;
            int n = Math.min(each, rows - i);
            Tensor part = x.slice(0, i, i + n);
            Tensor targets = op.targets().slice(0, i, i + n);
            Tensor logits = memory.slice(0, 0, n);
            Product.into(logits, part, w.t(), false);
            Pointwise.copy(crossEntropy(logits, targets, op.ignoreIndex(), lse), losses.slice(0, i, i + n));
            if (gradients) {
                Tensor dlogits = logits; // takes their place
                crossEntropyGrad(logits, targets, op.ignoreIndex(), lse, one, dlogits);
                op.xGrad().ifPresent(d -> Product.into(d.slice(0, from, from + n), dlogits, w, false));
                op.weightGrad().ifPresent(d -> Product.weightGradInto(d, w.dtype(), dlogits, part, from > 0));
            }
        }
        memory.storage().retain();
        memory.storage().release("logits that are gone");
        return losses.sum();
    }
}
