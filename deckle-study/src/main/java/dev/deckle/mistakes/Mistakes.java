package dev.deckle.mistakes;

import java.util.List;
import java.util.stream.Stream;

/// All parts as exercises, and all mistakes.
public final class Mistakes {
    private static final List<Exercise> EXERCISES = Stream.of(
            NetworkMistakes.exercises(), ActivationMistakes.exercises(), AttentionMistakes.exercises(),
            LatentMistakes.exercises(), CacheMistakes.exercises(), NormMistakes.exercises(), LossMistakes.exercises(),
            RotaryMistakes.exercises(), OptimizerMistakes.exercises(), ZeroMistakes.exercises(),
            GenerationMistakes.exercises(), MedianMistakes.exercises(), RandomMistakes.exercises(),
            AlignmentMistakes.exercises())
            .flatMap(List::stream)
            .toList();

    private Mistakes() {}

    /// Every part that there are mistakes in, in the order of reading.
    public static List<Exercise> exercises() {
        return EXERCISES;
    }

    /// Every mistake of every part.
    public static List<Mistake> all() {
        return EXERCISES.stream().flatMap(e -> e.mistakes().stream()).toList();
    }

    /// The mistakes of one part.
    ///
    /// @throws IllegalArgumentException if there is no part of that name
    public static List<Mistake> of(String part) {
        return EXERCISES.stream()
                .filter(e -> e.part().equals(part))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no mistakes are known in a part called " + part))
                .mistakes();
    }
}
