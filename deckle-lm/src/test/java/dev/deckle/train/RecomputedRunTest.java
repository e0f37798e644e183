package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Runs whose layers are computed again leave the same bits, and one goes on as the other.
@Timeout(120)
class RecomputedRunTest {
    @TempDir
    private Path folder;

    private static void assertSameBits(Path a, Path b) throws IOException {
        for (String file : new String[] {"model.safetensors", "checkpoints/step-0000012/optimizer.safetensors"}) {
            assertArrayEquals(Files.readAllBytes(a.resolve(file)), Files.readAllBytes(b.resolve(file)), file);
        }
    }

    private static TrainOptions with(TrainOptions o, String dtype, boolean recompute) {
        o.dtype = dtype;
        o.grad_accum = 2;
        o.recompute = recompute;
        return o;
    }

    @ParameterizedTest
    @CsvSource({"1,0,f32", "2,3,f32", "2,2,bf16"})
    void theSameBits(int ranks, int zero, String dtype) throws IOException {
        Path text = Runs.corpus(folder);
        Path plain = folder.resolve("plain");
        Path again = folder.resolve("again");
        Runs.Log expected = Runs.train(with(Runs.options(text, ranks, zero), dtype, false), plain);
        Runs.Log got = Runs.train(with(Runs.options(text, ranks, zero), dtype, true), again);
        assertEquals(expected.losses(), got.losses());
        assertSameBits(plain, again);
    }
}
