package dev.deckle.vector;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.ReduceFn;
import dev.deckle.kernel.Team;
import dev.deckle.kernel.UnaryFn;
import dev.deckle.tensor.DType;

/// All kernels in F32 on the Vector API. This class only hands on; each family has a class of its own.
public final class VectorKernels implements Kernels {
    private VectorKernels() {}

    /// @throws UnsupportedOperationException where the machine's vectors are shorter than 128 bits
    static Kernels open() {
        int bits = Lanes.F.vectorBitSize();
        if (bits < 128) {
            throw new UnsupportedOperationException(
                    "the JVM offers vectors of " + bits + " bits here, and at least 128 are needed");
        }
        return new VectorKernels();
    }

    @Override
    public String name() {
        return "vector";
    }

    @Override
    public String describe() {
        return "vectors of " + Lanes.F.vectorBitSize() + " bits (jdk.incubator.vector)";
    }

    @Override
    public boolean supports(Family family, DType t) {
        return t == DType.F32 || t == DType.BF16 && family == Family.MATMUL;
    }

    private static void check(DType t) {
        if (t != DType.F32) {
            throw new UnsupportedOperationException("the vector kernels compute in F32, not in " + t);
        }
    }

    @Override
    public void unary(DType t, UnaryFn f, long x, long y, long n) {
        check(t);
        Elementwise.unary(f, x, y, n);
    }

    @Override
    public void unaryGrad(DType t, UnaryFn f, long x, long dy, long dx, long n) {
        check(t);
        Elementwise.unaryGrad(f, x, dy, dx, n);
    }

    @Override
    public void binary(DType t, BinaryFn f, long a, int sa, long b, int sb, long y, long n) {
        check(t);
        Elementwise.binary(f, a, sa, b, sb, y, n);
    }

    @Override
    public void affine(DType t, long x, double mul, double add, long y, long n) {
        check(t);
        Elementwise.affine(x, (float) mul, (float) add, y, n);
    }

    @Override
    public void narrow(long x, long y, long n, boolean add) {
        Half.narrow(x, y, n, add);
    }

    @Override
    public void widen(long x, long y, long n) {
        Half.widen(x, y, n);
    }

    @Override
    public void reduce(DType t, ReduceFn f, long x, long y, long outer, long n, long inner) {
        check(t);
        Reduce.reduce(f, x, y, outer, n, inner);
    }

    @Override
    public void rowDots(DType t, long a, long as, long b, long bs, long y, long rows, int n) {
        check(t);
        for (long r = 0; r < rows; r++) {
            Native.setFloat(y + 4 * r, Reduce.dot(a + 4 * r * as, b + 4 * r * bs, n));
        }
    }

    @Override
    public void matmul(
            DType t, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        check(t);
        MatMul.run(MatMul.Kind.FLOATS, m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate, team);
    }

    @Override
    public void matmulRounded(
            DType ta, DType tb, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        MatMul.run(MatMul.Kind.rounded(ta, tb), m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate, team);
    }

    @Override
    public void softmax(DType t, boolean log, long x, long y, long rows, int n) {
        check(t);
        Softmax.forward(log, x, y, rows, n);
    }

    @Override
    public void softmaxGrad(DType t, boolean log, long y, long dy, long dx, long rows, int n) {
        check(t);
        Softmax.backward(log, y, dy, dx, rows, n);
    }

    @Override
    public void attentionTile(
            DType t, long s, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long m, long l, long o, long os, int d) {
        check(t);
        AttentionTile.forward(s, ss, rows, cols, visible, mask, ms, (float) scale, m, l, o, os, d);
    }

    @Override
    public void attentionEnd(
            DType t, long m, long l, long o, long os, long y, long ys, long lse, int rows, int d) {
        check(t);
        AttentionTile.end(m, l, o, os, y, ys, lse, rows, d);
    }

    @Override
    public void attentionTileGrad(
            DType t, long s, long dp, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long lse, long delta) {
        check(t);
        AttentionTile.backward(s, dp, ss, rows, cols, visible, mask, ms, (float) scale, lse, delta);
    }

    @Override
    public void rmsNorm(DType t, long x, long w, long y, long rstd, long rows, int n, double eps) {
        check(t);
        Norm.rms(x, w, y, rstd, rows, n, eps);
    }

    @Override
    public void rmsNormGrad(DType t, long x, long w, long rstd, long dy, long dx, long dw, long rows, int n) {
        check(t);
        Norm.rmsGrad(x, w, rstd, dy, dx, dw, rows, n);
    }

    @Override
    public void layerNorm(DType t, long x, long w, long b, long y, long mean, long rstd, long rows, int n, double eps) {
        check(t);
        Norm.layer(x, w, b, y, mean, rstd, rows, n, eps);
    }

    @Override
    public void layerNormGrad(
            DType t, long x, long w, long mean, long rstd, long dy, long dx, long dw, long db, long rows, int n) {
        check(t);
        Norm.layerGrad(x, w, mean, rstd, dy, dx, dw, db, rows, n);
    }

    @Override
    public void rope(
            DType t, long x, long xs, long y, long ys, long cos, long sin, long as, long rows, int n,
            boolean interleaved, boolean inverse) {
        check(t);
        Rope.rows(x, xs, y, ys, cos, sin, as, rows, n, interleaved, inverse);
    }

    @Override
    public void swiglu(DType t, long gate, long up, long y, long n) {
        check(t);
        SwiGlu.forward(gate, up, y, n);
    }

    @Override
    public void swigluGrad(DType t, long gate, long up, long dy, long dgate, long dup, long n) {
        check(t);
        SwiGlu.backward(gate, up, dy, dgate, dup, n);
    }

    @Override
    public void crossEntropy(
            DType t, long logits, long targets, long loss, long lse, long rows, int classes, long ignore) {
        check(t);
        Softmax.crossEntropy(logits, targets, loss, lse, rows, classes, ignore);
    }

    @Override
    public void crossEntropyGrad(
            DType t, long logits, long targets, long lse, long g, long dlogits, long rows, int classes, long ignore) {
        check(t);
        Softmax.crossEntropyGrad(logits, targets, lse, g, dlogits, rows, classes, ignore);
    }

    @Override
    public void crossEntropyWithGrad(
            DType t, long logits, long targets, long loss, long lse, long dlogits, long rows, int classes,
            long ignore) {
        check(t);
        Softmax.crossEntropyWithGrad(logits, targets, loss, lse, dlogits, rows, classes, ignore);
    }

    @Override
    public double sumOfSquares(DType t, long x, long n) {
        check(t);
        return Reduce.sumOfSquares(x, n);
    }

    @Override
    public void adamw(
            DType t, long p, long g, long m, long v, long n,
            double gradScale, double lr, double b1, double b2, double eps, double decay, double c1, double c2) {
        check(t);
        Adam.of(gradScale, lr, b1, b2, eps, decay, c1, c2).update(p, g, m, v, n);
    }
}
