package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// The command in this process: what it prints where, and its exit code.
class DeckleTest {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    @Command(name = "probe", description = "A verb that does what the test says.")
    static final class Probe extends Verb {
        interface Work {
            void run(Console console, Probe probe) throws Exception;
        }

        @Option(names = "--data", arity = "1..*")
        List<String> data = List.of();

        @Option(names = "--steps")
        int steps = 7;

        private final Work work;

        Probe(Work work) {
            this.work = work;
        }

        @Override
        boolean computes() {
            return false;
        }

        @Override
        int run(Console console) throws Exception {
            work.run(console, this);
            return Deckle.DONE;
        }
    }

    private int run(Probe.Work work, String... args) {
        var probe = new Probe(work);
        return new Deckle(new PrintStream(out), new PrintStream(err), Set.of(), List.of(probe)).run(args);
    }

    private int run(String... args) {
        return run((console, _) -> console.result("ran"), args);
    }

    private String out() {
        return out.toString(StandardCharsets.UTF_8);
    }

    private String err() {
        return err.toString(StandardCharsets.UTF_8);
    }

    @Test
    void versionGoesToStdout() {
        assertEquals(0, run("--version"));
        assertTrue(out().startsWith("deckle 0."), out());
        assertEquals("", err());
    }

    @Test
    void helpGoesToStdoutAndNamesTheVerbs() {
        assertEquals(0, run("--help"));
        assertTrue(out().contains("probe") && out().contains("completion"), out());
        assertEquals(0, run("probe", "--help"));
        assertTrue(out().contains("--steps") && out().contains("--threads"), out());
        assertEquals("", err());
    }

    @Test
    void withoutAVerbTheHelpIsOnStderrAndTheUsageWrong() {
        assertEquals(2, run());
        assertEquals("", out());
        assertTrue(err().contains("completion"), err());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', value = {
        "prob                             | did you mean probe?",
        "frobnicate                       | no verb frobnicate",
        "probe --stpes 3                  | did you mean --steps?",
        "probe --wholly-unlike            | no option --wholly-unlike",
        "probe extra                      | nothing is expected at extra",
        "probe --steps x                  | '--steps': 'x' is not an int",
        "probe --steps                    | --steps",
        "probe --steps 1 --steps 2        | option '--steps' (<steps>) should be specified only once",
        "--json probe --json --json       | '--json' should be specified only once",
        "probe --threads 0                | --threads 0: 1 to",
        "probe --threads 100000           | --threads 100000: 1 to",
        "--threads 100000 probe           | --threads 100000: 1 to",
        "completion fish                  | fish",
    })
    void wrongUsageIsToldInALineOrTwo(String args, String told) {
        assertEquals(2, run(args.split(" +")));
        assertEquals("", out());
        assertTrue(err().contains(told), err());
        assertTrue(err().lines().count() <= 3, err());
    }

    @Test
    void aListTakesSeveralValuesAndRepetition() {
        Probe.Work work = (console, probe) -> console.result(probe.data + " " + probe.steps);
        assertEquals(0, run(work, "probe", "--data", "a", "b", "--steps", "3", "--data", "c"));
        assertEquals("[a, b, c] 3\n", out());
    }

    @Test
    void anArgumentThatBeginsWithAtIsNoFile() {
        assertEquals(0, run((console, probe) -> console.result(probe.data.getFirst()), "probe", "--data", "@nowhere"));
        assertEquals("@nowhere\n", out());
    }

    @Test
    void failuresAreOneLine() {
        var failures = new Exception[] {
            new IllegalArgumentException("corpus.txt: empty,\n   expected text"),
            new UncheckedIOException(new NoSuchFileException("nowhere")),
            new AccessDeniedException("secret"),
            new IllegalStateException("loss is NaN at step 3"),
            new IOException("disk full"),
            new NullPointerException(),
        };
        String[] told = {
            "deckle: corpus.txt: empty, expected text\n",
            "deckle: nowhere: no such file or folder\n",
            "deckle: secret: permission denied\n",
            "deckle: loss is NaN at step 3\n",
            "deckle: disk full\n",
            "deckle: unexpected NullPointerException (this is a bug; -v shows where)\n",
        };
        for (int i = 0; i < failures.length; i++) {
            Exception failure = failures[i];
            err.reset();
            assertEquals(1, run((_, _) -> { throw failure; }, "probe"));
            assertEquals(told[i], err());
        }
        assertEquals("", out());
    }

    @Test
    void aVerbCanFindTheUsageWrong() {
        assertEquals(2, run((_, probe) -> { throw probe.wrongUsage("--a or --b, not both"); }, "probe"));
        assertEquals("deckle probe: --a or --b, not both\nTry: deckle probe --help\n", err());
    }

    @Test
    void errorsAreOneLineToo() {
        assertEquals(1, run((_, _) -> { throw new OutOfMemoryError("Java heap space"); }, "probe"));
        assertTrue(err().startsWith("deckle: out of memory: Java heap space;"), err());
        assertEquals(1, err().lines().count());
    }

    @Test
    void verboseShowsWhere() {
        assertEquals(1, run((_, _) -> { throw new IllegalStateException("broken"); }, "probe", "-v"));
        assertTrue(err().startsWith("deckle: broken\n"), err());
        assertTrue(err().contains("\tat "), err());
    }

    @Test
    void jsonIsOneObjectALine() {
        Probe.Work work = (console, _) -> {
            console.log("progress");
            for (int step = 1; step <= 2; step++) {
                var row = new JsonObject();
                row.addProperty("step", step);
                row.addProperty("text", "a < b\nπ");
                console.emit(row);
            }
        };
        assertEquals(0, run(work, "probe", "--json"));
        assertEquals("{\"step\":1,\"text\":\"a < b\\nπ\"}\n{\"step\":2,\"text\":\"a < b\\nπ\"}\n", out());
        assertEquals("progress\n", err());
    }

    @Test
    void aNumberThatIsNotFiniteIsNoResult() {
        var row = new JsonObject();
        row.addProperty("loss", Double.NaN);
        assertEquals(1, run((console, _) -> console.emit(row), "probe", "--json"));
        assertEquals("", out());
        assertTrue(err().contains("NaN"), err());
    }

    @Test
    void stdoutThatIsGoneEndsTheWork() {
        var closed = new PrintStream(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException("closed");
            }
        });
        var probe = new Probe((console, _) -> console.result("text"));
        assertEquals(1, new Deckle(closed, new PrintStream(err), Set.of(), List.of(probe)).run("probe"));
        assertEquals("deckle: stdout cannot be written: its reader is gone or its disk is full\n", err());
    }

    @Test
    void completionKnowsVerbsAndOptions() {
        assertEquals(0, run("completion", "zsh"));
        assertTrue(out().contains("probe") && out().contains("--steps") && out().contains("bashcompinit"), out());
        assertFalse(out().contains("\033"), "no colour away from a terminal");
    }

    @ParameterizedTest
    @CsvSource({"abc,abc,0", "abc,acb,1", "abc,ab,1", "'',abc,3", "kitten,sitting,3"})
    void distanceCountsTypingErrors(String a, String b, int distance) {
        assertEquals(distance, Errors.distance(a, b));
        assertEquals(distance, Errors.distance(b, a));
    }
}
