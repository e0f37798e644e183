package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.deckle.train.TrainListener.Step;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RunNumbersTest {
    private final RunNumbers numbers = new RunNumbers();

    private List<String> step(double second, Map<String, Number> metrics) {
        return numbers.of(new Step(1, 2, 3, 4, metrics, Duration.ZERO), (long) (second * 1e9));
    }

    @Test
    void speedsAreSmoothed() {
        assertEquals(List.of("1,000 tok/s"), step(0, Map.of("tokens", 9, "tok_per_s", 1000)));
        assertEquals(List.of("1,100 tok/s"), step(7, Map.of("tokens", 9, "tok_per_s", 2000)));
    }

    /// Rewards are told at the first step of a batch only, and a run without tokens a second has none.
    @Test
    void whatWasMeasuredBeforeStays() {
        assertEquals(List.of("reward 0.250", "kl 0.0125", "entropy 1.50", "clipped 0.000", "6.5 tokens"),
                step(10, Map.of("reward", 0.25, "kl", 0.0125, "entropy", 1.5, "clip_ratio", 0, "completion_length", 6.5,
                        "beta", 0.1)));
        assertEquals(List.of("reward 0.250", "kl 0.0125", "entropy 1.40", "clipped 0.100", "6.5 tokens",
                "2.00 s a step"),
                step(12, Map.of("entropy", 1.4, "clip_ratio", 0.1, "completion_length", 6.5)));
        assertEquals("2.10 s a step", step(15, Map.of("entropy", 1.4)).getLast());
    }

    @Test
    void preferences() {
        assertEquals(List.of("accuracy 0.75", "margin 0.125"),
                step(0, Map.of("rewards/accuracies", 0.75, "rewards/margins", 0.125, "logps/chosen", -3)));
        assertEquals(List.of("accuracy 0.50"), new RunNumbers().of(
                new Step(1, 2, 3, 4, Map.of("accuracy", 0.5, "margin", 1), Duration.ZERO), 0));
    }
}
