package dev.deckle.nn;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Optional;

/// Cross entropy that loses interest in what is already right.
///
/// - **Formula**: loss = -alpha_y (1 - p_y)^gamma log p_y, p = softmax(z)
/// - **Shapes**: logits z (N, C) or (N, C, d...), targets (N) or (N, d...) I64, alpha a number or (C)
/// - **Cost**: that of cross entropy and a power an example
/// - **Source**: Lin et al. 2017
/// - **PyTorch**: none for several classes; `torchvision.ops.sigmoid_focal_loss` for independent ones
/// - **Classic mistake**: p_y^gamma in place of (1 - p_y)^gamma, or p_y from a detached softmax, which loses half of
///   the gradient; a mean over the sum of alphas where the paper takes the number of examples
///
/// @param alpha a factor for every class, or one each (C)
/// @param gamma how fast the interest goes; 0 is cross entropy
/// @param reduction `MEAN` divides by the number of examples
public record FocalLoss(Tensor alpha, double gamma, CrossEntropy.Reduction reduction) {
    public FocalLoss {
        if (!(gamma >= 0) || alpha.rank() > 1) {
            throw new IllegalArgumentException(
                    "focal loss needs a gamma of at least 0 and alpha as a number or (C), not "
                            + gamma + " and " + alpha.shape());
        }
    }

    /// With one alpha for all classes.
    public FocalLoss(double alpha, double gamma, CrossEntropy.Reduction reduction) {
        this(Tensor.full(DType.F64, alpha), gamma, reduction);
    }

    /// @throws IllegalArgumentException if shapes do not fit or a target is no class
    public Tensor forward(Tensor logits, Tensor target) {
        requireClasses(target, logits.dim(1));
        var plain = new CrossEntropy(Optional.empty(), -1, 0, CrossEntropy.Reduction.NONE);
        Tensor ce = plain.forward(logits, target); // (N, d...)
        DType t = ce.dtype();
        // 1 - p, kept off 0: the slope of a power below 1 is infinite there
        Tensor missing = ce.neg().exp().neg().add(1).maximum(Tensor.full(t, Float.MIN_NORMAL));
        Tensor a = alpha.rank() == 0 ? alpha : alpha.gather(0, target.reshape(-1)).reshape(target.shape());
        Tensor losses = missing.pow(Tensor.full(t, gamma)).mul(ce).mul(a.to(t));
        return switch (reduction) {
            case NONE -> losses;
            case SUM -> losses.sum();
            case MEAN, MEAN_OVER_EXAMPLES -> losses.mean();
        };
    }

    private static void requireClasses(Tensor target, int classes) {
        for (long y : target.toLongs()) {
            if (y < 0 || y >= classes) {
                throw new IllegalArgumentException("focal loss: target " + y + " is not a class, 0.." + (classes - 1));
            }
        }
    }
}
