package dev.deckle.app;

import dev.deckle.reward.RewardFunction.Sample;
import dev.deckle.reward.RewardPanel;
import dev.deckle.reward.RewardPanel.Weighted;
import dev.deckle.reward.Rewards;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/// A program of its own: a spec and a jar, or nothing, to the rewards of three completions.
final class RewardProbe {
    private RewardProbe() {}

    public static void main(String[] args) {
        Optional<Path> jar = args.length > 1 ? Optional.of(Path.of(args[1])) : Optional.empty();
        List<Sample> samples = Stream.of("a", "bb", "ccc")
                .map(text -> new Sample("p", text, new int[0], new int[text.length()], Map.of()))
                .toList();
        try (var panel = new RewardPanel(List.of(new Weighted(Rewards.open(args[0], jar), 1)))) {
            System.out.println(Arrays.toString(panel.judge(samples).total()) + panel.firstFailures());
        } catch (IOException | IllegalArgumentException e) {
            System.out.println(e.getMessage());
        }
    }
}
