package dev.deckle.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsTest {
    @TempDir
    private Path folder;

    private Path saved() {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        tensors.put("a.weight", Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3));
        tensors.put("transposed", Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3).t());
        tensors.put("half", Tensor.of(new float[] {1, -2, 0.5f}).to(DType.BF16));
        tensors.put("empty", Tensor.zeros(0, 4));
        tensors.put("ids \"quoted\"\n", Tensor.of(new long[] {7, -1}));
        tensors.put("scalar", Tensor.scalar(3));
        Path file = folder.resolve("t.safetensors");
        Safetensors.save(file, tensors, Map.of("format", "pt"));
        return file;
    }

    @Test
    void whatIsSavedComesBack() {
        try (ModelMemory memory = new ModelMemory()) {
            Safetensors s = Safetensors.open(saved(), memory);
            assertEquals("pt", s.metadata().get("format"));
            assertArrayEquals(new double[] {1, 2, 3, 4, 5, 6}, s.tensors().get("a.weight").toDoubles());
            assertArrayEquals(new double[] {1, 4, 2, 5, 3, 6}, s.tensors().get("transposed").toDoubles());
            assertEquals(DType.BF16, s.tensors().get("half").dtype());
            assertArrayEquals(new double[] {1, -2, 0.5}, s.tensors().get("half").toDoubles());
            assertArrayEquals(new long[] {7, -1}, s.tensors().get("ids \"quoted\"\n").toLongs());
            assertEquals(3, s.tensors().get("scalar").item());
            assertEquals(0, s.tensors().get("empty").numel());
        }
        assertEquals(1, folder.toFile().list().length, "no temporary file is left");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
        "[]|not a JSON object",
        "{\"a|the end too early",
        "{\"a\":1}|must be a JSON object",
        "{\"a\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}|dtype F99 is not one of",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}|not a whole number",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}|not a whole number",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}|needs 8 bytes",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}|lie outside",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}|is the file cut off?",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}|data_offsets must be two whole numbers",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}|belong to none",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}|must not overlap nor leave gaps",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}|must not overlap",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}|twice",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2147483647,2147483647,2147483647],"
                + "\"data_offsets\":[0,4]}}|too many elements",
        "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]|nesting deeper"
    })
    void headersThatLieAreRefused(String header, String expected) throws Exception {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        Path file = folder.resolve("lie.safetensors");
        Files.write(file, ByteBuffer.allocate(12 + text.length).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length)
                .put(text).putInt(0x3f800000).array());
        try (ModelMemory memory = new ModelMemory()) {
            var e = assertThrows(IllegalArgumentException.class, () -> Safetensors.open(file, memory));
            assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
            assertTrue(e.getMessage().contains(expected), e.getMessage());
            assertEquals(0, memory.bytes());
        }
    }

    /// 300 damaged files: each is either still readable or refused in one line; none crashes, hangs or allocates.
    @Test
    void damagedFilesAreRefusedInOneLine() throws Exception {
        byte[] whole = Files.readAllBytes(saved());
        SplittableRandom random = new SplittableRandom(11);
        Path file = folder.resolve("damaged.safetensors");
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            byte[] b = whole.clone();
            switch (i % 5) {
                case 0 -> b = java.util.Arrays.copyOf(b, random.nextInt(b.length));
                case 1 -> {
                    for (int j = 0; j <= random.nextInt(8); j++) {
                        b[random.nextInt(b.length)] ^= (byte) (1 << random.nextInt(8));
                    }
                }
                case 2 -> ByteBuffer.wrap(b).order(ByteOrder.LITTLE_ENDIAN).putLong(0, random.nextLong());
                case 3 -> b = java.util.Arrays.copyOf(b, b.length + 1 + random.nextInt(100));
                default -> b[8 + random.nextInt(400)] = (byte) ('0' + random.nextInt(10));
            }
            Files.write(file, b);
            try (ModelMemory memory = new ModelMemory()) {
                Safetensors.open(file, memory).tensors().values().forEach(Tensor::toDoubles);
                assertTrue(memory.bytes() <= 2L * b.length);
            } catch (IllegalArgumentException | UncheckedIOException e) {
                refused++;
                assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
                assertFalse(e.getMessage().strip().contains("\n"), e.getMessage());
            }
        }
        assertTrue(refused > 180, refused + " of 300 refused");
    }

    @Test
    void aFailedWriteLeavesTheOldFile() throws Exception {
        Path file = saved();
        byte[] before = Files.readAllBytes(file);
        assertThrows(IllegalStateException.class, () -> AtomicFile.write(file, _ -> {
            throw new IllegalStateException("killed");
        }));
        assertArrayEquals(before, Files.readAllBytes(file));
        Path nowhere = folder.resolve("no/such/folder");
        var e = assertThrows(UncheckedIOException.class, () -> AtomicFile.write(nowhere, "x"));
        assertTrue(e.getMessage().contains("the folder does not exist"), e.getMessage());
        assertEquals(1, folder.toFile().list().length, "no temporary file is left");
    }
}
