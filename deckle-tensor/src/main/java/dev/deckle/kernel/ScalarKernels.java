package dev.deckle.kernel;

import dev.deckle.tensor.DType;
import java.lang.foreign.ValueLayout;

/// The definition: every kernel as plain loops, computed in double and rounded once, where the result is stored.
///
/// It is the oracle of the other backends and the backend of machines that have no other. Attention is in
/// [ScalarAttention].
public final class ScalarKernels implements Kernels {
    public static final ScalarKernels INSTANCE = new ScalarKernels();

    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE;

    private ScalarKernels() {}

    /// Element i of an array of `t`.
    static double get(DType t, long array, long i) {
        return t == DType.F32 ? Native.getFloat(array + 4 * i) : Native.ALL.get(DOUBLE, array + 8 * i);
    }

    static void set(DType t, long array, long i, double value) {
        if (t == DType.F32) {
            Native.setFloat(array + 4 * i, (float) value);
        } else {
            Native.ALL.set(DOUBLE, array + 8 * i, value);
        }
    }

    private static void add(DType t, long array, long i, double value) {
        set(t, array, i, get(t, array, i) + value);
    }

    @Override
    public String name() {
        return "scalar";
    }

    @Override
    public boolean supports(Family family, DType t) {
        return t == DType.F32 || t == DType.F64 || t == DType.BF16 && family == Family.MATMUL;
    }

    // ---- ELEMENTWISE

    @Override
    public void unary(DType t, UnaryFn f, long x, long y, long n) {
        for (long i = 0; i < n; i++) {
            set(t, y, i, f.of(get(t, x, i)));
        }
    }

    @Override
    public void unaryGrad(DType t, UnaryFn f, long x, long dy, long dx, long n) {
        for (long i = 0; i < n; i++) {
            set(t, dx, i, get(t, dy, i) * f.derivative(get(t, x, i)));
        }
    }

    @Override
    public void binary(DType t, BinaryFn f, long a, int sa, long b, int sb, long y, long n) {
        for (long i = 0; i < n; i++) {
            set(t, y, i, f.of(get(t, a, i * sa), get(t, b, i * sb)));
        }
    }

    @Override
    public void affine(DType t, long x, double mul, double add, long y, long n) {
        for (long i = 0; i < n; i++) {
            set(t, y, i, get(t, x, i) * mul + add);
        }
    }

    @Override
    public void narrow(long x, long y, long n, boolean add) {
        for (long i = 0; i < n; i++) {
            float value = Native.getFloat(x + 4 * i);
            Bf16.set(y + 2 * i, add ? Bf16.get(y + 2 * i) + value : value);
        }
    }

    @Override
    public void widen(long x, long y, long n) {
        for (long i = 0; i < n; i++) {
            Native.setFloat(y + 4 * i, Bf16.get(x + 2 * i));
        }
    }

    // ---- REDUCE

    @Override
    public void reduce(DType t, ReduceFn f, long x, long y, long outer, long n, long inner) {
        for (long o = 0; o < outer; o++) {
            for (long i = 0; i < inner; i++) {
                double r = f == ReduceFn.SUM ? 0 : Double.NEGATIVE_INFINITY;
                for (long j = 0; j < n; j++) {
                    double e = get(t, x, (o * n + j) * inner + i);
                    r = f == ReduceFn.SUM ? r + e : Math.max(r, e);
                }
                set(t, y, o * inner + i, r);
            }
        }
    }

