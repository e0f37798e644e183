package dev.deckle.x86;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.ReduceFn;
import dev.deckle.kernel.Team;
import dev.deckle.kernel.UnaryFn;
import dev.deckle.tensor.DType;
import dev.deckle.x86.emit.Isa;

/// All kernels in F32, and the products with weights of BF16, by emitted code. This class only hands on; each family
/// has a class of its own.
final class X86Kernels implements Kernels {
    private final Cpu cpu;
    private final Isa isa;
    private final Products products;
    private final Elementwise elementwise;
    private final Reduce reduce;
    private final Softmax softmax;
    private final AttentionTile attentionTile;
    private final Norm norm;
    private final Rope rope;
    private final SwiGlu swiglu;
    private final Adam adam;

    X86Kernels(Cpu cpu, Isa isa, Halves halves) {
        this.cpu = cpu;
        this.isa = isa;
        products = new Products(isa, halves);
        elementwise = new Elementwise(isa);
        reduce = new Reduce(isa);
        softmax = new Softmax(isa);
        attentionTile = new AttentionTile(isa);
        norm = new Norm(isa);
        rope = new Rope(isa);
        swiglu = new SwiGlu(isa);
        adam = new Adam(isa);
    }

    /// @param asked `avx2`, `avx512` (without AMX), `amx`, or empty for the best there is
    static X86Kernels open(String asked) {
        return open(asked, Cpu.detect());
    }

    static X86Kernels open(String asked, Cpu cpu) {
        Isa best = cpu.isa().orElseThrow(() -> new UnsupportedOperationException(
                "needs AVX2 and FMA, and a system that saves their registers; found " + cpu.describe()));
        Isa isa = switch (asked) {
            case "" -> best;
            case "avx2" -> Isa.AVX2;
            case "avx512", "amx" -> Isa.AVX512;
            default -> throw new UnsupportedOperationException("deckle.x86.isa is avx2, avx512 or amx, not " + asked);
        };
        if (isa.compareTo(best) > 0) {
            throw new UnsupportedOperationException(isa.title + " was asked for; found " + cpu.describe());
        }
        Halves halves = Halves.open(cpu, isa, asked.isEmpty() || asked.equals("amx"));
        if (asked.equals("amx") && !halves.amx()) {
            throw new UnsupportedOperationException("AMX was asked for; found " + cpu.describe() + halves.describe());
        }
        return new X86Kernels(cpu, isa, halves);
    }

    Code code() {
        return products.code();
    }

    @Override
    public String name() {
        return "x86";
    }

    @Override
    public String describe() {
        return cpu.describe() + ": f32 by emitted " + isa.title + ", tile " + isa.rows + "x" + 2 * isa.lanes
                + products.halves().describe();
    }

    @Override
    public boolean supports(Family family, DType t) {
        return t == DType.F32 || t == DType.BF16 && family == Family.MATMUL && multipliesHalves();
    }

    @Override
    public boolean multipliesHalves() {
        return products.halves().code().isPresent();
    }

    private static void check(DType t) {
        if (t != DType.F32) {
            throw new UnsupportedOperationException("the x86 kernels compute in F32, not in " + t);
        }
    }

    @Override
    public void unary(DType t, UnaryFn f, long x, long y, long n) {
        check(t);
        elementwise.unary(f, x, y, n);
    }

    @Override
    public void unaryGrad(DType t, UnaryFn f, long x, long dy, long dx, long n) {
        check(t);
        elementwise.unaryGrad(f, x, dy, dx, n);
    }

    @Override
    public void binary(DType t, BinaryFn f, long a, int sa, long b, int sb, long y, long n) {
        check(t);
        elementwise.binary(f, a, sa, b, sb, y, n);
    }

    @Override
    public void affine(DType t, long x, double mul, double add, long y, long n) {
        check(t);
        elementwise.affine(x, mul, add, y, n);
    }

    @Override
    public void narrow(long x, long y, long n, boolean add) {
        elementwise.narrow(x, y, n, add);
    }

    @Override
    public void widen(long x, long y, long n) {
        elementwise.widen(x, y, n);
    }

    @Override
    public void reduce(DType t, ReduceFn f, long x, long y, long outer, long n, long inner) {
        check(t);
        reduce.reduce(f, x, y, outer, n, inner);
    }

