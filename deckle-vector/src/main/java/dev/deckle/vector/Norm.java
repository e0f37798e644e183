package dev.deckle.vector;

import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.all;
import static dev.deckle.vector.Lanes.first;
import static dev.deckle.vector.Lanes.load;
import static dev.deckle.vector.Lanes.store;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/// RMSNorm and LayerNorm by row. The formulas of the gradients are at their definition, in
/// [dev.deckle.kernel.ScalarKernels]: with h the normalised row and `g = dy w`, `dx = rstd (g - mean(g) - h mean(g h))`.
final class Norm {
    private Norm() {}

    // ---- RMSNorm

    static void rms(long x, long w, long y, long rstd, long rows, int n, double eps) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            double inv = 1 / Math.sqrt((double) Rows.dot(x + row, x + row, n) / n + eps);
            Native.setFloat(rstd + 4 * r, (float) inv);
            scale(x + row, w, y + row, n, (float) inv);
        }
    }

    private static void scale(long x, long w, long y, int n, float inv) {
        int i = 0;
        for (; i <= n - N; i += N) {
            store(load(x + 4L * i).mul(inv).mul(load(w + 4L * i)), y + 4L * i);
        }
        for (; i < n; i++) {
            Native.setFloat(y + 4L * i, Native.getFloat(x + 4L * i) * inv * Native.getFloat(w + 4L * i));
        }
    }

    static void rmsGrad(long x, long w, long rstd, long dy, long dx, long dw, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            float inv = Native.getFloat(rstd + 4 * r);
            float mean = product(dy + row, w, x + row, n) * inv / n;
            rmsGradRow(x + row, w, inv, mean, dy + row, dx + row, dw, n);
        }
    }

    /// The sum of `a b c`.
    private static float product(long a, long b, long c, int n) {
        FloatVector sum = all(0f);
        int i = 0;
        for (; i <= n - N; i += N) {
            sum = load(a + 4L * i).mul(load(b + 4L * i)).fma(load(c + 4L * i), sum);
        }
        float s = Lanes.sum(sum);
        for (; i < n; i++) {
            s += Native.getFloat(a + 4L * i) * Native.getFloat(b + 4L * i) * Native.getFloat(c + 4L * i);
        }
        return s;
    }

    private static void rmsGradRow(long x, long w, float inv, float mean, long dy, long dx, long dw, int n) {
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector h = load(x + 4L * i).mul(inv);
            FloatVector d = load(dy + 4L * i);
            store(d.fma(h, load(dw + 4L * i)), dw + 4L * i);
            store(d.mul(load(w + 4L * i)).sub(h.mul(mean)).mul(inv), dx + 4L * i);
        }
        for (; i < n; i++) {
            float h = Native.getFloat(x + 4L * i) * inv;
            float d = Native.getFloat(dy + 4L * i);
            Native.setFloat(dw + 4L * i, Native.getFloat(dw + 4L * i) + d * h);
            Native.setFloat(dx + 4L * i, (d * Native.getFloat(w + 4L * i) - h * mean) * inv);
        }
    }

    // ---- LayerNorm

    static void layer(long x, long w, long b, long y, long mean, long rstd, long rows, int n, double eps) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            float mu = (float) (Reduce.sum(x + row, n) / n);
            float inv = (float) (1 / Math.sqrt((double) squares(x + row, mu, n) / n + eps));
            Native.setFloat(mean + 4 * r, mu);
            Native.setFloat(rstd + 4 * r, inv);
            layerRow(x + row, w, b, y + row, mu, inv, n);
        }
    }

    /// The sum of `(x - mu)^2`.
    private static float squares(long x, float mu, int n) {
        FloatVector sum = all(0f);
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector c = load(x + 4L * i).sub(mu);
            sum = c.fma(c, sum);
        }
        float s = Lanes.sum(sum);
        for (; i < n; i++) {
            float c = Native.getFloat(x + 4L * i) - mu;
            s += c * c;
        }
        return s;
    }

    private static void layerRow(long x, long w, long b, long y, float mu, float inv, int n) {
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector h = load(x + 4L * i).sub(mu).mul(inv);
            store(h.fma(load(w + 4L * i), load(b + 4L * i)), y + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> rest = first(n - i);
            FloatVector h = load(x + 4L * i, rest).sub(mu).mul(inv);
            store(h.fma(load(w + 4L * i, rest), load(b + 4L * i, rest)), y + 4L * i, rest);
        }
    }

    static void layerGrad(
            long x, long w, long mean, long rstd, long dy, long dx, long dw, long db, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            float mu = Native.getFloat(mean + 4 * r);
            float inv = Native.getFloat(rstd + 4 * r);
            float meanG = Rows.dot(dy + row, w, n) / n;
            float meanGh = centred(dy + row, w, x + row, mu, n) * inv / n;
            shares(x + row, mu, inv, dy + row, dw, db, n);
            layerGradRow(x + row, w, mu, inv, meanG, meanGh, dy + row, dx + row, n);
        }
    }

    /// The sum of `a b (x - mu)`.
    private static float centred(long a, long b, long x, float mu, int n) {
        FloatVector sum = all(0f);
        int i = 0;
        for (; i <= n - N; i += N) {
            sum = load(a + 4L * i).mul(load(b + 4L * i)).fma(load(x + 4L * i).sub(mu), sum);
        }
        float s = Lanes.sum(sum);
        for (; i < n; i++) {
            s += Native.getFloat(a + 4L * i) * Native.getFloat(b + 4L * i) * (Native.getFloat(x + 4L * i) - mu);
        }
        return s;
    }

    private static void shares(long x, float mu, float inv, long dy, long dw, long db, int n) {
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector d = load(dy + 4L * i);
            store(load(x + 4L * i).sub(mu).mul(inv).fma(d, load(dw + 4L * i)), dw + 4L * i);
            store(d.add(load(db + 4L * i)), db + 4L * i);
        }
        for (; i < n; i++) {
            float d = Native.getFloat(dy + 4L * i);
            float h = (Native.getFloat(x + 4L * i) - mu) * inv;
            Native.setFloat(dw + 4L * i, Native.getFloat(dw + 4L * i) + d * h);
            Native.setFloat(db + 4L * i, Native.getFloat(db + 4L * i) + d);
        }
    }

    private static void layerGradRow(
            long x, long w, float mu, float inv, float meanG, float meanGh, long dy, long dx, int n) {
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector h = load(x + 4L * i).sub(mu).mul(inv);
            FloatVector g = load(dy + 4L * i).mul(load(w + 4L * i));
            store(g.sub(meanG).sub(h.mul(meanGh)).mul(inv), dx + 4L * i);
        }
        for (; i < n; i++) {
            float h = (Native.getFloat(x + 4L * i) - mu) * inv;
            float g = Native.getFloat(dy + 4L * i) * Native.getFloat(w + 4L * i);
            Native.setFloat(dx + 4L * i, (g - meanG - h * meanGh) * inv);
        }
    }
}
