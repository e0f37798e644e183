package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// `deckle train` with several ranks: what it refuses, what may change on resuming, and how it fails.
@Timeout(60)
class TrainRanksTest {
    private static final String SMALL = " --layers 1 --hidden-size 12 --heads 3 --ffn-size 20 --context 9 "
            + "--batch-size 12 --vocab-size 260 --json ";

    @TempDir
    private Path folder;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private Path text;

    @BeforeEach
    void corpus() throws IOException {
        text = folder.resolve("text.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 40; i++) {
            lines.append("{\"text\": \"").append("to be or not to be ".repeat(i % 7 + 2)).append("\"}\n");
        }
        Files.writeString(text, lines);
    }

    private int deckle(OutputStream out, String args) {
        err.reset();
        List<String> all = List.of(args.strip().replace("FOLDER", folder.toString()).split(" +"));
        return Deckle.run(new PrintStream(out), new PrintStream(err), all.toArray(String[]::new));
    }

    private int start(String args) {
        out.reset();
        return deckle(out, "train --data " + text + SMALL + "--out FOLDER/run " + args);
    }

    private int resume(String args) {
        out.reset();
        return deckle(out, "train --json --resume FOLDER/run " + args);
    }

    private String err() {
        return err.toString(StandardCharsets.UTF_8);
    }

    private List<Double> losses() {
        List<Double> losses = new ArrayList<>();
        for (String line : out.toString(StandardCharsets.UTF_8).lines().toList()) {
            JsonObject step = JsonParser.parseString(line).getAsJsonObject();
            losses.add(step.get("loss").getAsDouble());
        }
        return losses;
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', value = {
        "--ranks 5                      | --batch-size 12 must be a multiple of the 5 ranks",
        "--ranks 13                     | --batch-size 12 must be a multiple of the 13 ranks",
        "--ranks 24                     | --batch-size 12 must be a multiple of the 24 ranks",
        "--ranks 0                      | --ranks must be positive, not 0",
        "--ranks -2                     | --ranks must be positive, not -2",
        "--ranks 2 --zero 4             | --zero must be 0, 1, 2 or 3, not 4",
        "--zero -1                      | --zero must be 0, 1, 2 or 3, not -1",
        "--zero two                     | 'two' is not an int",
        "--ranks 2.5                    | '2.5' is not an int",
        "--dtype f16                    | --dtype",
    })
    void wrongUsage(String args, String told) {
        assertEquals(2, start("--steps 2 " + args), err());
        assertTrue(err().contains(told), err());
        assertTrue(err().lines().count() <= 3, err());
        assertEquals(0, out.size());
        assertFalse(Files.exists(folder.resolve("run")));
    }

    /// Before the first step, and with nothing left behind.
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--offload FOLDER/text.jsonl        | --offload FOLDER/text.jsonl: cannot be written: ",
        "--offload FOLDER/text.jsonl/a      | --offload FOLDER/text.jsonl/a: cannot be written: ",
        "--trace FOLDER/nowhere/trace.json  | --trace FOLDER/nowhere/trace.json: cannot be written: the folder does",
        "--trace FOLDER                     | --trace FOLDER: cannot be written: it is a folder",
    })
    void refusedBeforeTraining(String args, String told) {
        assertEquals(1, start("--steps 2 --ranks 3 --zero 1 " + args), err());
        assertTrue(err().lines().toList().getLast().startsWith("deckle: " + told.replace("FOLDER", folder.toString())),
                err());
        assertEquals(1, err().lines().filter(l -> l.startsWith("deckle: ")).count(), err());
        assertEquals(0, out.size());
        assertFalse(Files.exists(folder.resolve("run")));
    }

    @Test
    void aRunIsResumedOnOtherRanksButNotInAnotherType() {
        assertEquals(0, start("--steps 9 --save-every 3 --dtype f32"), err());
        List<Double> one = losses();
        assertEquals(9, one.size());
        for (String layout : List.of("--ranks 3 --zero 3", "--ranks 2 --zero 1 --offload FOLDER/state")) {
            out.reset();
            assertEquals(0, deckle(out, "train --data " + text + SMALL + "--steps 9 --dtype f32 --out FOLDER/other-"
                    + layout.length() + " " + layout), err());
            for (int i = 0; i < 9; i++) {
                assertEquals(one.get(i), losses().get(i), 2e-4);
            }
        }
        assertEquals(0, resume("--steps 11 --ranks 3 --zero 2"), err());
        assertEquals(0, resume("--steps 12 --ranks 4"), err()); // still at stage 2
        assertTrue(err().contains("4 ranks (ZeRO stage 2)"), err());
        assertEquals(0, resume("--steps 13 --ranks 1 --zero 0"), err());
        assertEquals(1, losses().size());
        for (String other : List.of("--dtype bf16", "--batch-size 24", "--seed 2")) {
            assertEquals(2, resume("--steps 14 " + other), err());
            assertTrue(err().startsWith("deckle train: " + other.split(" ")[0] + ": the run to resume has "), err());
            assertTrue(err().lines().count() <= 2, err());
        }
        assertEquals(2, resume("--steps 14 --ranks 5"), err());
        assertTrue(err().contains("--batch-size 12 must be a multiple of the 5 ranks"), err());
        assertEquals(0, resume("--steps 14"), err()); // the folder is free, and was not harmed
    }

    /// In the middle of a run: stdout's reader goes away, or the checkpoint's folder.
    @Test
    void aRankThatFailsIsOneLine() throws IOException {
        OutputStream closed = new OutputStream() {
            private int written;

            @Override
            public void write(int b) throws IOException {
                if (++written > 600) {
                    throw new IOException("closed");
                }
            }
        };
        String started = "train --data " + text + SMALL + "--ranks 3 --zero 3 --steps 200 --save-every 2 --out FOLDER/";
        assertEquals(1, deckle(closed, started + "closed"), err());
        assertEquals(1, err().lines().filter(l -> l.startsWith("deckle: ")).count(), err());
        assertTrue(err().contains("deckle: stdout cannot be written: "), err());
        assertEquals(0, deckle(out, "train --json --resume FOLDER/closed --steps 200 --ranks 2 --zero 1"), err());

        OutputStream harm = new OutputStream() {
            private boolean done;

            @Override
            public void write(int b) throws IOException {
                if (b == '\n' && !done) {
                    done = true;
                    Files.writeString(folder.resolve("harmed/checkpoints"), "a file where the folder should be");
                }
            }
        };
        assertEquals(1, deckle(harm, started + "harmed"), err());
        List<String> last = err().lines().filter(l -> l.startsWith("deckle: ")).toList();
        assertEquals(1, last.size(), err());
        assertTrue(last.getFirst().contains(folder.resolve("harmed/checkpoints").toString()), err());
        assertFalse(err().contains("\tat "), err());
    }
}
