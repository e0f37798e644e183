package dev.deckle.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The most memory that this process ever held.
final class ResidentPeak {
    private static final Pattern LINE = Pattern.compile("VmHWM:\\s*(\\d+) kB");

    private ResidentPeak() {}

    /// In bytes, the JVM's own included; Linux tells, other systems do not.
    static OptionalLong bytes() {
        try {
            Matcher peak = LINE.matcher(Files.readString(Path.of("/proc/self/status")));
            return peak.find() ? OptionalLong.of(Long.parseLong(peak.group(1)) << 10) : OptionalLong.empty();
        } catch (IOException _) {
            return OptionalLong.empty();
        }
    }
}
