package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;

class LiveLineTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private long now;
    private int columns = 80;

    private LiveLine line(boolean terminal) {
        var err = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        return new LiveLine(err, terminal, () -> columns, () -> now);
    }

    private static List<String> speed(double tokensPerSecond) {
        return List.of(String.format(Locale.ROOT, "%,d tok/s", Math.round(tokensPerSecond)));
    }

    private String printed() {
        var text = bytes.toString(StandardCharsets.UTF_8);
        bytes.reset();
        return text;
    }

    @Test
    void onATerminalOneLineIsRewritten() {
        try (LiveLine line = line(true)) {
            line.update(1, 2_000, 7.62513, speed(12_345.4), Duration.ofSeconds(200));
            assertEquals("\rstep 1/2000 · loss 7.625 · 12,345 tok/s · 3 min 20 s left\033[K", printed());
            now += 50_000_000;
            line.update(2, 2_000, 7.5, speed(12_345), Duration.ofSeconds(200));
            assertEquals("", printed(), "too soon");
            now += 50_000_000;
            columns = 20;
            line.update(3, 2_000, 7.5, speed(12_345), Duration.ofSeconds(200));
            assertEquals("\rstep 3/2000 · loss \033[K", printed());
            line.erase();
            assertEquals("\r\033[K", printed());
            line.erase();
            assertEquals("", printed());
            line.redraw();
            assertEquals("\rstep 3/2000 · loss \033[K", printed());
        }
        assertEquals("\rstep 3/2000 · loss \033[K\n", printed());
    }

    @Test
    void elsewhereLinesArePlainAndRare() {
        try (LiveLine line = line(false)) {
            for (int second = 0; second <= 25; second++) {
                now = second * 1_000_000_000L;
                line.update(second, 0, 2, speed(10), Duration.ofSeconds(25 - second));
            }
            assertEquals(
                    """
                    step 0 · loss 2.000 · 10 tok/s · 25 s left
                    step 10 · loss 2.000 · 10 tok/s · 15 s left
                    step 20 · loss 2.000 · 10 tok/s · 5 s left
                    """,
                    printed());
            line.erase();
            line.redraw();
        }
        assertEquals("", printed());
    }

    @Test
    void aLogLineTakesItsPlace() {
        var err = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        var console = new Console(System.out, err, false, true, false);
        LiveLine line = console.live();
        line.update(1, 2, 3, speed(4), Duration.ofSeconds(5));
        var shown = printed();
        console.log("a sample");
        assertEquals("\r\033[Ka sample\n" + shown, printed());
        console.close();
        assertEquals(shown + "\n", printed());
    }

    @Test
    void spansAreSaidAsPeopleSayThem() {
        assertEquals("0 s", LiveLine.span(Duration.ofSeconds(-3)));
        assertEquals("59 s", LiveLine.span(Duration.ofSeconds(59)));
        assertEquals("1 min 0 s", LiveLine.span(Duration.ofSeconds(60)));
        assertEquals("2 h 5 min", LiveLine.span(Duration.ofMinutes(125)));
    }
}
