package dev.deckle.synth;

import dev.deckle.reward.RewardFunction.Sample;
import dev.deckle.reward.RewardPanel;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.Function;

/// Which samples of a prompt are kept: rejection sampling.
public sealed interface Keep {
    /// Whatever is well formed.
    record All() implements Keep {}

    /// What a panel gives at least so much; no reward is too little.
    record Reward(RewardPanel panel, double least) implements Keep {}

    /// The samples with the answer that most of them agree on (self-consistency, arXiv 2203.11171): more of them than
    /// on any other, and two at least, unless there is but one sample.
    record Majority() implements Keep {}

    /// @param sample which of the row's, from 0
    record Candidate(int sample, Reasoned reasoned) {}

    record Kept(Candidate candidate, OptionalDouble reward) {}

    /// @param asked how many samples were drawn, well formed or not
    /// @param ids a text as tokens, for rewards that count them
    default List<Kept> of(SynthRow row, List<Candidate> candidates, int asked, Function<String, int[]> ids,
            Tally tally)
            throws IOException {
        return switch (this) {
            case All _ -> candidates.stream().map(c -> new Kept(c, OptionalDouble.empty())).toList();
            case Reward r -> rewarded(r, row, candidates, ids, tally);
            case Majority _ -> agreed(candidates, asked, tally);
        };
    }

    private static List<Kept> rewarded(Reward r, SynthRow row, List<Candidate> candidates,
            Function<String, int[]> ids, Tally tally) throws IOException {
        List<String> texts = candidates.stream().map(c -> c.reasoned().text()).toList();
        double[] rewards = judge(r.panel, row, texts, ids);
        List<Kept> kept = new ArrayList<>();
        for (int i = 0; i < rewards.length; i++) {
            if (Double.isNaN(rewards[i])) {
                tally.add("without a reward");
            } else if (rewards[i] < r.least) {
                tally.add("below the least reward");
            } else {
                kept.add(new Kept(candidates.get(i), OptionalDouble.of(rewards[i])));
            }
        }
        return kept;
    }

    /// @param ids a text as tokens, for rewards that count them
    /// @return a reward a text, NaN for none
    static double[] judge(RewardPanel panel, SynthRow row, List<String> texts, Function<String, int[]> ids)
            throws IOException {
        int[] prompt = ids.apply(row.prompt());
        List<Sample> samples = new ArrayList<>();
        for (String text : texts) {
            samples.add(new Sample(row.prompt(), text, prompt, ids.apply(text), row.columns()));
        }
        return panel.judge(samples).total();
    }

    private static List<Kept> agreed(List<Candidate> candidates, int asked, Tally tally) {
        Map<String, List<Candidate>> votes = new LinkedHashMap<>();
        for (Candidate c : candidates) {
            votes.computeIfAbsent(Same.text(c.reasoned().result()), _ -> new ArrayList<>()).add(c);
        }
        int most = votes.values().stream().mapToInt(List::size).max().orElse(0);
        List<List<Candidate>> first = votes.values().stream().filter(v -> v.size() == most).toList();
        if (first.size() != 1 || most < Math.min(2, asked)) {
            tally.add("prompts without a majority");
            return List.of();
        }
        for (int i = most; i < candidates.size(); i++) {
            tally.add("outvoted");
        }
        return first.getFirst().stream().map(c -> new Kept(c, OptionalDouble.empty())).toList();
    }
}
