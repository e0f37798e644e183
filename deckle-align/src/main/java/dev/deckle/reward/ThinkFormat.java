package dev.deckle.reward;

import java.util.List;

/// 1 where the completion is `<think>...</think>` and then an answer ([Answers#isWellFormed]), else 0.
record ThinkFormat() implements RewardFunction {
    @Override
    public double[] rewards(List<Sample> samples) {
        return samples.stream().mapToDouble(s -> Answers.isWellFormed(s) ? 1 : 0).toArray();
    }

    @Override
    public String name() {
        return "format";
    }
}
