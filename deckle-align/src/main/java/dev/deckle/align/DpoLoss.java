package dev.deckle.align;

import dev.deckle.tensor.Tensor;

/// Direct preference optimisation: makes the chosen completion more likely than the rejected one, measured from where
/// the reference model stood, without a reward model.
///
/// - **Formula**: d = (logp_chosen - ref_chosen) - (logp_rejected - ref_rejected); sigmoid -log s(beta d); hinge
///   max(0, 1 - beta d); ipo (d - 1 / (2 beta))^2; robust (-(1 - e) log s(beta d) + e log s(-beta d)) / (1 - 2 e);
///   cdpo -(1 - e) log s(beta d) - e log s(-beta d)
/// - **Shapes**: log-probabilities of whole completions (n); result (), the mean
/// - **Cost**: two models on two completions a pair
/// - **Source**: Rafailov et al. 2023; Zhao et al. 2023 (hinge); Azar et al. 2024 (IPO); Chowdhury et al. 2024 (robust)
/// - **PyTorch**: TRL's `DPOTrainer`, `loss_type`
/// - **Classic mistake**: counting the prompt's tokens; ipo on sums where it takes means over tokens; gradient through
///   the reference
///
/// @param labelSmoothing e, the share of pairs taken to be the wrong way round; only robust and cdpo use it
public record DpoLoss(Kind kind, double beta, double labelSmoothing) {
    public enum Kind {
        SIGMOID,
        HINGE,
        IPO,
        ROBUST,
        CDPO
    }

    public DpoLoss {
        if (!(beta > 0) || !(labelSmoothing >= 0 && labelSmoothing < 0.5)) {
            throw new IllegalArgumentException(
                    "dpo needs a beta above 0 and a label_smoothing from 0 to below 0.5, not "
                            + beta + " and " + labelSmoothing);
        }
    }

    public Tensor forward(Tensor policyChosen, Tensor policyRejected, Tensor refChosen, Tensor refRejected) {
        Tensor d = policyChosen.sub(refChosen.detach()).sub(policyRejected.sub(refRejected.detach())); // (n)
        Tensor scaled = d.mul(beta);
        Tensor losses = switch (kind) {
            case SIGMOID -> scaled.logSigmoid().neg();
            case HINGE -> scaled.neg().add(1).relu();
            case IPO -> d.sub(1 / (2 * beta)).square();
            case ROBUST -> scaled.logSigmoid().mul(-(1 - labelSmoothing))
                    .add(scaled.neg().logSigmoid().mul(labelSmoothing))
                    .div(1 - 2 * labelSmoothing);
            case CDPO -> scaled.logSigmoid().mul(-(1 - labelSmoothing))
                    .sub(scaled.neg().logSigmoid().mul(labelSmoothing));
        };
        return losses.mean();
    }
}
