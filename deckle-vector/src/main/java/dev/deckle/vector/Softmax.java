package dev.deckle.vector;

import static dev.deckle.vector.Lanes.BLOCK;

import dev.deckle.kernel.Native;

/// The softmax of rows, its logarithm and their gradients, composed of passes that other kernels have.
final class Softmax {
    private Softmax() {}

    static void forward(boolean log, long x, long y, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            float max = Reduce.maxOfNumbers(x + row, n, 1);
            if (log) {
                // the difference to the maximum first: it has the small numbers
                float logSum = (float) Math.log(sumExp(x + row, n, max));
                Elementwise.affine(x + row, 1, -max, y + row, n);
                Elementwise.affine(y + row, 1, -logSum, y + row, n);
            } else {
                Exp.map(x + row, y + row, n, 1, -max);
                Elementwise.affine(y + row, (float) (1 / Reduce.sum(y + row, n)), 0, y + row, n);
            }
        }
    }

    /// The sum of `exp(x - max)`.
    static double sumExp(long x, int n, float max) {
        long e = Lanes.block(0);
        int block = (int) (BLOCK / 4);
        double sum = 0;
        for (int i = 0; i < n; i += block) {
            int m = Math.min(block, n - i);
            Exp.map(x + 4L * i, e, m, 1, -max);
            sum += Reduce.sum(e, m);
        }
        return sum;
    }

    static void backward(boolean log, long y, long dy, long dx, long rows, int n) {
        long p = Lanes.block(0);
        int block = (int) (BLOCK / 4);
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            if (!log) {
                Combine.productOfDifference(y + row, dy + row, Reduce.dot(y + row, dy + row, n), 1, dx + row, n);
                continue;
            }
            float sum = (float) Reduce.sum(dy + row, n);
            for (int i = 0; i < n; i += block) {
                int m = Math.min(block, n - i);
                Exp.map(y + row + 4L * i, p, m, 1, 0);
                Combine.addScaled(p, -sum, dy + row + 4L * i, dx + row + 4L * i, m);
            }
        }
    }

    /// `loss = log sum exp(logits) - logits[target]` by row.
    static void crossEntropy(long logits, long targets, long loss, long lse, long rows, int classes, long ignore) {
        for (long r = 0; r < rows; r++) {
            long row = logits + 4 * r * classes;
            long target = Native.getLong(targets + 8 * r);
            float max = Reduce.maxOfNumbers(row, classes, 1);
            double logSum = max + Math.log(sumExp(row, classes, max));
            Native.setFloat(lse + 4 * r, (float) logSum);
            Native.setFloat(loss + 4 * r, target == ignore ? 0 : (float) (logSum - Native.getFloat(row + 4 * target)));
        }
    }

    static void crossEntropyGrad(
            long logits, long targets, long lse, long g, long dlogits, long rows, int classes, long ignore) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * classes;
            long target = Native.getLong(targets + 8 * r);
            if (target == ignore) {
                Native.zero(dlogits + row, 4L * classes);
                continue;
            }
            float gr = Native.getFloat(g + 4 * r);
            Exp.map(logits + row, dlogits + row, classes, 1, -Native.getFloat(lse + 4 * r));
            if (gr != 1) {
                Elementwise.affine(dlogits + row, gr, 0, dlogits + row, classes);
            }
            long at = dlogits + row + 4 * target;
            Native.setFloat(at, Native.getFloat(at) - gr);
        }
    }

    static void crossEntropyWithGrad(
            long logits, long targets, long loss, long lse, long dlogits, long rows, int classes, long ignore) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * classes;
            long target = Native.getLong(targets + 8 * r);
            boolean counts = target != ignore;
            float chosen = counts ? Native.getFloat(logits + row + 4 * target) : 0;
            float max = Reduce.maxOfNumbers(logits + row, classes, 1);
            Exp.map(logits + row, dlogits + row, classes, 1, -max);
            double sum = Reduce.sum(dlogits + row, classes);
            double logSum = max + Math.log(sum);
            Native.setFloat(lse + 4 * r, (float) logSum);
            Native.setFloat(loss + 4 * r, counts ? (float) (logSum - chosen) : 0);
            if (counts) {
                Elementwise.affine(dlogits + row, (float) (1 / sum), 0, dlogits + row, classes);
                long at = dlogits + row + 4 * target;
                Native.setFloat(at, Native.getFloat(at) - 1);
            } else {
                Native.zero(dlogits + row, 4L * classes);
            }
        }
    }
}
