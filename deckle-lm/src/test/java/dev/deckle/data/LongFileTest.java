package dev.deckle.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Team;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LongFileTest {
    private static final MedianListener NOBODY = new MedianListener() {};

    @TempDir
    Path folder;

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void integersAreLittleEndianAndNothingElse() throws IOException {
        Path file = folder.resolve("numbers.bin");
        LongFile.write(file, LongSource.of(1, -2, 0x0102030405060708L), _ -> {});
        assertArrayEquals(new byte[] {1, 0, 0, 0, 0, 0, 0, 0, -2, -1, -1, -1, -1, -1, -1, -1, 8, 7, 6, 5, 4, 3, 2, 1},
                Files.readAllBytes(file));
        assertEquals(List.of("numbers.bin"), names());
        Files.write(file, new byte[] {0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1});
        try (LongFile integers = LongFile.open(file)) {
            assertEquals(3, integers.count());
            StreamMedian.Result result = new StreamMedian(24, Team.serial()).of(integers, NOBODY);
            assertEquals(256, result.lower());
        }
    }

    @Test
    void aFileHasTheMedianOfWhatItWasWrittenFrom() throws IOException {
        int n = 300_001; // more than a block, and no multiple of one
        for (Distribution d : Distribution.values()) {
            Path file = folder.resolve(d.label());
            LongGenerator generator = new LongGenerator(7, n, d);
            LongFile.write(file, generator, _ -> {});
            assertEquals(8L * n, Files.size(file));
            StreamMedian median = new StreamMedian(200_000, new Team(2));
            try (LongFile integers = LongFile.open(file)) {
                assertEquals(median.of(generator, NOBODY), median.of(integers, NOBODY), d.label());
            }
        }
    }

    @Test
    void whatIsNoFileOfIntegersIsRefused() throws IOException {
        Path file = folder.resolve("numbers.bin");
        assertThrows(NoSuchFileException.class, () -> LongFile.open(file));
        Files.write(file, new byte[0]);
        assertEquals(file + ": empty, expected 64-bit integers",
                assertThrows(IOException.class, () -> LongFile.open(file)).getMessage());
        Files.write(file, new byte[1_235]);
        assertEquals(file + ": 1,235 bytes are no 64-bit integers: expected a multiple of 8, 3 are left over",
                assertThrows(IOException.class, () -> LongFile.open(file)).getMessage());
        assertEquals(folder + ": not a regular file, and only such a file can be read again and again",
                assertThrows(IOException.class, () -> LongFile.open(folder)).getMessage());
    }

    @Test
    void aFileThatIsCutWhileItIsReadIsNoticed() throws IOException {
        Path file = folder.resolve("numbers.bin");
        LongFile.write(file, new LongGenerator(1, 1_000, Distribution.UNIFORM), _ -> {});
        try (LongFile integers = LongFile.open(file); Arena arena = Arena.ofConfined()) {
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                channel.truncate(4_000);
            }
            integers.read(400, arena.allocate(800, 8));
            assertEquals(file + ": became shorter than its 8,000 bytes while it was read",
                    assertThrows(IOException.class, () -> integers.read(450, arena.allocate(800, 8))).getMessage());
        }
    }

    @Test
    void noRoomIsToldBeforeAnythingIsWritten() throws IOException {
        Path file = folder.resolve("numbers.bin");
        var e = assertThrows(IOException.class,
                () -> LongFile.write(file, new LongGenerator(1, 1L << 59, Distribution.UNIFORM), _ -> {}));
        assertTrue(e.getMessage().startsWith(file + ": 576,460,752,303,423,488 integers need 4,611,686,018.4 GB and"),
                e.getMessage());
        assertEquals(List.of(), names());
    }

    @Test
    void writingThatIsBrokenOffLeavesWhatWasThere() throws IOException {
        Path file = folder.resolve("numbers.bin");
        LongFile.write(file, LongSource.of(5), _ -> {});
        assertThrows(IllegalStateException.class, () -> LongFile.write(file,
                new LongGenerator(1, 1_000_000, Distribution.UNIFORM), written -> {
                    if (written > 500_000) {
                        throw new IllegalStateException("stop");
                    }
                }));
        assertEquals(List.of("numbers.bin"), names());
        assertEquals(8, Files.size(file));
    }
}
