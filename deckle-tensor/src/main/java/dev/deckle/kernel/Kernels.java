package dev.deckle.kernel;

import dev.deckle.tensor.DType;

/// The arithmetic behind the door, as leaves: each call works on plain memory, alone on its thread, and keeps nothing.
/// Splitting the work, allocating, checking shapes, bounds and lifetimes is done above.
///
/// **Memory.** Every `long` pointer is an absolute address in [Native#ALL]. Strides, sizes and leading dimensions count
/// elements, never bytes. Arrays are contiguous unless a stride is given. An output may be the same array as an input
/// of equal shape, but not overlap it otherwise.
///
/// **Determinism.** The result of a call depends on its arguments only, never on the thread or the thread count.
///
/// **Types.** `t` is the type of all floating-point operands, F32 or F64; only [#matmulRounded] also knows BF16. A
/// backend implements the families and types that it [#supports] and leaves the others alone. [ScalarKernels]
/// implements all of them and is the definition.
///
/// **BF16: what is rounded, and when.** With r(x) the number of BF16 nearest to the float x, ties to even, and W the
/// weights, of BF16:
/// ```
/// y  = r(x) W^T                          [#matmulRounded]           products and sums in F32, none of them rounded
/// dx = r(dy) W                           [#matmulRounded]
/// dW = r(dy)^T r(x)                      [#matmulRounded]
/// G  = r(dW), later r(G + dW)            [#narrow]                  where the gradient G is gathered in BF16
/// ```
/// Each number is rounded once on its way in, whatever uses it, and a sum once on its way out, when it is complete.
/// What such products alone read may be of BF16 already: r(r(x)) is r(x), and half as much goes through memory.
/// Backends differ in the order of the additions alone, and in that numbers below the smallest normal one may count as
/// 0, as the processors' units have it.
public interface Kernels {
    /// `scalar`, `vector`, `x86`.
    String name();

    boolean supports(Family family, DType t);

    /// Whether the processor multiplies numbers of BF16 itself. Where it does not, their products are made of those of
    /// floats.
    default boolean multipliesHalves() {
        return false;
    }

    /// What it runs on, in a line for `doctor`.
    default String describe() {
        return name();
    }

    // ---- ELEMENTWISE

    /// `y[i] = f(x[i])`.
    default void unary(DType t, UnaryFn f, long x, long y, long n) {
        throw missing();
    }

    /// `dx[i] = dy[i] f'(x[i])`.
    default void unaryGrad(DType t, UnaryFn f, long x, long dy, long dx, long n) {
        throw missing();
    }

    /// `y[i] = f(a[i sa], b[i sb])` with `sa` and `sb` 0 (one value for all) or 1; `f` is not a comparison.
    default void binary(DType t, BinaryFn f, long a, int sa, long b, int sb, long y, long n) {
        throw missing();
    }

    /// `y[i] = x[i] mul + add`.
    default void affine(DType t, long x, double mul, double add, long y, long n) {
        throw missing();
    }

    /// Floats to BF16: `y[i] = r(x[i])`, or `y[i] = r(y[i] + x[i])` where `add`, summed in F32. Part of
    /// [Family#ELEMENTWISE] of F32, as [#widen] is.
    default void narrow(long x, long y, long n, boolean add) {
        throw missing();
    }

    /// BF16 to floats, exactly.
    default void widen(long x, long y, long n) {
        throw missing();
    }

    // ---- REDUCE

    /// x is (outer, n, inner), y is (outer, inner): `y[o, i] = f over j of x[o, j, i]`. The sum of nothing is 0, the
    /// maximum of nothing -Infinity. NaN wins a maximum.
    default void reduce(DType t, ReduceFn f, long x, long y, long outer, long n, long inner) {
        throw missing();
    }

    /// `y[i] = sum over j of a[i, j] b[i, j]` for rows `as` and `bs` apart.
    default void rowDots(DType t, long a, long as, long b, long bs, long y, long rows, int n) {
        throw missing();
    }

    // ---- MATMUL

    /// `C[m, n] = A[m, k] B[k, n]`, added to C where `accumulate`. Element (i, j) of A is at `a + i ars + j acs` and
    /// likewise for B, so NN, NT, TN and TT are one call: one of the two strides of each operand is 1. C has rows of
    /// unit stride `crs` apart. `team` may be used to share the work (its results must not depend on the thread count);
    /// [Team#serial()] keeps the call on its thread. `k` = 0 gives zeros (or leaves C).
    default void matmul(
            DType t, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        throw missing();
    }

    /// The same of numbers of BF16, with C of F32: A and B are of BF16, or of F32 and rounded, see above. This is
    /// [Family#MATMUL] of BF16.
    ///
    /// @param ta the type of A, F32 or BF16
    /// @param tb the type of B, F32 or BF16
    default void matmulRounded(
            DType ta, DType tb, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        throw missing();
    }

    // ---- SOFTMAX: rows of n

    /// `y = softmax(x)` by row, or its logarithm. A row of -Infinity only gives NaN, as the definition does.
    default void softmax(DType t, boolean log, long x, long y, long rows, int n) {
        throw missing();
    }

    /// From `y` as [#softmax] gave it: `dx = y (dy - sum(dy y))`, with `log`: `dx = dy - exp(y) sum(dy)`.
    default void softmaxGrad(DType t, boolean log, long y, long dy, long dx, long rows, int n) {
        throw missing();
    }

    // ---- ATTENTION: one tile of scores, see [FlashAttention]

