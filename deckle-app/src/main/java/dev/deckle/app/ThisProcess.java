package dev.deckle.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What the system knows of this process. Linux tells, other systems do not.
final class ThisProcess {
    private static final Pattern PEAK = Pattern.compile("VmHWM:\\s*(\\d+) kB");
    /// Ticks a second of the clock in which a start is told, the same on every machine (USER_HZ).
    private static final double TICKS = 100;
    /// Of the fields behind the name, see `man 5 proc_pid_stat`.
    private static final int START = 19;

    private ThisProcess() {}

    /// The most memory that it ever held, in bytes, the JVM's own included.
    static OptionalLong peakBytes() {
        try {
            Matcher peak = PEAK.matcher(Files.readString(Path.of("/proc/self/status")));
            return peak.find() ? OptionalLong.of(Long.parseLong(peak.group(1)) << 10) : OptionalLong.empty();
        } catch (IOException _) {
            return OptionalLong.empty();
        }
    }

    /// How long ago it was started, as the launcher if that started Java. What Java itself says of it is wrong by up to
    /// a second, because it adds the time of the machine's start in whole seconds.
    static OptionalDouble seconds() {
        try {
            String stat = Files.readString(Path.of("/proc/self/stat"));
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            double now = Double.parseDouble(Files.readString(Path.of("/proc/uptime")).split(" ")[0]);
            return OptionalDouble.of(now - Double.parseDouble(fields[START]) / TICKS);
        } catch (IOException _) {
            return OptionalDouble.empty();
        }
    }
}
