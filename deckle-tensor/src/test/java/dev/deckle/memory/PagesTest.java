package dev.deckle.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Native;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PagesTest {
    @ParameterizedTest
    @ValueSource(longs = {1, 4097, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 9_000_001})
    void memoryIsZeroAlignedAndWhole(long bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment m = Pages.allocate(arena, bytes);
            assertEquals(bytes, m.byteSize());
            assertEquals(0, m.address() % 64);
            assertTrue(Native.equal(m.address(), arena.allocate(bytes, 64).address(), bytes));
            m.fill((byte) 7); // all of it can be written
        }
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void largeMemoryAsksForHugePages() throws Exception {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment m = Pages.allocate(arena, 8 << 20);
            assertEquals(0, m.address() % (2 << 20));
            assertTrue(adviceAt(m.address()).contains(" hg"), "VmFlags say that huge pages are advised");
        }
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void itIsGivenBackWithItsArena() throws Exception {
        long address;
        try (Arena arena = Arena.ofShared()) {
            MemorySegment m = Pages.allocate(arena, 256L << 20); // untouched, it costs nothing
            address = m.address();
            assertFalse(adviceAt(address).isEmpty());
        }
        assertTrue(adviceAt(address).isEmpty());
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void moreThanThereIsIsRefusedBeforeItIsTouched() {
        try (Arena arena = Arena.ofConfined()) {
            var e = assertThrows(OutOfMemoryError.class, () -> Pages.allocate(arena, 1L << 50));
            assertTrue(e.getMessage().startsWith("1,073,741,824 MB of memory were asked for and "), e.getMessage());
        }
    }

    /// The flags of the mapping that begins at an address or is cut there, empty if it is not mapped.
    private static String adviceAt(long address) throws Exception {
        boolean inside = false;
        for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
            if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
                String[] range = line.substring(0, line.indexOf(' ')).split("-");
                inside = Long.parseUnsignedLong(range[0], 16) <= address
                        && Long.parseUnsignedLong(range[1], 16) > address;
            } else if (inside && line.startsWith("VmFlags:")) {
                return line + " ";
            }
        }
        return "";
    }
}
