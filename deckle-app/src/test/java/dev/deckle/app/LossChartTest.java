package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LossChartTest {
    @TempDir
    Path folder;

    @Test
    void drawsTheRunFromItsMetrics() throws Exception {
        var random = new Random(1);
        var lines = new StringBuilder("{\"event\":\"start\"}\n");
        for (int step = 1; step <= 5_000; step++) {
            double loss = 1.6 + 6 / Math.sqrt(1 + step / 10.0) + 0.15 * random.nextGaussian();
            String evaluation = step % 500 == 0 ? ",\"val_loss\":" + (1.7 + 6 / Math.sqrt(1 + step / 10.0)) : "";
            lines.append("{\"step\":" + step + ",\"loss\":" + loss + evaluation + "}\n");
        }
        Path metrics = Files.writeString(folder.resolve("metrics.jsonl"), lines);
        Path png = folder.resolve("loss.png");
        Files.writeString(png, "what stood there before");

        LossChart.of(metrics).write(png, "a run");

        var image = ImageIO.read(png.toFile());
        assertEquals(1000, image.getWidth());
        assertEquals(600, image.getHeight());
        for (int colour : new int[] {0xb8cbe0, 0x1f4e79, 0xc0392b}) {
            long pixels = count(image, colour);
            assertTrue(pixels > 100, Integer.toHexString(colour) + " appears " + pixels + " times");
        }
        assertFalse(Files.exists(folder.resolve("loss.png.new")));
    }

    private static long count(BufferedImage image, int colour) {
        return Arrays.stream(image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth()))
                .filter(rgb -> (rgb & 0xffffff) == colour)
                .count();
    }

    @Test
    void thinningKeepsTheMean() {
        var curve = new Curve();
        for (int i = 0; i < 7; i++) {
            curve.add(i, 10 * i);
        }
        Curve thin = curve.thinned(4);
        assertEquals(List.of(0.5, 2.5, 4.5, 6.0), thin.steps);
        assertEquals(List.of(5.0, 25.0, 45.0, 60.0), thin.values);
    }

    @Test
    void smoothingAveragesOverItsWindow() {
        var curve = new Curve();
        for (int i = 0; i < 100; i++) {
            curve.add(i, 3);
        }
        curve.add(100, 14);
        List<Double> smooth = curve.smoothed(10).values;
        assertEquals(curve.values.subList(0, 100), smooth.subList(0, 100));
        assertEquals(3 + 11 / 10.0, smooth.getLast(), 1e-12);
    }

    @Test
    void aBrokenLineIsNamed() throws Exception {
        Path metrics = Files.writeString(folder.resolve("m.jsonl"), "{\"step\":1,\"loss\":2}\n[]\n");
        var e = assertThrows(IOException.class, () -> LossChart.of(metrics));
        assertTrue(e.getMessage().contains("m.jsonl: line 2"), e.getMessage());
    }

    @Test
    void withoutAPointThereIsNoPicture() throws Exception {
        Path metrics = Files.writeString(folder.resolve("m.jsonl"), "");
        LossChart.of(metrics).write(folder.resolve("loss.png"), "nothing");
        assertFalse(Files.exists(folder.resolve("loss.png")));
    }
}
