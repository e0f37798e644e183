package dev.deckle.align;

/// Steers the weight of a divergence so that the divergence comes to what is wanted.
///
/// After each batch beta grows by the factor 1 + clip(divergence / target - 1, -0.2, 0.2) n / 10000, n the completions
/// of the batch (Ziegler et al. 2019, "Fine-Tuning Language Models from Human Preferences", section 2.2; TRL's
/// `AdaptiveKLController` with its horizon).
///
/// @param target nats a completion; 0: beta stays as it is
record AdaptiveBeta(double target) {
    private static final double HORIZON = 10_000;
    private static final double MOST = 0.2;

    /// @param divergence of the batch that was drawn last, mean over its completions
    double next(double beta, double divergence, int completions) {
        if (target == 0) {
            return beta;
        }
        return beta * (1 + Math.clamp(divergence / target - 1, -MOST, MOST) * completions / HORIZON);
    }
}