    @Override
    public void rowDots(DType t, long a, long as, long b, long bs, long y, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            double sum = 0;
            for (int i = 0; i < n; i++) {
                sum += get(t, a, r * as + i) * get(t, b, r * bs + i);
            }
            set(t, y, r, sum);
        }
    }

    // ---- MATMUL

    @Override
    public void matmul(
            DType t, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = accumulate ? get(t, c, i * crs + j) : 0;
                for (int p = 0; p < k; p++) {
                    sum += get(t, a, i * ars + p * acs) * get(t, b, p * brs + j * bcs);
                }
                set(t, c, i * crs + j, sum);
            }
        }
    }

    @Override
    public void matmulRounded(
            DType ta, DType tb, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = accumulate ? Native.getFloat(c + 4 * (i * crs + j)) : 0;
                for (int p = 0; p < k; p++) {
                    sum += rounded(ta, a, i * ars + p * acs) * rounded(tb, b, p * brs + j * bcs);
                }
                Native.setFloat(c + 4 * (i * crs + j), (float) sum);
            }
        }
    }

    private static double rounded(DType t, long array, long i) {
        return t == DType.BF16 ? Bf16.get(array + 2 * i) : Bf16.round(Native.getFloat(array + 4 * i));
    }

    // ---- SOFTMAX

    @Override
    public void softmax(DType t, boolean log, long x, long y, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            double max = max(t, x, r * n, n);
            double sum = sumExp(t, x, r * n, n, max);
            for (long i = r * n; i < (r + 1) * n; i++) {
                double e = get(t, x, i) - max;
                set(t, y, i, log ? e - Math.log(sum) : Math.exp(e) / sum);
            }
        }
    }

    @Override
    public void softmaxGrad(DType t, boolean log, long y, long dy, long dx, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            double sum = 0;
            for (long i = r * n; i < (r + 1) * n; i++) {
                sum += log ? get(t, dy, i) : get(t, dy, i) * get(t, y, i);
            }
            for (long i = r * n; i < (r + 1) * n; i++) {
                double e = get(t, y, i);
                double g = get(t, dy, i);
                set(t, dx, i, log ? g - Math.exp(e) * sum : e * (g - sum));
            }
        }
    }

    private static double max(DType t, long x, long from, int n) {
        double max = Double.NEGATIVE_INFINITY;
        for (long i = from; i < from + n; i++) {
            max = Math.max(max, get(t, x, i));
        }
        return max;
    }

    private static double sumExp(DType t, long x, long from, int n, double max) {
        double sum = 0;
        for (long i = from; i < from + n; i++) {
            sum += Math.exp(get(t, x, i) - max);
        }
        return sum;
    }

    // ---- ATTENTION

    @Override
    public void attentionTile(
            DType t, long s, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long m, long l, long o, long os, int d) {
        ScalarAttention.tile(t, s, ss, rows, cols, visible, mask, ms, scale, m, l, o, os, d);
    }

    @Override
    public void attentionEnd(
            DType t, long m, long l, long o, long os, long y, long ys, long lse, int rows, int d) {
        ScalarAttention.end(t, m, l, o, os, y, ys, lse, rows, d);
    }

    @Override
    public void attentionTileGrad(
            DType t, long s, long dp, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long lse, long delta) {
        ScalarAttention.tileGrad(t, s, dp, ss, rows, cols, visible, mask, ms, scale, lse, delta);
    }

    // ---- NORM

    @Override
    public void rmsNorm(DType t, long x, long w, long y, long rstd, long rows, int n, double eps) {
        for (long r = 0; r < rows; r++) {
            double squares = 0;
            for (int i = 0; i < n; i++) {
                squares += get(t, x, r * n + i) * get(t, x, r * n + i);
            }
            double inv = 1 / Math.sqrt(squares / n + eps);
            for (int i = 0; i < n; i++) {
                set(t, y, r * n + i, get(t, x, r * n + i) * inv * get(t, w, i));
            }
            set(t, rstd, r, inv);
        }
    }

    /// With `h = x rstd` and `g = dy w`: `dx += rstd (g - h mean(g h))`, `dw += dy h`.
    @Override
    public void rmsNormGrad(DType t, long x, long w, long rstd, long dy, long dx, long dw, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            double inv = get(t, rstd, r);
            double gh = 0;
            for (int i = 0; i < n; i++) {
                gh += get(t, dy, r * n + i) * get(t, w, i) * get(t, x, r * n + i) * inv;
            }
            for (int i = 0; i < n; i++) {
                double h = get(t, x, r * n + i) * inv;
                double dyi = get(t, dy, r * n + i);
                add(t, dx, r * n + i, inv * (dyi * get(t, w, i) - h * gh / n));
                add(t, dw, i, dyi * h);
            }
        }
    }

    @Override
    public void layerNorm(DType t, long x, long w, long b, long y, long mean, long rstd, long rows, int n, double eps) {
        for (long r = 0; r < rows; r++) {
            double sum = 0;
            for (int i = 0; i < n; i++) {
                sum += get(t, x, r * n + i);
            }
            double mu = sum / n;
            double squares = 0;
            for (int i = 0; i < n; i++) {
                double centred = get(t, x, r * n + i) - mu;
                squares += centred * centred;
            }
            double inv = 1 / Math.sqrt(squares / n + eps);
            for (int i = 0; i < n; i++) {
                set(t, y, r * n + i, (get(t, x, r * n + i) - mu) * inv * get(t, w, i) + get(t, b, i));
            }
            set(t, mean, r, mu);
            set(t, rstd, r, inv);
        }
    }

    /// With `h = (x - mean) rstd` and `g = dy w`: `dx = rstd (g - mean(g) - h mean(g h))`, `dw += dy h`, `db += dy`.
    @Override
    public void layerNormGrad(
            DType t, long x, long w, long mean, long rstd, long dy, long dx, long dw, long db, long rows, int n) {
        for (long r = 0; r < rows; r++) {
            double mu = get(t, mean, r);
            double inv = get(t, rstd, r);
            double g = 0;
            double gh = 0;
            for (int i = 0; i < n; i++) {
                double gi = get(t, dy, r * n + i) * get(t, w, i);
                g += gi;
                gh += gi * (get(t, x, r * n + i) - mu) * inv;
            }
            for (int i = 0; i < n; i++) {
                double h = (get(t, x, r * n + i) - mu) * inv;
                double dyi = get(t, dy, r * n + i);
                add(t, dx, r * n + i, inv * (dyi * get(t, w, i) - g / n - h * gh / n));
                add(t, dw, i, dyi * h);
                add(t, db, i, dyi);
            }
        }
    }

    // ---- ROPE

    @Override
    public void rope(
            DType t, long x, long xs, long y, long ys, long cos, long sin, long as, long rows, int n,
            boolean interleaved, boolean inverse) {
        int half = n / 2;
        for (long r = 0; r < rows; r++) {
            for (int i = 0; i < half; i++) {
                int first = interleaved ? 2 * i : i;
                int second = interleaved ? 2 * i + 1 : i + half;
                double c = get(t, cos, r * as + i);
                double s = inverse ? -get(t, sin, r * as + i) : get(t, sin, r * as + i);
                double u = get(t, x, r * xs + first);
                double v = get(t, x, r * xs + second);
                set(t, y, r * ys + first, u * c - v * s);
                set(t, y, r * ys + second, v * c + u * s);
            }
        }
    }

    // ---- SWIGLU

    @Override
    public void swiglu(DType t, long gate, long up, long y, long n) {
        for (long i = 0; i < n; i++) {
            set(t, y, i, UnaryFn.SILU.of(get(t, gate, i)) * get(t, up, i));
        }
    }

    @Override
    public void swigluGrad(DType t, long gate, long up, long dy, long dgate, long dup, long n) {
        for (long i = 0; i < n; i++) {
            double g = get(t, gate, i);
            double u = get(t, up, i);
            double dyi = get(t, dy, i);
            set(t, dgate, i, dyi * u * UnaryFn.SILU.derivative(g));
            set(t, dup, i, dyi * UnaryFn.SILU.of(g));
        }
    }

    // ---- CROSS_ENTROPY

    @Override
    public void crossEntropy(
            DType t, long logits, long targets, long loss, long lse, long rows, int classes, long ignore) {
        for (long r = 0; r < rows; r++) {
            long target = Native.getLong(targets + 8 * r);
            double max = max(t, logits, r * classes, classes);
            double logSum = max + Math.log(sumExp(t, logits, r * classes, classes, max));
            set(t, loss, r, target == ignore ? 0 : logSum - get(t, logits, r * classes + target));
            set(t, lse, r, logSum);
        }
    }

    @Override
    public void crossEntropyGrad(
            DType t, long logits, long targets, long lse, long g, long dlogits, long rows, int classes, long ignore) {
        for (long r = 0; r < rows; r++) {
            crossEntropyGrad(t, logits, targets, get(t, lse, r), get(t, g, r), dlogits, r, classes, ignore);
        }
    }

    private static void crossEntropyGrad(
            DType t, long logits, long targets, double lse, double g, long dlogits, long r, int classes, long ignore) {
        long target = Native.getLong(targets + 8 * r);
        for (int j = 0; j < classes; j++) {
            double p = Math.exp(get(t, logits, r * classes + j) - lse);
            set(t, dlogits, r * classes + j, target == ignore ? 0 : g * (p - (j == target ? 1 : 0)));
        }
    }

    @Override
    public void crossEntropyWithGrad(
            DType t, long logits, long targets, long loss, long lse, long dlogits, long rows, int classes,
            long ignore) {
        crossEntropy(t, logits, targets, loss, lse, rows, classes, ignore);
        for (long r = 0; r < rows; r++) {
            crossEntropyGrad(t, logits, targets, get(t, lse, r), 1, dlogits, r, classes, ignore);
        }
    }

    // ---- OPTIMIZER

    @Override
    public double sumOfSquares(DType t, long x, long n) {
        double sum = 0;
        for (long i = 0; i < n; i++) {
            sum += get(t, x, i) * get(t, x, i);
        }
        return sum;
    }

    @Override
    public void adamw(
            DType t, long p, long g, long m, long v, long n,
            double gradScale, double lr, double b1, double b2, double eps, double decay, double c1, double c2) {
        for (long i = 0; i < n; i++) {
            double gi = get(t, g, i) * gradScale;
            double mi = b1 * get(t, m, i) + (1 - b1) * gi;
            double vi = b2 * get(t, v, i) + (1 - b2) * gi * gi;
            double decayed = get(t, p, i) * (1 - lr * decay);
            set(t, p, i, decayed - lr * (mi / c1) / (Math.sqrt(vi / c2) + eps));
            set(t, m, i, mi);
            set(t, v, i, vi);
        }
    }
}
