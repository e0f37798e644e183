package dev.deckle.train;

import com.google.gson.JsonObject;
import java.time.Duration;
import java.util.Optional;

/// What a run reports as it goes.
public interface TrainListener {
    /// One optimizer step.
    ///
    /// @param step from 1
    /// @param loss mean over the step's tokens, in nats
    /// @param gradNorm before clipping
    /// @param tokens trained on so far
    /// @param left the time that the rest will take
    record Step(
            long step, double loss, double lr, double gradNorm, long tokens, double tokensPerSecond, Duration left,
            Optional<Evaluated> evaluated) {

        /// The line of `metrics.jsonl` and of `--json`.
        public JsonObject json() {
            JsonObject line = new JsonObject();
            line.addProperty("step", step);
            line.addProperty("loss", loss);
            line.addProperty("lr", lr);
            line.addProperty("grad_norm", gradNorm);
            line.addProperty("tokens", tokens);
            line.addProperty("tok_per_s", Math.round(tokensPerSecond * 10) / 10.0);
            evaluated.ifPresent(e -> {
                line.addProperty("val_loss", e.loss());
                line.addProperty("val_bpb", e.bitsPerByte());
            });
            return line;
        }
    }

    /// The held-out text.
    ///
    /// @param bitsPerByte of text, which does not depend on the tokenizer
    record Evaluated(double loss, double bitsPerByte) {}

    /// Something that the user should know, in one line.
    void note(String line);

    void step(Step step);

    /// Text that the model makes from nothing.
    void sample(long step, String text);
}
