package dev.deckle.app;

import dev.deckle.io.AtomicFile;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/// Lines over a number that counts up, in the house's look.
final class Chart {
    private static final int WIDTH = 1000;
    private static final int HEIGHT = 600;
    private static final Color GRID = new Color(0xe6e6e6);

    private final XYChart chart;
    private boolean empty = true;

    Chart(String title, String x, String y, LegendPosition legend) {
        chart = new XYChartBuilder().width(WIDTH).height(HEIGHT).title(title).xAxisTitle(x).yAxisTitle(y).build();
        style(chart.getStyler());
        chart.getStyler().setLegendPosition(legend);
    }

    void line(String name, Curve curve, Color color, float width) {
        add(name, curve, color, width);
    }

    private XYSeries add(String name, Curve curve, Color color, float width) {
        empty = false;
        XYSeries series = chart.addSeries(name, curve.steps, curve.values);
        series.setMarker(SeriesMarkers.NONE);
        series.setLineColor(color);
        series.setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
        return series;
    }

    /// A line whose points are few enough to be shown.
    void points(String name, Curve curve, Color color, float width) {
        XYSeries series = add(name, curve, color, width);
        series.setMarker(SeriesMarkers.CIRCLE);
        series.setMarkerColor(color);
    }

    /// Draws into `png`, which is replaced as a whole. Without a point there is nothing to draw and no file.
    ///
    /// @throws IOException also where the system has no font to write the numbers with
    void write(Path png) throws IOException {
        if (empty) {
            return;
        }
        var bytes = new ByteArrayOutputStream();
        try {
            ImageIO.write(BitmapEncoder.getBufferedImage(chart), "png", bytes);
        } catch (RuntimeException | LinkageError | InternalError e) { // how AWT says that there is no font
            throw new IOException(
                    png + " cannot be drawn without a font (apt install fontconfig fonts-dejavu-core)",
                    e);
        }
        AtomicFile.write(png, bytes.toByteArray());
    }

    private static void style(XYStyler style) {
        style.setChartBackgroundColor(Color.WHITE);
        style.setPlotBackgroundColor(Color.WHITE);
        style.setPlotBorderVisible(false);
        style.setPlotGridLinesColor(GRID);
        style.setPlotGridLinesStroke(new BasicStroke(1));
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
}
