package dev.deckle.align;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// What is told of a batch of rollouts, under TRL's names.
final class Statistics {
    private static final double EQUAL = 1e-8;

    private Statistics() {}

    /// `reward` and `reward_std` over the batch, `completions/...` in tokens.
    static Map<String, Number> of(List<Row.Rollout> batch) {
        double[] rewards = rewards(batch);
        int[] lengths = batch.stream().mapToInt(r -> r.completion().length).toArray();
        Map<String, Number> m = new LinkedHashMap<>();
        m.put("reward", mean(rewards));
        m.put("reward_std", std(rewards));
        m.put("completions/mean_length", Arrays.stream(lengths).average().orElse(0));
        m.put("completions/min_length", Arrays.stream(lengths).min().orElse(0));
        m.put("completions/max_length", Arrays.stream(lengths).max().orElse(0));
        m.put("completions/clipped_ratio", batch.stream().mapToInt(r -> r.ended() ? 0 : 1).average().orElse(0));
        return m;
    }

    /// The share of groups whose rewards are all equal, from which nothing is learned.
    static double zeroStd(List<Row.Rollout> batch, int group) {
        int equal = 0;
        for (int g = 0; g < batch.size(); g += group) {
            equal += std(rewards(batch.subList(g, g + group))) <= EQUAL ? 1 : 0;
        }
        return equal / ((double) batch.size() / group);
    }

    /// Those that there are.
    private static double[] rewards(List<Row.Rollout> batch) {
        return batch.stream().mapToDouble(Row.Rollout::reward).filter(r -> !Double.isNaN(r)).toArray();
    }

    static double mean(double[] values) {
        return Arrays.stream(values).average().orElse(0);
    }

    /// Unbiased; 0 of fewer than two.
    static double std(double[] values) {
        double mean = mean(values);
        return Math.sqrt(Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum()
                / Math.max(1, values.length - 1));
    }
}
