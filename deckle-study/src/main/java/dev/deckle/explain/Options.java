package dev.deckle.explain;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/// A reader's own numbers. Each part says in [Part] which of them it takes.
///
/// @param seed of the random inputs
/// @param heads query heads
/// @param kvHeads key and value heads
/// @param values the numbers to work on
public record Options(long seed, OptionalInt heads, OptionalInt kvHeads, Optional<List<Double>> values) {
    public Options {
        values = values.map(List::copyOf);
    }

    public static Options defaults() {
        return new Options(42, OptionalInt.empty(), OptionalInt.empty(), Optional.empty());
    }
}
