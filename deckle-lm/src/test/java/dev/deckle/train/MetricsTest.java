package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsTest {
    @TempDir
    Path folder;

    private Path file;

    @BeforeEach
    void name() {
        file = folder.resolve("metrics.jsonl");
    }

    private static JsonObject row(long step) {
        var row = new JsonObject();
        row.addProperty("step", step);
        row.addProperty("loss", 1.0 / step);
        return row;
    }

    private void write(long from, long to) throws IOException {
        try (Metrics metrics = Metrics.open(file)) {
            for (long step = from; step <= to; step++) {
                metrics.write(row(step));
            }
        }
    }

    private long[] steps() throws IOException {
        try (Stream<String> lines = Files.lines(file)) {
            return lines.mapToLong(line -> Long.parseLong(line.replaceAll("\\{\"step\":(\\d+).*", "$1"))).toArray();
        }
    }

    private static void assertSteps(long last, long[] found) {
        assertEquals(LongStream.rangeClosed(1, last).boxed().toList(), LongStream.of(found).boxed().toList());
    }

    @Test
    void aLineIsThereAsSoonAsItIsWritten() throws Exception {
        try (Metrics metrics = Metrics.open(file)) {
            metrics.write(row(1));
            assertEquals("{\"step\":1,\"loss\":1.0}\n", Files.readString(file));
            metrics.sync();
        }
    }

    @Test
    void aResumedRunGoesOnWithoutDoubledSteps() throws Exception {
        write(1, 17);
        Metrics.cutBack(file, 10);
        assertSteps(10, steps());
        write(11, 20);
        assertSteps(20, steps());
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(1, files.count(), "nothing else is left in the folder");
        }
    }

    @Test
    void aTornLineIsDroppedWhereverItWasTorn() throws Exception {
        write(1, 3);
        byte[] whole = Files.readAllBytes(file);
        int second = Files.readString(file).indexOf('\n', Files.readString(file).indexOf('\n') + 1) + 1;
        for (int length = second; length < whole.length; length++) {
            Files.write(file, java.util.Arrays.copyOf(whole, length));
            Metrics.cutBack(file, 100);
            assertSteps(2, steps());
        }
    }

    @Test
    void linesWithoutAStepStay() throws Exception {
        Files.writeString(file, "{\"seed\":1}\n{\"step\":5}\n");
        Metrics.cutBack(file, 0);
        assertEquals("{\"seed\":1}\n", Files.readString(file));
    }

    @Test
    void withoutAFileThereIsNothingToDo() throws Exception {
        Metrics.cutBack(file, 3);
        assertFalse(Files.exists(file));
    }

    @Test
    void aBrokenLineIsNamedAndTheFileLeftAlone() throws Exception {
        for (String broken : new String[] {"{\"step\":", "[1]", "17", "{\"step\":\"x\"}", "{\"step\":{}}", "\0\0"}) {
            String text = "{\"step\":1}\n" + broken + "\n{\"step\":3}\n";
            Files.writeString(file, text);
            var e = assertThrows(IOException.class, () -> Metrics.cutBack(file, 2), broken);
            assertTrue(e.getMessage().contains("metrics.jsonl: line 2"), e.getMessage());
            assertEquals(text, Files.readString(file));
        }
    }

    @Test
    void aNumberThatIsNotFiniteIsRefusedAndWritesNothing() throws Exception {
        var row = new JsonObject();
        row.addProperty("loss", Double.POSITIVE_INFINITY);
        try (Metrics metrics = Metrics.open(file)) {
            assertThrows(IllegalArgumentException.class, () -> metrics.write(row));
        }
        assertEquals(0, Files.size(file));
    }
}
