package dev.deckle.reward;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import dev.deckle.reward.RewardFunction.Sample;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/// Samples for tests.
final class Samples {
    private Samples() {}

    static Sample of(String prompt, String completion) {
        return of(prompt, completion, "{}");
    }

    static Sample of(String prompt, String completion, String columns) {
        Map<String, JsonElement> map = new LinkedHashMap<>(JsonParser.parseString(columns).getAsJsonObject().asMap());
        return new Sample(prompt, completion, new int[] {1, 2}, new int[] {3, 4, 5}, map);
    }

    static Sample ofLength(int tokens) {
        return new Sample("", "", new int[0], new int[tokens], Map.of());
    }

    static List<Sample> completions(String... texts) {
        return Stream.of(texts).map(text -> of("p", text)).toList();
    }

    /// The reward of one.
    static double judge(RewardFunction f, Sample s) {
        return f.rewards(List.of(s))[0];
    }
}
