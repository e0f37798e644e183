package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Weights of BF16 that are resumed from their masters: bit for bit in the same layout, nearly so in another.
@Timeout(60)
class HalfRanksTest {
    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource({"1,0", "3,1", "2,3"})
    void anInterruptedRunGoesOn(int ranks, int zero) throws IOException {
        Path text = Runs.corpus(folder);
        TrainOptions o = Runs.options(text, ranks, zero);
        o.dtype = "bf16";
        o.save_every = 100;
        Path whole = folder.resolve("whole");
        Runs.Log expected = Runs.train(o, whole);
        assertTrue(Runs.header(whole.resolve("model.safetensors")).contains("\"dtype\":\"BF16\""));
        assertTrue(Files.readString(whole.resolve("config.json")).contains("\"bfloat16\""));
        Path out = folder.resolve("cut");
        Runs.Log first = new Runs.Log();
        try (Run run = Pretraining.start(o.complete(), out, first)) {
            assertFalse(run.train(() -> first.steps.size() >= 3));
        }
        List<Double> losses = new ArrayList<>(first.losses());
        losses.addAll(Runs.resumeFor(3, out, x -> x).losses());
        losses.addAll(Runs.resume(out, x -> x).losses());
        assertEquals(expected.losses(), losses);
        for (String file : List.of("model.safetensors", "checkpoints/step-0000012/optimizer.safetensors")) {
            assertArrayEquals(Files.readAllBytes(whole.resolve(file)), Files.readAllBytes(out.resolve(file)), file);
        }
        Runs.Log moved = Runs.resume(out, x -> {
            x.steps = 14;
            x.ranks = 4;
            x.zero = 2;
            return x;
        });
        assertEquals(List.of(13L, 14L), List.copyOf(moved.steps.keySet()));
        assertTrue(moved.steps.get(13L).loss() < losses.getFirst());
    }
}
