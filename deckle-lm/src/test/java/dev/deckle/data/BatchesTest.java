package dev.deckle.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BatchesTest {
    @TempDir
    Path folder;

    /// The tokens 0, 1, 2, ..., so that a token is its own position.
    private TokenFile counting(int n) throws IOException {
        Path file = folder.resolve(n + ".tokens");
        try (var writer = new TokenFile.Writer(file, 1 << 20)) {
            if (n > 0) {
                writer.document(IntStream.range(0, n - 1).toArray(), n - 1, n);
            }
            writer.finish("k".repeat(64));
        }
        return TokenFile.open(file);
    }

    @Test
    void targetsAreTheNextTokens() throws IOException {
        try (TokenFile tokens = counting(1_000)) {
            var batches = new Batches(tokens, 4, 16, 1);
            for (int p = 0; p < 500; p++) {
                Batch batch = batches.at(p);
                assertEquals(64, batch.inputs().length);
                for (int i = 0; i < 64; i++) {
                    assertEquals(batch.inputs()[i] + 1, batch.targets()[i]);
                    assertEquals(batch.inputs()[i / 16 * 16] + i % 16, batch.inputs()[i]);
                }
            }
        }
    }

    /// Each place is as likely as any other, the first and the last included.
    @Test
    void everyWindowHasItsChance() throws IOException {
        try (TokenFile tokens = counting(12)) {
            int[] starts = new int[12];
            var batches = new Batches(tokens, 8, 4, 3);
            for (int p = 0; p < 1_000; p++) {
                Batch batch = batches.at(p);
                for (int r = 0; r < 8; r++) {
                    starts[batch.inputs()[r * 4]]++;
                }
            }
            for (int start = 0; start < 8; start++) {
                assertTrue(starts[start] > 850 && starts[start] < 1_150, Arrays.toString(starts));
            }
            assertEquals(8_000, Arrays.stream(starts, 0, 8).sum());
        }
    }

    @Test
    void aBatchDependsOnSeedAndPositionOnly() throws IOException {
        try (TokenFile tokens = counting(100_000)) {
            var a = new Batches(tokens, 4, 8, 5);
            Batch far = a.at(1L << 40);
            Batch seventh = a.at(7);
            var b = new Batches(tokens, 4, 8, 5);
            assertArrayEquals(seventh.inputs(), b.at(7).inputs());
            assertArrayEquals(far.inputs(), b.at(1L << 40).inputs());
            assertFalse(Arrays.equals(seventh.inputs(), b.at(8).inputs()));
            assertFalse(Arrays.equals(seventh.inputs(), new Batches(tokens, 4, 8, 6).at(7).inputs()));
            assertFalse(Arrays.equals(far.inputs(), b.at(0).inputs()));
            // nor is the next seed the same stream, one row later
            assertFalse(Arrays.equals(a.at(7, 1, 3).inputs(), new Batches(tokens, 4, 8, 6).at(7, 0, 3).inputs()));
        }
    }

    @Test
    void ranksDrawTheirRowsOfTheSameBatch() throws IOException {
        try (TokenFile tokens = counting(5_000)) {
            var batches = new Batches(tokens, 6, 8, 5);
            Batch whole = batches.at(11);
            for (int rank = 0; rank < 3; rank++) {
                Batch part = batches.at(11, rank * 2, 2);
                assertArrayEquals(Arrays.copyOfRange(whole.inputs(), rank * 16, rank * 16 + 16), part.inputs());
                assertArrayEquals(Arrays.copyOfRange(whole.targets(), rank * 16, rank * 16 + 16), part.targets());
            }
            assertEquals(0, batches.at(11, 6, 0).inputs().length);
            assertThrows(IndexOutOfBoundsException.class, () -> batches.at(11, 5, 2));
            assertThrows(IndexOutOfBoundsException.class, () -> batches.at(-1));
            assertThrows(IndexOutOfBoundsException.class, () -> batches.at(0, -1, 1));
        }
    }

    @Test
    void tooLittleTextIsSaidInNumbers() throws IOException {
        try (TokenFile tokens = counting(16)) {
            assertEquals(0, new Batches(tokens, 1, 15, 1).at(3).inputs()[0]);
            var e = assertThrows(IllegalArgumentException.class, () -> new Batches(tokens, 1, 16, 1));
            assertTrue(e.getMessage().contains("16 tokens") && e.getMessage().contains("17"), e::getMessage);
            assertThrows(IllegalArgumentException.class, () -> new Batches(tokens, 0, 8, 1));
            assertThrows(IllegalArgumentException.class, () -> new Batches(tokens, 1, 0, 1));
        }
    }

    @Test
    void evaluationGoesOverAllWindowsOnce() throws IOException {
        try (TokenFile tokens = counting(103)) {
            var evaluation = new Evaluation(tokens, 4, 10, 1_000);
            assertEquals(10, evaluation.windows());
            var sizes = new ArrayList<Integer>();
            var inputs = new ArrayList<Integer>();
            for (Batch batch : evaluation) {
                sizes.add(batch.rows());
                for (int i = 0; i < batch.inputs().length; i++) {
                    inputs.add(batch.inputs()[i]);
                    assertEquals(batch.inputs()[i] + 1, batch.targets()[i]);
                }
            }
            assertEquals(List.of(4, 4, 2), sizes);
            assertEquals(IntStream.range(0, 100).boxed().toList(), inputs);
        }
    }

    @Test
    void evaluationOfAtMostSoManyWindowsIsSpread() throws IOException {
        try (TokenFile tokens = counting(1_001)) {
            var starts = new ArrayList<Integer>();
            for (Batch batch : new Evaluation(tokens, 2, 10, 4)) {
                starts.add(batch.inputs()[0]);
                starts.add(batch.inputs()[10]);
            }
            assertEquals(List.of(0, 250, 500, 750), starts);
        }
    }

    @Test
    void evaluationOfLittleTextIsOneShortWindow() throws IOException {
        int[] tokens = {0, 1, 2, 5, 10, 11};
        int[] windows = {0, 0, 1, 1, 1, 1};
        int[] contexts = {0, 0, 1, 4, 9, 10};
        for (int i = 0; i < tokens.length; i++) {
            try (TokenFile file = counting(tokens[i])) {
                var evaluation = new Evaluation(file, 3, 10, 100);
                assertEquals(windows[i], evaluation.windows());
                int expected = contexts[i];
                int seen = 0;
                for (Batch batch : evaluation) {
                    assertEquals(expected, batch.context());
                    assertEquals(1, batch.rows());
                    seen++;
                }
                assertEquals(windows[i], seen);
            }
        }
    }
}
