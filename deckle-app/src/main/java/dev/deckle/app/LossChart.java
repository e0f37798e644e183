package dev.deckle.app;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.knowm.xchart.style.Styler.LegendPosition;

/// The picture of a run, `loss.png`: the loss of each step, the same smoothed, and the validation loss. Drawn from
/// `metrics.jsonl` alone, so that a resumed run shows its whole history.
final class LossChart {
    /// More points than this do not fit the width; neighbours are then averaged.
    private static final int MOST_POINTS = 2_000;
    private static final Color RAW = new Color(0xb8cbe0);
    private static final Color SMOOTHED = new Color(0x1f4e79);
    private static final Color VALIDATION = new Color(0xc0392b);

    private final Curve train = new Curve();
    private final Curve validation = new Curve();

    private LossChart() {}

    /// @throws IOException if a line is not what [dev.deckle.train.Metrics] writes
    static LossChart of(Path metrics) throws IOException {
        var chart = new LossChart();
        int number = 0;
        for (String line : Files.readAllLines(metrics)) {
            number++;
            try {
                JsonObject row = JsonParser.parseString(line).getAsJsonObject();
                JsonElement step = row.get("step");
                if (step != null && row.has("loss")) {
                    chart.train.add(step.getAsDouble(), row.get("loss").getAsDouble());
                }
                for (String held : List.of("val_loss", "eval_loss")) {
                    if (step != null && row.has(held)) {
                        chart.validation.add(step.getAsDouble(), row.get(held).getAsDouble());
                    }
                }
            } catch (JsonParseException | IllegalStateException | UnsupportedOperationException
                    | NumberFormatException e) {
                throw new IOException(metrics + ": line " + number + " is not a JSON object of numbers", e);
            }
        }
        return chart;
    }

    /// Draws into `png`, which is replaced as a whole. Without a point there is nothing to draw and no file.
    ///
    /// @throws IOException also where the system has no font to write the numbers with
    void write(Path png, String title) throws IOException {
        Chart chart = new Chart(title, "step", "loss (nats per token)", LegendPosition.InsideNE);
        if (!train.steps.isEmpty()) {
            Curve shown = train.thinned(MOST_POINTS);
            chart.line("training", shown, RAW, 1);
            // about a fiftieth of the run: enough to see the trend, little enough to see a bump
            chart.line("training, smoothed", shown.smoothed(shown.steps.size() / 50.0), SMOOTHED, 2);
        }
        if (!validation.steps.isEmpty()) {
            chart.points("validation", validation, VALIDATION, 1.5f);
        }
        chart.write(png);
    }
}
