package dev.deckle.compute;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Softmax cross entropy by row, without storing probabilities.
public final class Loss {
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
        Tensor x = Pointwise.contiguous(logits);
        Tensor y = Pointwise.contiguous(targets);
        Tensor g = Pointwise.contiguous(dy);
        DType t = logits.dtype();
        Tensor dx = Tensor.empty(t, logits.shape());
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
}
