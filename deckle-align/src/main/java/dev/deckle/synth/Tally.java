package dev.deckle.synth;

import java.util.LinkedHashMap;
import java.util.Map;

/// What became of everything: counts by name, in the order in which they came up.
public final class Tally {
    private final Map<String, Long> counts = new LinkedHashMap<>();
    private String firstUnusable = "";

    Tally() {}

    void add(String what) {
        counts.merge(what, 1L, Long::sum);
    }

    void unusable(String why) {
        add("unusable rows");
        firstUnusable = firstUnusable.isEmpty() ? why : firstUnusable;
    }

    public long count(String what) {
        return counts.getOrDefault(what, 0L);
    }

    public Map<String, Long> counts() {
        return new LinkedHashMap<>(counts);
    }

    /// Why the first unusable row was that; empty if none was.
    public String firstUnusable() {
        return firstUnusable;
    }
}
