package dev.deckle.app;

import dev.deckle.train.TrainListener.Step;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

/// The numbers of a run that its live line shows: those that there are, by the method. What is measured at some steps
/// only stays until it is measured again; speeds are smoothed.
final class RunNumbers {
    private static final double OLD = 0.9;

    private final Map<String, Double> known = new HashMap<>();
    private OptionalDouble speed = OptionalDouble.empty();
    private OptionalDouble seconds = OptionalDouble.empty();
    private long last;
    private boolean begun;

    /// @param now nanoseconds, as [System#nanoTime]
    List<String> of(Step s, long now) {
        s.metrics().forEach((name, n) -> known.put(name, n.doubleValue()));
        if (begun) {
            seconds = OptionalDouble.of(smooth(seconds, (now - last) / 1e9));
        }
        begun = true;
        last = now;
        s.metric("tok_per_s").ifPresent(v -> speed = OptionalDouble.of(smooth(speed, v)));
        List<String> all = new ArrayList<>();
        tell(all, "reward", "reward %.3f");
        tell(all, "accuracy", "accuracy %.2f");
        tell(all, "rewards/accuracies", "accuracy %.2f");
        tell(all, "rewards/margins", "margin %.3f");
        tell(all, "kl", "kl %.4f");
        tell(all, "entropy", "entropy %.2f");
        tell(all, "clip_ratio", "clipped %.3f");
        tell(all, "completion_length", "%.1f tokens");
        if (speed.isPresent()) {
            all.add(String.format(Locale.ROOT, "%,d tok/s", Math.round(speed.getAsDouble())));
        } else if (seconds.isPresent()) {
            all.add(String.format(Locale.ROOT, "%.2f s a step", seconds.getAsDouble()));
        }
        return all;
    }

    private void tell(List<String> all, String name, String format) {
        if (known.containsKey(name)) {
            all.add(String.format(Locale.ROOT, format, known.get(name)));
        }
    }

    private static double smooth(OptionalDouble before, double now) {
        return before.isEmpty() ? now : OLD * before.getAsDouble() + (1 - OLD) * now;
    }
}
