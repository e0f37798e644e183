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
    private final Kernel lossWithGradient;

    Softmax(Isa isa) {
        softmax = new Kernel(isa, Softmax::softmax);
        logSoftmax = new Kernel(isa, Softmax::logSoftmax);
        gradient = new Kernel(isa, Softmax::gradient);
        logGradient = new Kernel(isa, Softmax::logGradient);
        logSum = new Kernel(isa, Softmax::logSum);
        lossGradient = new Kernel(isa, Softmax::lossGradient);
        lossWithGradient = new Kernel(isa, Softmax::lossWithGradient);
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
        float[] chosen = chosen(logits, targets, rows, classes, ignore);
        logSum.call(rows, classes, logits, lse, loss);
        losses(chosen, targets, loss, lse, ignore);
    }

    /// The logit of each target.
    private static float[] chosen(long logits, long targets, long rows, int classes, long ignore) {
        float[] chosen = new float[(int) rows];
        for (int r = 0; r < rows; r++) {
            long target = Native.getLong(targets + 8L * r);
            chosen[r] = target == ignore ? 0 : Native.getFloat(logits + 4 * ((long) r * classes + target));
        }
        return chosen;
    }

    /// From the largest logit in `lse` and the logarithm of the sum of the exponentials below it in `loss`.
    private static void losses(float[] chosen, long targets, long loss, long lse, long ignore) {
        for (int r = 0; r < chosen.length; r++) {
            boolean counts = Native.getLong(targets + 8L * r) != ignore;
            double max = Native.getFloat(lse + 4L * r);
            double log = Native.getFloat(loss + 4L * r);
            Native.setFloat(lse + 4L * r, (float) (max + log));
            Native.setFloat(loss + 4L * r, counts ? (float) (log + (max - chosen[r])) : 0);
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
            lessTarget(dlogits, r, Native.getLong(targets + 8 * r), Native.getFloat(g + 4 * r), classes, ignore);
        }
    }

    /// A row of gradients whose target has been treated like the others.
    private static void lessTarget(long dlogits, long r, long target, float g, int classes, long ignore) {
        long row = dlogits + 4 * r * classes;
        if (target == ignore) {
            Native.zero(row, 4L * classes);
        } else {
            long at = row + 4 * target;
            Native.setFloat(at, Native.getFloat(at) - g);
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

    void crossEntropyWithGrad(
            long logits, long targets, long loss, long lse, long dlogits, long rows, int classes, long ignore) {
        float[] chosen = chosen(logits, targets, rows, classes, ignore);
        lossWithGradient.call(rows, classes, logits, lse, loss, dlogits);
        losses(chosen, targets, loss, lse, ignore);
        for (long r = 0; r < rows; r++) {
            lessTarget(dlogits, r, Native.getLong(targets + 8 * r), 1, classes, ignore);
        }
    }

    /// What [#logSum] gives, and the softmax.
    private static void lossWithGradient(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value x = r.floats(n).load();
        var largest = r.column();
        var logSum = r.column();
        var dx = r.floats(n);
        r.rows(rows, () -> {
            Value max = max(r, n, x);
            r.once(largest.set(max));
            Value e = Functions.exp(x.minus(max));
            Value sum = r.sum(n, e, dx.set(e));
            r.once(logSum.set(Functions.log(sum)));
            Value scale = r.once(sum.reciprocal());
            r.each(n, dx.set(dx.load().times(scale)));
        });
    }
}
