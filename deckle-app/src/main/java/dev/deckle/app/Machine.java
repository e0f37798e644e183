package dev.deckle.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/// What the system says of this process.
final class Machine {
    private static final String PEAK = "VmHWM:";

    private Machine() {}

    /// The most memory that was resident at once; nothing where the system does not tell.
    static OptionalLong peakMegabytes() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status"))
                    .stream()
                    .filter(line -> line.startsWith(PEAK))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) >> 10)
                    .findFirst();
        } catch (IOException _) {
            return OptionalLong.empty();
        }
    }
}
