package dev.deckle.reward;

/// Thrown by a function that judged some samples and failed at others, and knows which.
final class PartialRewards extends RuntimeException {
    private static final long serialVersionUID = 1;

    /// One a sample; NaN where it failed, and also where it gave none.
    final transient double[] rewards;
    /// At how many samples it failed.
    final int failed;

    PartialRewards(double[] rewards, int failed, String message) {
        super(message, null, false, false); // no stack: its message says all
        this.rewards = rewards;
        this.failed = failed;
    }
}
