package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.Optional;
import java.util.stream.IntStream;

/// Cross entropy: how surprised the model is by the truth. The fused kernel never stores the probabilities.
///
/// The notebook clamps probabilities at 1e-8 before the logarithm, which bounds the loss at 18.4 and stops the gradient
/// there; log-softmax needs no clamp. Its weighted mean divides by the number of examples, PyTorch's by the sum of
/// their weights: [Reduction] has both.
///
/// - **Formula**: loss = -w_y log softmax(z)_y; smoothed by e: (1 - e) of that plus e/C sum_c -w_c log softmax(z)_c;
///   for target probabilities t: -sum_c w_c t_c log softmax(z)_c
/// - **Shapes**: logits z (N, C) or (N, C, d...), index targets (N) or (N, d...) I64, probability targets as the
///   logits, class weights (C); result () or, unreduced, (N) or (N, d...)
/// - **Cost**: two passes over the logits; the gradient is softmax(z) - onehot(y), one more
/// - **Source**: Szegedy et al. 2016, section 7 (label smoothing)
/// - **PyTorch**: `F.cross_entropy`: NaN for a mean over nothing, as there
/// - **Classic mistake**: softmax before it, which takes softmax twice; a smoothed target of 1 - e in place of 1 - e +
///   e/C
///
/// @param weight of each class
/// @param ignoreIndex a target that counts for nothing
/// @param labelSmoothing from 0 to 1: how much of the target is spread over all classes, the right one included
public record CrossEntropy(Optional<Tensor> weight, long ignoreIndex, double labelSmoothing, Reduction reduction) {
    /// What becomes of the losses of all examples.
    public enum Reduction {
        /// They stay as they are.
        NONE,
        /// Their sum.
        SUM,
        /// The sum over the sum of the weights of the targets: PyTorch's mean.
        MEAN,
        /// The sum over the number of examples, weighted or not: the notebook's weighted mean.
        MEAN_OVER_EXAMPLES
    }

    public CrossEntropy {
        if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
            throw new IllegalArgumentException("label_smoothing must be from 0 to 1, not " + labelSmoothing);
        }
    }

    /// The mean without weights, smoothing or ignored targets (but -100, as in PyTorch).
    public static CrossEntropy mean() {
        return new CrossEntropy(Optional.empty(), -100, 0, Reduction.MEAN);
    }

    /// The notebook's weighted loss, whose mean divides by the number of examples.
    public static CrossEntropy weighted(Tensor classWeights, Reduction reduction) {
        return new CrossEntropy(Optional.of(classWeights), -100, 0, reduction);
    }

    /// @param target class indices (I64), or probabilities in the type and shape of the logits
    /// @throws IllegalArgumentException if shapes do not fit or an index is no class
    public Tensor forward(Tensor logits, Tensor target) {
        if (logits.rank() < 2) {
            throw new IllegalArgumentException("cross_entropy: logits have shape " + logits.shape()
                    + ", expected (N, C) or (N, C, ...)");
        }
        int classes = logits.dim(1);
        weight.ifPresent(w -> requireShape("weight", w.shape(), Shape.of(classes)));
        Tensor z = classesLast(logits); // (M, C), M = N d...
        Shape each = logits.shape().without(1); // (N, d...)
        if (target.dtype().floating()) {
            requireShape("target", target.shape(), logits.shape());
            Tensor t = classesLast(target).mul(1 - labelSmoothing).add(labelSmoothing / classes);
            Tensor losses = weighted(z.logSoftmax(-1)).mul(t).sum(-1, false).neg(); // (M)
            return reduce(losses, Tensor.scalar(losses.dim(0)), each);
        }
        requireShape("target", target.shape(), each);
        Tensor y = target.reshape(-1); // (M)
        Tensor losses = Functional.crossEntropy(z, y, ignoreIndex); // 0 where ignored
        Tensor seen = y.ne(Tensor.of(new long[] {ignoreIndex})); // (M) BOOL
        Tensor counted = seen.to(z.dtype());
        Tensor weights = weight
                .map(w -> w.gather(0, y.where(seen, Tensor.of(new long[] {0}))).mul(counted))
                .orElse(counted);
        losses = losses.mul(weights);
        if (labelSmoothing > 0) {
            // a row that is ignored may hold anything: zeros in its place, so that nothing of it reaches the gradient
            Tensor clean = z.where(seen.reshape(-1, 1), Tensor.zeros(z.dtype(), Shape.SCALAR));
            Tensor all = weighted(clean.logSoftmax(-1)).sum(-1, false).neg().mul(counted);
            losses = losses.mul(1 - labelSmoothing).add(all.mul(labelSmoothing / classes));
        }
        return reduce(losses, weights.sum(), each);
    }

    private Tensor weighted(Tensor logProbabilities) {
        return weight.map(logProbabilities::mul).orElse(logProbabilities);
    }

    private Tensor reduce(Tensor losses, Tensor weights, Shape each) {
        return switch (reduction) {
            case NONE -> losses.reshape(each);
            case SUM -> losses.sum();
            case MEAN -> losses.sum().div(weights.to(losses.dtype()));
            case MEAN_OVER_EXAMPLES -> losses.mean();
        };
    }

    /// (N, C, d...) to (N d..., C).
    static Tensor classesLast(Tensor x) {
        int last = x.rank() - 1;
        int[] order = IntStream.rangeClosed(0, last).map(i -> i == 0 ? 0 : i == last ? 1 : i + 1).toArray();
        return x.permute(order).reshape(-1, x.dim(1));
    }

    private static void requireShape(String what, Shape found, Shape expected) {
        if (!found.equals(expected)) {
            throw new IllegalArgumentException("cross_entropy: " + what + " has shape " + found + ", expected "
                    + expected);
        }
    }
}
