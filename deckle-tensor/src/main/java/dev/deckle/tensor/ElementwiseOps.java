package dev.deckle.tensor;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.UnaryFn;

/// Element-wise operations. Two operands broadcast by NumPy's rule and must have the same type.
interface ElementwiseOps {
    private Tensor self() {
        return (Tensor) this;
    }

    private Tensor unary(UnaryFn f) {
        return Eager.run(new Op.Unary(f, self()));
    }

    private Tensor binary(BinaryFn f, Tensor other) {
        return Eager.run(new Op.Binary(f, self(), other));
    }

    default Tensor neg() {
        return unary(UnaryFn.NEG);
    }

    default Tensor abs() {
        return unary(UnaryFn.ABS);
    }

    /// -1, 0 or 1.
    default Tensor sign() {
        return unary(UnaryFn.SIGN);
    }

    default Tensor exp() {
        return unary(UnaryFn.EXP);
    }

    /// The natural logarithm.
    default Tensor log() {
        return unary(UnaryFn.LOG);
    }

    default Tensor sqrt() {
        return unary(UnaryFn.SQRT);
    }

    /// 1 / sqrt(x).
    default Tensor rsqrt() {
        return unary(UnaryFn.RSQRT);
    }

    /// 1 / x.
    default Tensor reciprocal() {
        return unary(UnaryFn.RECIPROCAL);
    }

    default Tensor sin() {
        return unary(UnaryFn.SIN);
    }

    default Tensor cos() {
        return unary(UnaryFn.COS);
    }

    default Tensor tanh() {
        return unary(UnaryFn.TANH);
    }

    /// The error function.
    default Tensor erf() {
        return unary(UnaryFn.ERF);
    }

    /// 1 / (1 + exp(-x)).
    default Tensor sigmoid() {
        return unary(UnaryFn.SIGMOID);
    }

    /// log(sigmoid(x)), stable for large |x|.
    default Tensor logSigmoid() {
        return unary(UnaryFn.LOG_SIGMOID);
    }

    default Tensor relu() {
        return unary(UnaryFn.RELU);
    }

    /// x sigmoid(x), also called Swish.
    default Tensor silu() {
        return unary(UnaryFn.SILU);
    }

    /// x Phi(x), exact.
    default Tensor gelu() {
        return unary(UnaryFn.GELU);
    }

    /// GELU by tanh, as GPT-2 uses it.
    default Tensor geluTanh() {
        return unary(UnaryFn.GELU_TANH);
    }

    default Tensor add(Tensor other) {
        return binary(BinaryFn.ADD, other);
    }

    default Tensor sub(Tensor other) {
        return binary(BinaryFn.SUB, other);
    }

    default Tensor mul(Tensor other) {
        return binary(BinaryFn.MUL, other);
    }

    default Tensor div(Tensor other) {
        return binary(BinaryFn.DIV, other);
    }

    default Tensor pow(Tensor other) {
        return binary(BinaryFn.POW, other);
    }

    default Tensor maximum(Tensor other) {
        return binary(BinaryFn.MAX, other);
    }

    default Tensor minimum(Tensor other) {
        return binary(BinaryFn.MIN, other);
    }

    /// BOOL, as are the other comparisons.
    default Tensor eq(Tensor other) {
        return binary(BinaryFn.EQ, other);
    }

    default Tensor ne(Tensor other) {
        return binary(BinaryFn.NE, other);
    }

    default Tensor lt(Tensor other) {
        return binary(BinaryFn.LT, other);
    }

    default Tensor le(Tensor other) {
        return binary(BinaryFn.LE, other);
    }

    default Tensor gt(Tensor other) {
        return binary(BinaryFn.GT, other);
    }

    default Tensor ge(Tensor other) {
        return binary(BinaryFn.GE, other);
    }

    /// x mul + add.
    default Tensor affine(double mul, double add) {
        return Eager.run(new Op.Affine(self(), mul, add));
    }

    default Tensor add(double value) {
        return affine(1, value);
    }

    default Tensor sub(double value) {
        return affine(1, -value);
    }

    default Tensor mul(double value) {
        return affine(value, 0);
    }

    default Tensor div(double value) {
        return affine(1 / value, 0);
    }

    default Tensor square() {
        return mul(self());
    }

    /// `this` where the condition (BOOL) is true, else `other`.
    default Tensor where(Tensor condition, Tensor other) {
        return Eager.run(new Op.Where(condition, self(), other));
    }

    /// The same numbers in another type; itself if it has that type.
    default Tensor to(DType dtype) {
        return dtype == self().dtype() ? self() : Eager.run(new Op.Cast(self(), dtype));
    }
}
