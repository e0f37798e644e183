package dev.deckle.app;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.deckle.io.AtomicFile;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/// The picture of a run, `loss.png`: the loss of each step, the same smoothed, and the validation loss. Drawn from
/// `metrics.jsonl` alone, so that a resumed run shows its whole history.
final class LossChart {
    private static final int WIDTH = 1000;
    private static final int HEIGHT = 600;
    /// More points than this do not fit the width; neighbours are then averaged.
    private static final int MOST_POINTS = 2_000;
    private static final Color RAW = new Color(0xb8cbe0);
    private static final Color SMOOTHED = new Color(0x1f4e79);
    private static final Color VALIDATION = new Color(0xc0392b);
    private static final Color GRID = new Color(0xe6e6e6);

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
        if (train.steps.isEmpty() && validation.steps.isEmpty()) {
            return;
        }
        var bytes = new ByteArrayOutputStream();
        try {
            ImageIO.write(BitmapEncoder.getBufferedImage(draw(title)), "png", bytes);
        } catch (RuntimeException | LinkageError | InternalError e) { // how AWT says that there is no font
            throw new IOException(
                    png + " cannot be drawn without a font (apt install fontconfig fonts-dejavu-core)",
                    e);
        }
        AtomicFile.write(png, bytes.toByteArray());
    }

    private XYChart draw(String title) {
        XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(title)
                .xAxisTitle("step")
                .yAxisTitle("loss (nats per token)")
                .build();
        style(chart.getStyler());
        if (!train.steps.isEmpty()) {
            Curve shown = train.thinned(MOST_POINTS);
            line(chart, "training", shown, RAW, 1);
            // about a fiftieth of the run: enough to see the trend, little enough to see a bump
            line(chart, "training, smoothed", shown.smoothed(shown.steps.size() / 50.0), SMOOTHED, 2);
        }
        if (!validation.steps.isEmpty()) {
            XYSeries series = line(chart, "validation", validation, VALIDATION, 1.5f);
            series.setMarker(SeriesMarkers.CIRCLE);
            series.setMarkerColor(VALIDATION);
        }
        return chart;
    }

    private static XYSeries line(XYChart chart, String name, Curve curve, Color color, float width) {
        XYSeries series = chart.addSeries(name, curve.steps, curve.values);
        series.setMarker(SeriesMarkers.NONE);
        series.setLineColor(color);
        series.setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
        return series;
    }

    private static void style(XYStyler style) {
        style.setChartBackgroundColor(Color.WHITE);
        style.setPlotBackgroundColor(Color.WHITE);
        style.setPlotBorderVisible(false);
        style.setPlotGridLinesColor(GRID);
        style.setPlotGridLinesStroke(new BasicStroke(1));
        style.setLegendPosition(LegendPosition.InsideNE);
        style.setLegendBorderColor(Color.WHITE);
        style.setMarkerSize(6);
        style.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 16));
        style.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
        style.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 9)); // XChart sets them close
        style.setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 12));
        style.setXAxisDecimalPattern("#,###");
        style.setXAxisMin(0.0);
        style.setYAxisDecimalPattern("0.0#");
    }

    /// Values by step.
    static final class Curve {
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
}
