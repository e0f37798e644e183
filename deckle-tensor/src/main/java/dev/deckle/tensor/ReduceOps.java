package dev.deckle.tensor;

import dev.deckle.kernel.ReduceFn;

/// Many elements to one, products and look-ups.
interface ReduceOps {
    private Tensor self() {
        return (Tensor) this;
    }

    private Tensor reduce(ReduceFn f, int dim) {
        return Eager.run(new Op.Reduce(f, self(), self().shape().axis(dim)));
    }

    /// The sum of all elements, a single number.
    default Tensor sum() {
        Tensor flat = self().reshape(-1);
        return flat.sum(0, false);
    }

    /// The sum over one dimension, which stays with size 1 if `keepDim`.
    default Tensor sum(int dim, boolean keepDim) {
        Tensor y = reduce(ReduceFn.SUM, dim);
        return keepDim ? y : y.squeeze(dim);
    }

    default Tensor mean() {
        return sum().div(self().numel());
    }

    default Tensor mean(int dim, boolean keepDim) {
        return sum(dim, keepDim).div(self().dim(dim));
    }

    /// The largest element over one dimension. The gradient goes to every element that equals it, in equal shares.
    default Tensor max(int dim, boolean keepDim) {
        Tensor y = reduce(ReduceFn.MAX, dim);
        return keepDim ? y : y.squeeze(dim);
    }

    /// The index (I64) of the largest element of one dimension, which goes.
    default Tensor argmax(int dim) {
        return Eager.run(new Op.ArgMax(self(), self().shape().axis(dim))).squeeze(dim);
    }

    /// Running sums along one dimension.
    default Tensor cumsum(int dim) {
        return Eager.run(new Op.CumSum(self(), self().shape().axis(dim)));
    }

    /// Softmax over one dimension.
    default Tensor softmax(int dim) {
        return softmax(dim, false);
    }

    /// log(softmax(x)) over one dimension, without the rounding of taking the logarithm afterwards.
    default Tensor logSoftmax(int dim) {
        return softmax(dim, true);
    }

    private Tensor softmax(int dim, boolean log) {
        int a = self().shape().axis(dim);
        if (a == self().rank() - 1) {
            return Eager.run(new Op.Softmax(self(), log));
        }
        return Eager.run(new Op.Softmax(self().transpose(a, -1), log)).transpose(a, -1);
    }

    /// The matrix product over the last two dimensions: (..., m, k) times (..., k, n), or times one (k, n).
    default Tensor matmul(Tensor other) {
        return Eager.run(new Op.MatMul(self(), other));
    }

    /// The elements at `index` (I64) along one dimension.
    default Tensor gather(int dim, Tensor index) {
        return Eager.run(new Op.Gather(self(), self().shape().axis(dim), index));
    }
}
