package dev.deckle.synth;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.List;
import java.util.function.UnaryOperator;

/// A way to make records of rows; [Synthesis] follows it.
public abstract sealed class Plan permits Forward, Backward, Rationalise, Structure, Preferences {
    Plan() {}

    /// Makes the records of a row.
    @FunctionalInterface
    interface Recipe {
        List<JsonObject> make(SynthRow row, Tally tally) throws IOException;
    }

    abstract String mode();

    /// What records call the model; empty without one.
    abstract String author();

    /// Whether records are conversations by default.
    abstract boolean converses();

    /// All that decides what is made, but for the seed and the format: a run is resumed with the same only.
    abstract JsonObject settings();

    /// @param recorded makes authors whose texts survive the process
    abstract Recipe recipe(UnaryOperator<Author> recorded, Records records);
}