    /// One step of the online softmax over a tile of raw scores `s` (rows, cols), rows `ss` apart. Row i sees its first
    /// `visible + i` columns (clamped to 0..cols; pass `cols` or more where all are seen). `mask`, if not 0, is added
    /// to the scaled scores: rows `ms` apart (0: one row for all). For each row, with its running maximum `m`, sum `l`
    /// and output row `o` of `d` numbers, rows `os` apart:
    /// ```
    /// z = s scale + mask;  m' = max(m, max z);  p = exp(z - m');  a = exp(m - m')
    /// l = l a + sum p;  o = o a;  m = m';  s = p   (unseen columns: p = 0)
    /// ```
    /// Before the first tile m is -Infinity, l and o are 0. A row that has seen nothing keeps m = -Infinity, l = 0 and
    /// p = 0: no NaN. A NaN among the scores makes l NaN.
    default void attentionTile(
            DType t, long s, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long m, long l, long o, long os, int d) {
        throw missing();
    }

    /// What rows of [#attentionTile] come to after their last tile: `y = o / l`, rows `ys` apart, and `lse = m + log
    /// l`. A row that has seen nothing gets y = 0 and lse = -Infinity.
    default void attentionEnd(
            DType t, long m, long l, long o, long os, long y, long ys, long lse, int rows, int d) {
        throw missing();
    }

    /// The same tile on the way back: with `lse` (the row's m + log l) and `delta` (the row's sum of dO times O),
    /// `p = exp(s scale + mask - lse)` goes to `s` and `p (dp - delta) scale` to `dp` (rows `ss` apart as well). Unseen
    /// columns, and rows whose lse is -Infinity, get 0 in both.
    default void attentionTileGrad(
            DType t, long s, long dp, long ss, int rows, int cols, long visible, long mask, long ms,
            double scale, long lse, long delta) {
        throw missing();
    }

    // ---- NORM: rows of n

    /// `y = x rstd w`, `rstd = 1 / sqrt(mean(x^2) + eps)` (one a row, kept for the gradient).
    default void rmsNorm(DType t, long x, long w, long y, long rstd, long rows, int n, double eps) {
        throw missing();
    }

    /// Both gradients are ADDED: x's to `dx` by row, as x mostly has one already, of the residual beside the norm; this
    /// call's share of the weight's to `dw` (n numbers).
    default void rmsNormGrad(DType t, long x, long w, long rstd, long dy, long dx, long dw, long rows, int n) {
        throw missing();
    }

    /// `y = (x - mean) rstd w + b` with the biased variance; `mean` and `rstd`, one a row, are kept for the gradient.
    default void layerNorm(DType t, long x, long w, long b, long y, long mean, long rstd, long rows, int n,
            double eps) {
        throw missing();
    }

    /// All three are ADDED, as there; the bias's to `db`.
    default void layerNormGrad(
            DType t, long x, long w, long mean, long rstd, long dy, long dx, long dw, long db, long rows, int n) {
        throw missing();
    }

    // ---- ROPE

    /// Rotates rows of n numbers, `xs` (in x) and `ys` (in y) apart, row by row by the angles whose cosines and sines
    /// are in rows of n/2, `as` apart: 0 where all rows turn by the same. Pairs are (i, i + n/2), or (2i, 2i + 1) where
    /// `interleaved`; `inverse` rotates back, which is the gradient.
    default void rope(
            DType t, long x, long xs, long y, long ys, long cos, long sin, long as, long rows, int n,
            boolean interleaved, boolean inverse) {
        throw missing();
    }

    // ---- SWIGLU

    /// `y = silu(gate) up`.
    default void swiglu(DType t, long gate, long up, long y, long n) {
        throw missing();
    }

    /// `dgate = dy up silu'(gate)`, `dup = dy silu(gate)`.
    default void swigluGrad(DType t, long gate, long up, long dy, long dgate, long dup, long n) {
        throw missing();
    }

    // ---- CROSS_ENTROPY: rows of `classes` logits, one I64 target a row

    /// `loss = lse - logits[target]`, `lse = log sum exp(logits)` (kept for the gradient); 0 where the target is
    /// `ignore`. Any other target is in 0..classes-1: the caller has looked.
    default void crossEntropy(
            DType t, long logits, long targets, long loss, long lse, long rows, int classes, long ignore) {
        throw missing();
    }

    /// `dlogits = g (exp(logits - lse) - onehot(target))` with one g a row; 0 where the target is `ignore`.
    default void crossEntropyGrad(
            DType t, long logits, long targets, long lse, long g, long dlogits, long rows, int classes, long ignore) {
        throw missing();
    }

    /// Both at once, with each exponential computed once: `loss` and `lse` as [#crossEntropy] gives them, and `dlogits`
    /// as [#crossEntropyGrad] does for a g of 1.
    default void crossEntropyWithGrad(
            DType t, long logits, long targets, long loss, long lse, long dlogits, long rows, int classes,
            long ignore) {
        throw missing();
    }

    // ---- OPTIMIZER

    /// The sum of squares, in f64.
    default double sumOfSquares(DType t, long x, long n) {
        throw missing();
    }

    /// One AdamW step (Loshchilov and Hutter 2019, in PyTorch's form): with `g' = g gradScale`,
    /// `p -= lr decay p; m = b1 m + (1 - b1) g'; v = b2 v + (1 - b2) g'^2; p -= lr (m / c1) / (sqrt(v / c2) + eps)`,
    /// where c1 = 1 - b1^step and c2 = 1 - b2^step.
    default void adamw(
            DType t, long p, long g, long m, long v, long n,
            double gradScale, double lr, double b1, double b2, double eps, double decay, double c1, double c2) {
        throw missing();
    }

    private UnsupportedOperationException missing() {
        return new UnsupportedOperationException(name() + " has no such kernel: ask supports() first");
    }
}
