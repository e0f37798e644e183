package dev.deckle.app;

import java.util.ArrayList;
import java.util.List;

/// Values by step, as a picture shows them.
final class Curve {
    final List<Double> steps = new ArrayList<>();
    final List<Double> values = new ArrayList<>();

    void add(double step, double value) {
        steps.add(step);
        values.add(value);
    }

    /// At most `most` points: the means of equal runs of neighbours.
    Curve thinned(int most) {
        int run = Math.ceilDiv(steps.size(), most);
        if (run <= 1) {
            return this;
        }
        var thin = new Curve();
        for (int from = 0; from < steps.size(); from += run) {
            int to = Math.min(from + run, steps.size());
            thin.add(mean(steps.subList(from, to)), mean(values.subList(from, to)));
        }
        return thin;
    }

    /// The exponential moving average over about `window` points. It begins with a short window that grows with the
    /// steps, because a fall as steep as that of a loss would else be shown late.
    Curve smoothed(double window) {
        var smooth = new Curve();
        double average = values.getFirst();
        for (int i = 0; i < steps.size(); i++) {
            average += (values.get(i) - average) / Math.max(1, Math.min(window, i / 8.0));
            smooth.add(steps.get(i), average);
        }
        return smooth;
    }

    private static double mean(List<Double> numbers) {
        return numbers.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
    }
}
