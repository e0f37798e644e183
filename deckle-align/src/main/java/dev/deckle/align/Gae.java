package dev.deckle.align;

/// Generalised advantage estimation: how much better an action was than expected, between one step's evidence
/// (lambda = 0) and the whole episode's (lambda = 1).
///
/// - **Formula**: delta_t = r_t + gamma V_(t+1) - V_t, V after the end 0; A_t = delta_t + gamma lambda A_(t+1);
///   returns = A + V
/// - **Shapes**: rewards and values (T) to advantages and returns (T)
/// - **Cost**: one pass, backwards
/// - **Source**: Schulman et al. 2016
/// - **PyTorch**: none; TRL's former `PPOTrainer`
/// - **Classic mistake**: returns made of advantages that were already normalised; a value after the end
public record Gae(double gamma, double lambda) {
    public record Result(double[] advantages, double[] returns) {}

    public Result of(double[] rewards, double[] values) {
        if (rewards.length != values.length) {
            throw new IllegalArgumentException("gae: " + rewards.length + " rewards and " + values.length
                    + " values, expected as many of each");
        }
        double[] advantages = new double[rewards.length];
        double[] returns = new double[rewards.length];
        double next = 0;
        for (int t = rewards.length - 1; t >= 0; t--) {
            double following = t + 1 < values.length ? values[t + 1] : 0;
            next = rewards[t] + gamma * following - values[t] + gamma * lambda * next;
            advantages[t] = next;
            returns[t] = next + values[t];
        }
        return new Result(advantages, returns);
    }
}
