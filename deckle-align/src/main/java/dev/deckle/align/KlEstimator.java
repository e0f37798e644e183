package dev.deckle.align;

import dev.deckle.tensor.Tensor;

/// Estimates of KL(policy || reference) from the log-probabilities of tokens that the policy drew.
///
/// - **Formula**: with log r = logp_ref - logp: k1 = -log r; k2 = (log r)^2 / 2; k3 = r - 1 - log r
/// - **Shapes**: log-probabilities (B, T) to an estimate a token (B, T)
/// - **Cost**: one pass
/// - **Source**: Schulman 2020 (the three estimators); Shao et al. 2024 (k3 in GRPO's loss)
/// - **PyTorch**: TRL's `kl_estimator`
/// - **Classic mistake**: the ratio upside down; k1 in a loss, whose gradient is zero on average
public enum KlEstimator {
    /// Unbiased, of any sign.
    K1,
    /// Biased; its gradient is that of the reverse divergence.
    K2,
    /// Unbiased and never negative.
    K3;

    public Tensor of(Tensor logprobs, Tensor refLogprobs) {
        Tensor logRatio = refLogprobs.sub(logprobs);
        return switch (this) {
            case K1 -> logRatio.neg();
            case K2 -> logRatio.square().mul(0.5);
            case K3 -> logRatio.exp().sub(1).sub(logRatio);
        };
    }

    /// Of one token.
    double of(double logprob, double refLogprob) {
        double logRatio = refLogprob - logprob;
        return switch (this) {
            case K1 -> -logRatio;
            case K2 -> logRatio * logRatio / 2;
            case K3 -> Math.exp(logRatio) - 1 - logRatio;
        };
    }
}
