package dev.deckle.align;

import dev.deckle.tensor.Tensor;
import java.util.Optional;

/// Group relative policy optimisation and its kin: the advantage of a completion is its reward measured against the
/// other completions of the same prompt, so that no value function is needed.
///
/// - **Formula**: A = (reward - mean) / (std + 1e-4), std unbiased, in each group; w = exp(logp - logp_old), of a token
///   or of the mean over the sequence (GSPO); loss = -min(w A, clip(w, 1 - e_low, 1 + e_high) A) + beta k3; then
///   grpo: the mean over sequences of means over tokens; bnpo and dapo: the sum over all tokens / their number;
///   dr_grpo: the sum / (B max_completion_length)
/// - **Shapes**: log-probabilities and mask (B, T), rewards (B); result ()
/// - **Cost**: two models (three with beta) and as many completions a prompt as the group is large
/// - **Source**: Shao et al. 2024 (GRPO); Liu et al. 2025 (Dr. GRPO); Yu et al. 2025 (DAPO); Zheng et al. 2025 (GSPO)
/// - **PyTorch**: TRL's `GRPOTrainer`, `loss_type`
/// - **Classic mistake**: the biased std; a length bias by the mean of each sequence where the sum over all was meant
///
/// @param norm what the sum over tokens is divided by
/// @param sequenceLevel one ratio a sequence, the mean of its tokens' log-ratios, in place of one a token
/// @param epsilonLow how far a ratio may fall
/// @param epsilonHigh how far it may rise
/// @param beta weight of the divergence from the reference
/// @param kl how that is estimated
public record GrpoLoss(
        Norm norm, boolean sequenceLevel, double epsilonLow, double epsilonHigh, double beta, KlEstimator kl) {
    /// Its kin by name.
    public enum Kind {
        GRPO,
        DR_GRPO,
        DAPO,
        GSPO,
        BNPO;

        /// @param maxCompletionLength the longest completion allowed
        public GrpoLoss loss(
                int maxCompletionLength, double epsilonLow, double epsilonHigh, double beta, KlEstimator kl) {
            Norm norm = switch (this) {
                case GRPO, GSPO -> new Norm.EachSequence();
                case DAPO, BNPO -> new Norm.AllTokens();
                case DR_GRPO -> new Norm.Constant(maxCompletionLength);
            };
            return new GrpoLoss(norm, this == GSPO, epsilonLow, epsilonHigh, beta, kl);
        }
    }

    /// What the sum over tokens is divided by.
    public sealed interface Norm {
        /// Each sequence by its length, then by the number of sequences.
        record EachSequence() implements Norm {}

        /// The number of tokens of the batch.
        record AllTokens() implements Norm {}

        /// A constant: sequences times the longest completion allowed.
        record Constant(int maxCompletionLength) implements Norm {}
    }

    /// With the estimator of the paper, k3.
    public GrpoLoss(Norm norm, boolean sequenceLevel, double epsilonLow, double epsilonHigh, double beta) {
        this(norm, sequenceLevel, epsilonLow, epsilonHigh, beta, KlEstimator.K3);
    }

    /// How rewards become advantages.
    ///
    /// @param rewards (B), groups in order
    /// @param group completions a prompt, which divides B
    /// @param scale whether they are divided by the group's standard deviation
    public static Tensor advantages(Tensor rewards, int group, boolean scale) {
        if (group < 1 || rewards.dim(0) % group != 0) {
            throw new IllegalArgumentException("grpo: " + rewards.dim(0) + " rewards are no groups of " + group);
        }
        Tensor grouped = rewards.reshape(-1, group); // (B / group, group)
        Tensor centred = grouped.sub(grouped.mean(1, true));
        if (!scale) {
            return centred.reshape(-1);
        }
        Tensor std = centred.square().sum(1, true).div(Math.max(1, group - 1)).sqrt(); // unbiased
        return centred.div(std.add(1e-4)).reshape(-1); // (B)
    }

    /// @param advantages (B)
    /// @param refLogprobs of the reference, needed where beta is not 0
    /// @param mask 1 for the tokens of completions
    public Tensor forward(
            Tensor logprobs, Tensor oldLogprobs, Optional<Tensor> refLogprobs, Tensor advantages, Tensor mask) {
        Tensor ratio = ratio(logprobs, oldLogprobs, mask);
        Tensor a = advantages.detach().reshape(-1, 1); // (B, 1)
        Tensor losses = ratio.mul(a).minimum(PpoLoss.clip(ratio, 1 - epsilonLow, 1 + epsilonHigh).mul(a)).neg();
        if (beta != 0) {
            Tensor ref = refLogprobs.orElseThrow(() -> new IllegalArgumentException(
                    "grpo: with beta " + beta + " the reference's log-probabilities are needed"));
            losses = losses.add(kl.of(logprobs, ref.detach()).mul(beta)); // (B, T)
        }
        Tensor counted = losses.mul(mask);
        return switch (norm) {
            case Norm.EachSequence() -> counted.sum(-1, true).div(length(mask)).mean();
            case Norm.AllTokens() -> counted.sum().div(mask.sum().maximum(Tensor.full(mask.dtype(), 1)));
            case Norm.Constant(int most) -> counted.sum().div((double) mask.dim(0) * most);
        };
    }

    /// How much likelier each token has become: (B, T); or (B, 1), the mean over each sequence.
    private Tensor ratio(Tensor logprobs, Tensor oldLogprobs, Tensor mask) {
        Tensor logRatio = logprobs.sub(oldLogprobs.detach()); // (B, T)
        if (sequenceLevel) {
            logRatio = logRatio.mul(mask).sum(-1, true).div(length(mask)); // (B, 1)
        }
        return logRatio.exp();
    }

    /// Tokens that have moved so far that they no longer pull: (B, T), 1 or 0.
    ///
    /// @param advantages (B)
    Tensor clipped(Tensor logprobs, Tensor oldLogprobs, Tensor advantages, Tensor mask) {
        Tensor ratio = ratio(logprobs.detach(), oldLogprobs, mask);
        return PpoLoss.clipped(ratio, advantages.detach().reshape(-1, 1), 1 - epsilonLow, 1 + epsilonHigh).mul(mask);
    }

    /// Tokens of each sequence (B, 1), at least 1.
    private static Tensor length(Tensor mask) {
        return mask.sum(-1, true).maximum(Tensor.full(mask.dtype(), 1));
    }
}