    @Override
    public void rowDots(DType t, long a, long as, long b, long bs, long y, long rows, int n) {
        check(t);
        reduce.rowDots(a, as, b, bs, y, rows, n);
    }

    @Override
    public void matmul(
            DType t, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        products.matmul(t, m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate, team);
    }

    @Override
    public void matmulRounded(
            DType ta, DType tb, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        products.matmulRounded(ta, tb, m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate, team);
    }

    @Override
    public void softmax(DType t, boolean log, long x, long y, long rows, int n) {
        check(t);
        softmax.forward(log, x, y, rows, n);
    }

    @Override
    public void softmaxGrad(DType t, boolean log, long y, long dy, long dx, long rows, int n) {
        check(t);
        softmax.backward(log, y, dy, dx, rows, n);
    }

    @Override
    public void attentionTile(
            DType t, long s, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long m, long l, long o, long os, int d) {
        check(t);
        attentionTile.forward(s, ss, rows, cols, visible, mask, ms, scale, m, l, o, os, d);
    }

    @Override
    public void attentionEnd(
            DType t, long m, long l, long o, long os, long y, long ys, long lse, int rows, int d) {
        check(t);
        attentionTile.end(m, l, o, os, y, ys, lse, rows, d);
    }

    @Override
    public void attentionTileGrad(
            DType t, long s, long dp, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long lse, long delta) {
        check(t);
        attentionTile.backward(s, dp, ss, rows, cols, visible, mask, ms, scale, lse, delta);
    }

    @Override
    public void rmsNorm(DType t, long x, long w, long y, long rstd, long rows, int n, double eps) {
        check(t);
        norm.rms(x, w, y, rstd, rows, n, eps);
    }

    @Override
    public void rmsNormGrad(DType t, long x, long w, long rstd, long dy, long dx, long dw, long rows, int n) {
        check(t);
        norm.rmsGrad(x, w, rstd, dy, dx, dw, rows, n);
    }

    @Override
    public void layerNorm(DType t, long x, long w, long b, long y, long mean, long rstd, long rows, int n, double eps) {
        check(t);
        norm.layer(x, w, b, y, mean, rstd, rows, n, eps);
    }

    @Override
    public void layerNormGrad(
            DType t, long x, long w, long mean, long rstd, long dy, long dx, long dw, long db, long rows, int n) {
        check(t);
        norm.layerGrad(x, w, mean, rstd, dy, dx, dw, db, rows, n);
    }

    @Override
    public void rope(
            DType t, long x, long xs, long y, long ys, long cos, long sin, long as, long rows, int n,
            boolean interleaved, boolean inverse) {
        check(t);
        rope.rows(x, xs, y, ys, cos, sin, as, rows, n, interleaved, inverse);
    }

    @Override
    public void swiglu(DType t, long gate, long up, long y, long n) {
        check(t);
        swiglu.forward(gate, up, y, n);
    }

    @Override
    public void swigluGrad(DType t, long gate, long up, long dy, long dgate, long dup, long n) {
        check(t);
        swiglu.backward(gate, up, dy, dgate, dup, n);
    }

    @Override
    public void crossEntropy(
            DType t, long logits, long targets, long loss, long lse, long rows, int classes, long ignore) {
        check(t);
        softmax.crossEntropy(logits, targets, loss, lse, rows, classes, ignore);
    }

    @Override
    public void crossEntropyGrad(
            DType t, long logits, long targets, long lse, long g, long dlogits, long rows, int classes, long ignore) {
        check(t);
        softmax.crossEntropyGrad(logits, targets, lse, g, dlogits, rows, classes, ignore);
    }

    @Override
    public void crossEntropyWithGrad(
            DType t, long logits, long targets, long loss, long lse, long dlogits, long rows, int classes,
            long ignore) {
        check(t);
        softmax.crossEntropyWithGrad(logits, targets, loss, lse, dlogits, rows, classes, ignore);
    }

    @Override
    public double sumOfSquares(DType t, long x, long n) {
        check(t);
        return adam.sumOfSquares(x, n);
    }

    @Override
    public void adamw(
            DType t, long p, long g, long m, long v, long n,
            double gradScale, double lr, double b1, double b2, double eps, double decay, double c1, double c2) {
        check(t);
        adam.update(p, g, m, v, n, gradScale, lr, b1, b2, eps, decay, c1, c2);
    }
}
