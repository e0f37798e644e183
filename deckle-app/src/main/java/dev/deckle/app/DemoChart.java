package dev.deckle.app;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.knowm.xchart.style.Styler.LegendPosition;

/// The picture of `align demo`: the reward of what each method draws, over how much it has drawn. Those that replace
/// groups draw more for a step, so only this axis is fair.
final class DemoChart {
    private static final Map<String, Color> COLORS = Map.of(
            "grpo", new Color(0x1f4e79),
            "dapo", new Color(0xc0392b),
            "gspo", new Color(0x2e8b57),
            "ppo", new Color(0xd68910));

    private final Map<String, Curve> curves = new LinkedHashMap<>();

    /// Adds a method's run; without rollouts in it, as dpo's, there is nothing to add.
    ///
    /// @param metrics its `metrics.jsonl`
    void add(String method, Path metrics) throws IOException {
        Curve curve = new Curve();
        double drawn = 0;
        for (String line : Files.readAllLines(metrics)) {
            JsonObject row = JsonParser.parseString(line).getAsJsonObject();
            if (row.has("drawn")) {
                drawn += row.get("drawn").getAsDouble();
                curve.add(drawn, row.get("rewards/exact_match/mean").getAsDouble());
            }
        }
        if (!curve.steps.isEmpty()) {
            curves.put(method, curve);
        }
    }

    void write(Path png) throws IOException {
        Chart chart = new Chart("Four digits in order", "completions drawn", "share that is right",
                LegendPosition.InsideSE);
        curves.forEach((method, curve) -> chart.line(method, curve.smoothed(curve.steps.size() / 20.0),
                COLORS.get(method), 2));
        chart.write(png);
    }
}
