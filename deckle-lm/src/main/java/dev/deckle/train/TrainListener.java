package dev.deckle.train;

import com.google.gson.JsonObject;
import java.time.Duration;
import java.util.Map;
import java.util.OptionalDouble;

/// What a run reports as it goes.
public interface TrainListener {
    /// One optimizer step.
    ///
    /// @param step from 1
    /// @param loss mean over the step's tokens, in nats
    /// @param gradNorm before clipping
    /// @param metrics what else was measured, by its name in `metrics.jsonl`
    /// @param left the time that the rest will take
    record Step(long step, double loss, double lr, double gradNorm, Map<String, Number> metrics, Duration left) {
        /// The line of `metrics.jsonl` and of `--json`.
        public JsonObject json() {
            JsonObject line = new JsonObject();
            line.addProperty("step", step);
            line.addProperty("loss", loss);
            line.addProperty("lr", lr);
            line.addProperty("grad_norm", gradNorm);
            metrics.forEach(line::addProperty);
            return line;
        }

        /// One of the metrics, where it was measured.
        public OptionalDouble metric(String name) {
            Number n = metrics.get(name);
            return n == null ? OptionalDouble.empty() : OptionalDouble.of(n.doubleValue());
        }
    }

    /// Something that the user should know, in one line.
    void note(String line);

    void step(Step step);

    /// What the model writes at this point: from nothing, or to prompts as a table.
    void sample(long step, String text);
}
