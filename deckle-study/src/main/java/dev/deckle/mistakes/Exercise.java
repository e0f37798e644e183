package dev.deckle.mistakes;

import dev.deckle.parity.Component;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;

/// A part to be written by hand.
///
/// @param part its name
/// @param textbook the plain version, once for each way in which it is judged: each is right
/// @param mistakes what people write instead
public record Exercise(String part, List<Attempt> textbook, List<Mistake> mistakes) {
    public Exercise {
        textbook = List.copyOf(textbook);
        mistakes = List.copyOf(mistakes);
    }

    static Exercise of(String part) {
        return new Exercise(part, List.of(), List.of());
    }

    /// With slips that the golden cases of `component` find.
    <S extends Slip> Exercise golden(String component, Function<S, Component> written, S none, List<S> slips) {
        return with(slip -> new Attempt.OnGoldenCases(component, written.apply(slip)), none, slips);
    }

    /// With slips that show on one input.
    <S extends Slip> Exercise numbers(Supplier<double[]> right, Function<S, double[]> written, S none, List<S> slips) {
        return with(slip -> new Attempt.OnNumbers(right, () -> written.apply(slip)), none, slips);
    }

    private <S extends Slip> Exercise with(Function<S, Attempt> attempt, S none, List<S> slips) {
        List<Attempt> right = new ArrayList<>(textbook);
        right.add(attempt.apply(none));
        List<Mistake> wrong = new ArrayList<>(mistakes);
        slips.forEach(slip -> wrong.add(new Mistake(part, slip.label(), slip.why(), attempt.apply(slip))));
        return new Exercise(part, right, wrong);
    }
}
