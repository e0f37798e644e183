package dev.deckle.explain;

import java.util.List;
import java.util.Optional;

/// Everything that can be explained, in the order of reading.
public final class Parts {
    private static final List<Part> ALL = List.of();

    private Parts() {}

    public static List<Part> all() {
        return ALL;
    }

    public static Optional<Part> named(String name) {
        return ALL.stream().filter(p -> p.name().equals(name)).findFirst();
    }
}
