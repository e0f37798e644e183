package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What the launcher decides by itself, as built: the heap of a verb that promises to need little.
class LauncherIT {
    private static final Path DECKLE = Path.of("").toAbsolutePath().getParent().resolve("deckle");

    @TempDir
    private Path folder;

    private String run(String... args) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(DECKLE.toString()));
        command.addAll(List.of(args));
        Path out = folder.resolve("out");
        Path err = folder.resolve("err");
        int exit = new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile()).start()
                .waitFor();
        assertEquals(0, exit, Files.readString(err));
        return Files.readString(out);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "data median --generate 1,1000000 --json",
        "--json data median --generate 1,1000000",
        "--threads 1 data --json median --generate 1,1000000",
        "-v --threads=1 data median --generate 1,1000000 --json",
    })
    void theMedianHasASmallHeapWhereverTheFlagsStand(String args) throws Exception {
        JsonObject o = JsonParser.parseString(run(args.split(" "))).getAsJsonObject();
        assertTrue(o.get("max_heap_bytes").getAsLong() <= 32 << 20, o.toString());
        assertTrue(o.get("memory_bytes").getAsLong() <= 32_000_000, o.toString());
    }

    @Test
    void otherVerbsHaveTheirOwn() throws Exception {
        String heap = run("doctor").lines().filter(line -> line.startsWith("memory")).findFirst().orElseThrow();
        assertTrue(Integer.parseInt(heap.replaceAll("\\D+(\\d+) MB.*", "$1")) > 64, heap);
    }
}
