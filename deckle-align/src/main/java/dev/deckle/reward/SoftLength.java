package dev.deckle.reward;

import java.util.List;

/// Prefers short completions: 1 up to `n` tokens, from there linearly to 0 at `2n`, and 0 beyond.
record SoftLength(int n) implements RewardFunction {
    @Override
    public double[] rewards(List<Sample> samples) {
        return samples.stream()
                .mapToDouble(s -> Math.clamp(2 - (double) s.completionIds().length / n, 0, 1))
                .toArray();
    }

    @Override
    public String name() {
        return "length";
    }
}
