package dev.deckle.x86;

import dev.deckle.kernel.Native;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import dev.deckle.x86.emit.Routine;
import dev.deckle.x86.emit.Value;

/// The softmax of rows, its logarithm and their gradients, and the cross entropy.
final class Softmax {
    private final Kernel softmax;
    private final Kernel logSoftmax;
    private final Kernel gradient;
    private final Kernel logGradient;
    private final Kernel logSum;
    private final Kernel lossGradient;

    Softmax(Isa isa) {
        softmax = new Kernel(isa, Softmax::softmax);
        logSoftmax = new Kernel(isa, Softmax::logSoftmax);
        gradient = new Kernel(isa, Softmax::gradient);
        logGradient = new Kernel(isa, Softmax::logGradient);
        logSum = new Kernel(isa, Softmax::logSum);
        lossGradient = new Kernel(isa, Softmax::lossGradient);
    }

    void forward(boolean log, long x, long y, long rows, int n) {
        (log ? logSoftmax : softmax).call(rows, n, x, y);
    }

    private static void softmax(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value x = r.floats(n).load();
        var y = r.floats(n);
        r.rows(rows, () -> {
            Value e = Functions.exp(x.minus(max(r, n, x)));
            Value scale = r.once(r.sum(n, e, y.set(e)).reciprocal());
            r.each(n, y.set(y.load().times(scale)));
        });
    }

    private static void logSoftmax(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value x = r.floats(n).load();
        var y = r.floats(n);
        r.rows(rows, () -> {
            Value below = x.minus(max(r, n, x)); // first: it has the small numbers
            Value logSum = r.once(Functions.log(r.sum(n, Functions.exp(below))));
            r.each(n, y.set(below.minus(logSum)));
        });
    }

    /// The largest number. NaN is passed over, because it comes out of the exponentials.
    static Value max(Routine r, Routine.Count n, Value x) {
        return r.fold(n, Float.NEGATIVE_INFINITY, (most, one) -> one.max(most), x);
    }

    void backward(boolean log, long y, long dy, long dx, long rows, int n) {
        (log ? logGradient : gradient).call(rows, n, y, dy, dx);
    }

    private static void gradient(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value y = r.floats(n).load();
        Value dy = r.floats(n).load();
        var dx = r.floats(n);
        r.rows(rows, () -> {
            Value mean = r.sum(n, dy.times(y));
            r.each(n, dx.set(dy.minus(mean).times(y)));
        });
    }

    private static void logGradient(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value y = r.floats(n).load();
        Value dy = r.floats(n).load();
        var dx = r.floats(n);
        r.rows(rows, () -> {
            Value sum = r.sum(n, dy);
            r.each(n, dx.set(dy.minus(Functions.exp(y).times(sum))));
        });
    }

    /// `loss = log sum exp(logits) - logits[target]` by row.
    void crossEntropy(long logits, long targets, long loss, long lse, long rows, int classes, long ignore) {
        logSum.call(rows, classes, logits, lse, loss);
        for (long r = 0; r < rows; r++) {
            long target = Native.getLong(targets + 8 * r);
            double max = Native.getFloat(lse + 4 * r);
            double log = Native.getFloat(loss + 4 * r);
            Native.setFloat(lse + 4 * r, (float) (max + log));
            Native.setFloat(loss + 4 * r, target == ignore ? 0
                    : (float) (log + (max - Native.getFloat(logits + 4 * (r * classes + target)))));
        }
    }

    /// The largest logit, and the logarithm of the sum of the exponentials below it.
    private static void logSum(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value x = r.floats(n).load();
        var largest = r.column();
        var logSum = r.column();
        r.rows(rows, () -> {
            Value max = max(r, n, x);
            r.once(largest.set(max));
            r.once(logSum.set(Functions.log(r.sum(n, Functions.exp(x.minus(max))))));
        });
    }

    void crossEntropyGrad(
            long logits, long targets, long lse, long g, long dlogits, long rows, int classes, long ignore) {
        lossGradient.call(rows, classes, logits, lse, g, dlogits);
        for (long r = 0; r < rows; r++) {
            long row = dlogits + 4 * r * classes;
            long target = Native.getLong(targets + 8 * r);
            if (target == ignore) {
                Native.zero(row, 4L * classes);
            } else {
                long at = row + 4 * target;
                Native.setFloat(at, Native.getFloat(at) - Native.getFloat(g + 4 * r));
            }
        }
    }

    /// That of the part that all classes have.
    private static void lossGradient(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value x = r.floats(n).load();
        var lse = r.column();
        var g = r.column();
        var dx = r.floats(n);
        r.rows(rows, () -> r.each(n, dx.set(Functions.exp(x.minus(lse.load())).times(g.load()))));
    }
}
