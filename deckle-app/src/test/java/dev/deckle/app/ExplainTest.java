package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonParser;
import dev.deckle.explain.story.Parts;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExplainTest {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private int run(String... args) {
        return Deckle.run(new PrintStream(out), new PrintStream(err), args);
    }

    private String out() {
        return out.toString(StandardCharsets.UTF_8);
    }

    private String err() {
        return err.toString(StandardCharsets.UTF_8);
    }

    @Test
    void withoutANameItListsAll() {
        assertEquals(0, run("explain", "--json"), err());
        assertEquals(Parts.all().size(), out().lines().count());
        assertTrue(JsonParser.parseString(out().lines().findFirst().orElseThrow()).getAsJsonObject().has("summary"));
        out.reset();
        assertEquals(0, run("explain"), err());
        Parts.all().forEach(p -> assertTrue(out().contains("  " + p.name() + " "), p.name()));
    }

    @Test
    void theReadersOwnNumbersMayBeNegative() {
        assertEquals(0, run("explain", "softmax", "--values", "-2.5,0,1"), err());
        assertTrue(out().contains("-2.5000"), out());
        assertFalse(out().contains("\033"), "no colour away from a terminal");
    }

    @Test
    void thePageIsWrittenAndJsonPrintedToo(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("page.html");
        assertEquals(0, run("explain", "softmax", "--html", file.toString(), "--json"), err());
        assertTrue(Files.readString(file).startsWith("<!DOCTYPE html>"));
        out().lines().forEach(line -> assertTrue(JsonParser.parseString(line).getAsJsonObject().has("step"), line));
        assertTrue(err().contains(file + ": "), err());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "explain softmx                    | did you mean softmax?",
        "explain softmax --seed 1          | --seed is nothing that softmax takes: it takes --values",
        "explain softmax --values 1,x      | --values: \"x\" is no finite number",
        "explain softmax --values 1,NaN    | --values: \"NaN\" is no finite number",
        "explain softmax --values 1,       | --values: \"\" is no finite number",
        "explain --seed 1                  | --seed needs the NAME of a part",
        "explain --html x.html             | --html needs the NAME of a part",
        "explain mha --heads 0             | --heads must be 1 or more, not 0",
    })
    void wrongUsageIsALine(String args, String told) {
        assertEquals(2, run(args.split(" +")));
        assertEquals("", out());
        assertTrue(err().contains(told), err());
        assertEquals(2, err().lines().count(), err());
    }
}
