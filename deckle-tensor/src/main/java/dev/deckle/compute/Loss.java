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
        Tensor y = checked(targets, logits.dim(1), ignore);
        int classes = logits.dim(1);
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

    /// The targets, contiguous, each a class or the one that is ignored.
    private static Tensor checked(Tensor targets, int classes, long ignore) {
        Tensor y = Pointwise.contiguous(targets);
        for (long i = 0; i < y.numel(); i++) {
            long c = Native.getLong(y.address() + 8 * i);
            if (c != ignore && (c < 0 || c >= classes)) {
                throw new IllegalArgumentException("CrossEntropy: target " + c + " of row " + i + " is not in 0.."
                        + (classes - 1) + " nor the ignored " + ignore);
            }
        }
        return y;
    }

    /// The gradient of the logits, with one gradient of the loss a row.
    public static Tensor crossEntropyGrad(Tensor logits, Tensor targets, long ignore, Tensor logSumExp, Tensor dy) {
        Tensor dx = Tensor.empty(logits.dtype(), logits.shape());
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
        return dx;
    }

    /// The losses of rows of logits, and the gradients of the logits for one of 1 a row, in their place: where products
    /// will round them to BF16 they are of it already, and as far apart as before.
    private static Tensor withGradient(Tensor logits, Tensor targets, long ignore, Tensor losses, DType products) {
        Tensor y = checked(targets, logits.dim(1), ignore);
        int rows = logits.dim(0);
        int classes = logits.dim(1);
        DType t = logits.dtype();
        Tensor lse = Tensor.empty(t, Shape.of(rows));
        Kernels k = Door.current().of(Family.CROSS_ENTROPY, t);
        long w = t.bytes();
        long xa = logits.address();
        long ta = y.address();
        long la = losses.address();
        long ea = lse.address();
        if (products != DType.BF16) {
            Work.rows(rows, classes, (from, to) -> k.crossEntropyWithGrad(t, xa + from * classes * w, ta + from * 8,
                    la + from * w, ea + from * w, xa + from * classes * w, to - from, classes, ignore), logits, y,
                    losses, lse);
            return logits;
        }
        long start = logits.address() - logits.storage().address();
        Tensor halves = Tensor.on(logits.storage(), start, DType.BF16, Shape.of(rows, 2 * classes))
                .slice(1, 0, classes);
        Rounded.rows(rows, classes, 2L * classes, (first, some, floats) -> k.crossEntropyWithGrad(t,
                xa + first * classes * w, ta + first * 8, la + first * w, ea + first * w, floats[0], some, classes,
                ignore), halves);
        Work.keepAlive(y, losses, lse);
        return halves;
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
            if (!gradients) {
                Pointwise.copy(crossEntropy(logits, targets, op.ignoreIndex(), lse), losses.slice(0, i, i + n));
            } else {
                Tensor dlogits = withGradient(logits, targets, op.ignoreIndex(), losses.slice(0, i, i + n), w.dtype());
                op.xGrad().ifPresent(d -> Product.into(d.slice(0, from, from + n), dlogits, w, false));
                op.weightGrad().ifPresent(d -> Product.weightGradInto(d, w.dtype(), dlogits, part, from > 0));
            }
        }
        memory.storage().retain();
        memory.storage().release("logits that are gone");
        return losses.sum();
    }
}
