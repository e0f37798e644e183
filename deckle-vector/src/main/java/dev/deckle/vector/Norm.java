package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;

/// RMSNorm and LayerNorm by row, and their gradients; RMSNorm is LayerNorm with a mean of 0 and no bias. With
/// `h = (x - mean) rstd` and `g = dy w`: `dx = rstd (g - mean(g) - h mean(g h))`, where RMSNorm has no mean(g).
final class Norm {
    private Norm() {}

    static void rms(long x, long w, long y, long rstd, long rows, int n, double eps) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            float inv = (float) (1 / Math.sqrt((double) Reduce.dot(x + row, x + row, n) / n + eps));
            Native.setFloat(rstd + 4 * r, inv);
            rmsRow(x + row, inv, w, y + row, n);
        }
    }

    private static void rmsRow(long x, float inv, long w, long y, int n) {
        FloatVector s = broadcast(F, inv);
        int i = 0;
        for (; i <= n - N; i += N) {
            fromMemorySegment(F, ALL, x + 4L * i, ORDER).mul(s)
                    .mul(fromMemorySegment(F, ALL, w + 4L * i, ORDER)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Native.setFloat(y + 4L * i, Native.getFloat(x + 4L * i) * inv * Native.getFloat(w + 4L * i));
        }
    }

    static void layer(long x, long w, long b, long y, long mean, long rstd, long rows, int n, double eps) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            float mu = (float) (Reduce.sum(x + row, n) / n);
            float inv = (float) (1 / Math.sqrt((double) squares(x + row, mu, n) / n + eps));
            Native.setFloat(mean + 4 * r, mu);
            Native.setFloat(rstd + 4 * r, inv);
            layerRow(x + row, mu, inv, w, b, y + row, n);
        }
    }

    /// The sum of `(x - mu)^2`.
    private static float squares(long x, float mu, int n) {
        FloatVector m = broadcast(F, mu);
        FloatVector s = broadcast(F, 0f);
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector centred = fromMemorySegment(F, ALL, x + 4L * i, ORDER).sub(m);
            s = centred.fma(centred, s);
        }
        long pad = Lanes.pad(7);
        s.intoMemorySegment(ALL, pad, ORDER);
        float sum = Lanes.sum(pad);
        for (; i < n; i++) {
            float centred = Native.getFloat(x + 4L * i) - mu;
            sum += centred * centred;
        }
        return sum;
    }

    private static void layerRow(long x, float mu, float inv, long w, long b, long y, int n) {
        FloatVector m = broadcast(F, mu);
        FloatVector s = broadcast(F, inv);
        int i = 0;
        for (; i <= n - N; i += N) {
            fromMemorySegment(F, ALL, x + 4L * i, ORDER).sub(m).mul(s)
                    .fma(fromMemorySegment(F, ALL, w + 4L * i, ORDER), fromMemorySegment(F, ALL, b + 4L * i, ORDER))
                    .intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float h = (Native.getFloat(x + 4L * i) - mu) * inv;
            Native.setFloat(y + 4L * i, Math.fma(h, Native.getFloat(w + 4L * i), Native.getFloat(b + 4L * i)));
        }
    }

    // ---- gradients

    static void rmsGrad(long x, long w, long rstd, long dy, long dx, long dw, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            float inv = Native.getFloat(rstd + 4 * r);
            float meanGh = centredProduct(dy + row, w, x + row, 0, n) * inv / n;
            weightGrad(x + row, 0, inv, dy + row, dw, n);
            rowGrad(x + row, 0, inv, w, dy + row, 0, meanGh, dx + row, n);
        }
    }

    static void layerGrad(
            long x, long w, long mean, long rstd, long dy, long dx, long dw, long db, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            long row = 4 * r * n;
            float mu = Native.getFloat(mean + 4 * r);
            float inv = Native.getFloat(rstd + 4 * r);
            float meanG = Reduce.dot(dy + row, w, n) / n;
            float meanGh = centredProduct(dy + row, w, x + row, mu, n) * inv / n;
            weightGrad(x + row, mu, inv, dy + row, dw, n);
            Combine.addScaled(dy + row, 1, db, db, n);
            rowGrad(x + row, mu, inv, w, dy + row, meanG, meanGh, dx + row, n);
        }
    }

    /// The sum of `a b (x - mu)`.
    private static float centredProduct(long a, long b, long x, float mu, int n) {
        FloatVector m = broadcast(F, mu);
        FloatVector s = broadcast(F, 0f);
        int i = 0;
        for (; i <= n - N; i += N) {
            s = fromMemorySegment(F, ALL, a + 4L * i, ORDER).mul(fromMemorySegment(F, ALL, b + 4L * i, ORDER))
                    .fma(fromMemorySegment(F, ALL, x + 4L * i, ORDER).sub(m), s);
        }
        long pad = Lanes.pad(7);
        s.intoMemorySegment(ALL, pad, ORDER);
        float sum = Lanes.sum(pad);
        for (; i < n; i++) {
            sum += Native.getFloat(a + 4L * i) * Native.getFloat(b + 4L * i) * (Native.getFloat(x + 4L * i) - mu);
        }
        return sum;
    }

    /// `dw += dy h`.
    private static void weightGrad(long x, float mu, float inv, long dy, long dw, int n) {
        FloatVector m = broadcast(F, mu);
        FloatVector s = broadcast(F, inv);
        int i = 0;
        for (; i <= n - N; i += N) {
            fromMemorySegment(F, ALL, x + 4L * i, ORDER).sub(m).mul(s)
                    .fma(fromMemorySegment(F, ALL, dy + 4L * i, ORDER), fromMemorySegment(F, ALL, dw + 4L * i, ORDER))
                    .intoMemorySegment(ALL, dw + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float h = (Native.getFloat(x + 4L * i) - mu) * inv;
            Native.setFloat(dw + 4L * i, Math.fma(h, Native.getFloat(dy + 4L * i), Native.getFloat(dw + 4L * i)));
        }
    }

    private static void rowGrad(
            long x, float mu, float inv, long w, long dy, float meanG, float meanGh, long dx, int n) {
        FloatVector m = broadcast(F, mu);
        FloatVector s = broadcast(F, inv);
        FloatVector g = broadcast(F, meanG);
        FloatVector gh = broadcast(F, -meanGh * inv);
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector centred = fromMemorySegment(F, ALL, x + 4L * i, ORDER).sub(m);
            FloatVector own = fromMemorySegment(F, ALL, dy + 4L * i, ORDER)
                    .mul(fromMemorySegment(F, ALL, w + 4L * i, ORDER)).sub(g);
            centred.fma(gh, own).fma(s, fromMemorySegment(F, ALL, dx + 4L * i, ORDER))
                    .intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float h = (Native.getFloat(x + 4L * i) - mu) * inv;
            float own = Native.getFloat(dy + 4L * i) * Native.getFloat(w + 4L * i) - meanG;
            Native.setFloat(dx + 4L * i, Native.getFloat(dx + 4L * i) + (own - h * meanGh) * inv);
        }
    }
}
