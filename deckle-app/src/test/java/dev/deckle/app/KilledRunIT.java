package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// `deckle train` with several ranks, killed without a warning: the resumed run repeats the whole one to the bit.
@Timeout(240)
class KilledRunIT {
    private static final Path DECKLE = Path.of("").toAbsolutePath().getParent().resolve("deckle");

    @TempDir
    private Path folder;

    private Path text;

    @BeforeEach
    void corpus() throws IOException {
        text = Files.writeString(folder.resolve("text.txt"), "to be or not to be, that is the question\n".repeat(400));
    }

    /// Losses by their steps, until the process ends or is killed after a step.
    private TreeMap<Long, Double> train(String out, int killAfter, String... more) throws Exception {
        List<String> command = new ArrayList<>(List.of(DECKLE.toString(), "train", "--json", "--data", text.toString(),
                "--layers", "2", "--hidden-size", "36", "--heads", "3", "--context", "24", "--batch-size", "12",
                "--vocab-size", "300", "--steps", "22", "--save-every", "5", "--ranks", "3", "--zero", "3", "--out",
                folder.resolve(out).toString()));
        command.addAll(List.of(more));
        Path err = folder.resolve("err");
        Process p = new ProcessBuilder(command).redirectError(err.toFile()).start();
        TreeMap<Long, Double> losses = new TreeMap<>();
        try (BufferedReader lines = p.inputReader()) {
            for (String line; (line = lines.readLine()) != null && losses.size() != killAfter;) {
                var step = JsonParser.parseString(line).getAsJsonObject();
                assertEquals(null, losses.put(step.get("step").getAsLong(), step.get("loss").getAsDouble()));
            }
            p.descendants().forEach(ProcessHandle::destroyForcibly); // if the launcher is not the process itself
            p.destroyForcibly();
        }
        int exit = p.waitFor();
        assertTrue(killAfter >= 0 || exit == 0, () -> {
            try {
                return Files.readString(err);
            } catch (IOException e) {
                return e.toString();
            }
        });
        return losses;
    }

    @Test
    void killedAtAnyMoment() throws Exception {
        TreeMap<Long, Double> whole = train("whole", -1);
        assertEquals(22, whole.size());
        for (int at : new int[] {9, 15}) { // between checkpoints, and while one is written
            int killed = train("cut" + at, at).lastEntry().getKey().intValue();
            TreeMap<Long, Double> rest = train("cut" + at, -1, "--resume", folder.resolve("cut" + at).toString());
            assertTrue(rest.firstKey() > killed - 6, "killed at " + killed + ", resumed from " + rest.firstKey());
            assertEquals(whole.tailMap(rest.firstKey()), rest);
            assertArrayEquals(Files.readAllBytes(folder.resolve("whole/model.safetensors")),
                    Files.readAllBytes(folder.resolve("cut" + at + "/model.safetensors")));
        }
    }
}
