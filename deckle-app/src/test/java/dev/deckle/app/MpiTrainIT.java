package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// `mpirun -n N ./deckle train`: the run of as many threads, told by one of the processes.
@Timeout(240)
class MpiTrainIT {
    private static final String DECKLE = Path.of("").toAbsolutePath().getParent().resolve("deckle").toString();

    @TempDir
    private Path folder;

    private Path err;

    @BeforeEach
    void corpus() throws IOException {
        assumeTrue(Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .anyMatch(f -> Files.isExecutable(Path.of(f, "mpirun"))),
                "mpirun is not on the path: install Open MPI (apt install openmpi-bin)");
        Path data = Files.createDirectories(folder.resolve("here/data"));
        Files.writeString(data.resolve("text.txt"), "to be or not to be, that is the question\n".repeat(400));
        Files.createDirectories(folder.resolve("there"));
        err = folder.resolve("err");
    }

    private static List<String> mpirun(String arguments) {
        // the time before and after SIGTERM is a second, which is little where much else runs
        return words("mpirun --allow-run-as-root --oversubscribe --bind-to none --mca odls_base_sigkill_timeout 3 "
                + arguments);
    }

    private static List<String> words(String s) {
        return List.of(s.split(" "));
    }

    private static List<String> train(String more) {
        return words(DECKLE + " train --json --data data --layers 2 --hidden-size 36 --heads 3 --context 24 "
                + "--batch-size 12 --vocab-size 300 --save-every 3 " + more);
    }

    private Process start(List<List<String>> command) throws IOException {
        List<String> all = new ArrayList<>();
        command.forEach(all::addAll);
        return new ProcessBuilder(all).directory(folder.resolve("here").toFile()).redirectError(err.toFile()).start();
    }

    /// Losses, step by step.
    private List<Double> run(int code, List<List<String>> command) throws Exception {
        Process p = start(command);
        List<Double> losses = new ArrayList<>();
        try (BufferedReader lines = p.inputReader()) {
            for (String line; (line = lines.readLine()) != null;) {
                JsonObject step = JsonParser.parseString(line).getAsJsonObject();
                losses.add(step.get("loss").getAsDouble());
                assertEquals(losses.size(), step.get("step").getAsInt());
            }
        } finally {
            p.destroy();
        }
        assertEquals(code, p.waitFor(), () -> said().toString());
        return losses;
    }

    private List<String> said() {
        try {
            return Files.readAllLines(err);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void says(String line) {
        List<String> told = said().stream().filter(l -> l.startsWith("deckle")).toList();
        assertEquals(1, told.size(), () -> said().toString());
        assertTrue(told.getFirst().startsWith(line), told.getFirst());
        assertFalse(said().stream().anyMatch(l -> l.contains("\tat ")), () -> said().toString());
    }

    @Test
    void theSameBitsAsOnThreads() throws Exception {
        List<Double> threads = run(0, List.of(train("--steps 5 --ranks 3 --zero 3 --out threads")));
        List<Double> processes = run(0, List.of(mpirun("-n 3"), train("--steps 5 --ranks 4 --zero 3 --out processes")));
        assertEquals(5, threads.size());
        assertEquals(threads, processes);
        assertTrue(said().getFirst().endsWith("these are the ranks: --ranks 4 is left aside"), () -> said().toString());
        for (String file : List.of("model.safetensors", "checkpoints/step-0000005/optimizer.safetensors")) {
            assertArrayEquals(Files.readAllBytes(folder.resolve("here/threads").resolve(file)),
                    Files.readAllBytes(folder.resolve("here/processes").resolve(file)), file);
        }
    }

    @Test
    void whatIsWrongIsToldOnce() throws Exception {
        assertEquals(List.of(), run(2, List.of(mpirun("-n 3"), train("--steps 5 --zero 4 --out out"))));
        says("deckle train: --zero must be 0, 1, 2 or 3, not 4");
        // data that one rank does not find
        assertEquals(List.of(), run(1, List.of(mpirun("-n 1"), train("--steps 5 --out out"),
                words(": -n 1 -wdir " + folder.resolve("there")), train("--steps 5 --out out"))));
        says("deckle: rank 1 ended: " + folder.resolve("there/data") + ": no such file or folder");
        // a failure of the first rank in the middle of a run, while the other waits for it
        Files.createDirectories(folder.resolve("here/harmed"));
        Process p = start(List.of(mpirun("-n 2"), train("--steps 5000 --zero 3 --out harmed")));
        try (BufferedReader lines = p.inputReader()) {
            lines.readLine();
            Files.writeString(folder.resolve("here/harmed/checkpoints"), "a file where the folder should be");
            while (lines.readLine() != null) {
                // until it ends
            }
        }
        assertEquals(1, p.waitFor());
        says("deckle: harmed/checkpoints: ");
    }

    @Test
    void anInterruptedRunGoesOnAsThreads() throws Exception {
        Process p = start(List.of(mpirun("-n 2"), train("--steps 100000 --zero 2 --out cut --offload state")));
        long last = 0;
        try (BufferedReader lines = p.inputReader()) {
            for (String line; (line = lines.readLine()) != null;) {
                last = JsonParser.parseString(line).getAsJsonObject().get("step").getAsLong();
                if (last == 4) {
                    p.toHandle().destroy(); // SIGTERM, as Ctrl-C is to mpirun
                }
            }
        }
        p.waitFor();
        long steps = last;
        assertTrue(said().stream().anyMatch(l -> l.startsWith("Interrupted after " + String.format("%,d", steps))),
                () -> said().toString());
        try (Stream<Path> files = Files.list(folder.resolve("here/state"))) {
            assertEquals(List.of(), files.toList());
        }
        Process rest = start(List.of(words(DECKLE + " train --json --resume cut --offload state --ranks 3 --steps "
                + (steps + 1))));
        try (BufferedReader lines = rest.inputReader()) {
            String line = lines.readLine();
            assertEquals(steps + 1, JsonParser.parseString(line).getAsJsonObject().get("step").getAsLong());
        }
        assertEquals(0, rest.waitFor(), () -> said().toString());
    }
}
