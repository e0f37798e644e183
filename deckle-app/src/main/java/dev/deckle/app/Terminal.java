package dev.deckle.app;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.util.OptionalInt;

/// The terminal's size, which Java does not tell: the system call `ioctl(fd, TIOCGWINSZ, size)`.
final class Terminal {
    /// Linux's number and that of macOS and the BSDs.
    private static final long TIOCGWINSZ = System.getProperty("os.name").startsWith("Linux") ? 0x5413 : 0x40087468;

    private Terminal() {}

    /// Columns of the terminal at a file descriptor; empty where there is no terminal or no such call.
    static OptionalInt columns(int fd) {
        Linker linker = Linker.nativeLinker();
        var ioctl = linker.defaultLookup().find("ioctl");
        if (ioctl.isEmpty()) {
            return OptionalInt.empty();
        }
        var type = FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocate(JAVA_SHORT, 4); // rows, columns, and both in pixels
            var call = linker.downcallHandle(ioctl.get(), type, Linker.Option.firstVariadicArg(2));
            int failed = (int) call.invokeExact(fd, TIOCGWINSZ, size);
            int columns = Short.toUnsignedInt(size.getAtIndex(JAVA_SHORT, 1));
            return failed == 0 && columns > 0 ? OptionalInt.of(columns) : OptionalInt.empty();
        } catch (Throwable e) {
            throw new IllegalStateException("ioctl cannot be called", e);
        }
    }
}
