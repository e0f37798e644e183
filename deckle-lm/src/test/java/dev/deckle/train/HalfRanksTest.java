package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
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
        assertSavedAsMasters(whole);
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

    /// The model that comes out has what the weights were rounded from.
    private static void assertSavedAsMasters(Path run) throws IOException {
        assertTrue(Files.readString(run.resolve("config.json")).contains("\"float32\""));
        try (ModelMemory memory = new ModelMemory()) {
            var model = Safetensors.open(run.resolve("model.safetensors"), memory).tensors();
            var state =
                    Safetensors.open(run.resolve("checkpoints/step-0000012/optimizer.safetensors"), memory).tensors();
            int masters = 0;
            for (var e : model.entrySet()) {
                assertEquals(DType.F32, e.getValue().dtype(), e.getKey());
                Tensor master = state.get(e.getKey() + ".master");
                if (master != null) {
                    assertArrayEquals(master.toFloats(), e.getValue().toFloats(), e.getKey());
                    masters++;
                }
            }
            assertTrue(masters > 5, masters + " masters");
        }
    }
}
