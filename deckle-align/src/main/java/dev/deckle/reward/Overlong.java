package dev.deckle.reward;

import java.util.List;

/// Soft overlong punishment: nothing up to `max - cache` tokens, from there linearly to -1 at `max`, and -1 beyond.
///
/// Source: Yu et al. 2025 (DAPO, arXiv 2503.14476), equation 13, with max their L_max and cache their L_cache.
record Overlong(int max, int cache) implements RewardFunction {
    @Override
    public double[] rewards(List<Sample> samples) {
        return samples.stream().mapToDouble(s -> reward(s.completionIds().length)).toArray();
    }

    private double reward(int length) {
        int allowed = max - cache;
        if (length <= allowed) {
            return 0;
        }
        return length <= max ? (double) (allowed - length) / cache : -1;
    }

    @Override
    public String name() {
        return "overlong";
    }
}
