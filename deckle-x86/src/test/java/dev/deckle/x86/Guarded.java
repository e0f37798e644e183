package dev.deckle.x86;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;

/// Memory between two pages that nobody may touch. A kernel that reads or writes one number past either end of what is
/// placed there stops the whole test run with a segmentation fault that names the kernel's address.
final class Guarded {
    private static final int PAGE = 4096;
    private static final MethodHandle MMAP = libc("mmap",
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle MPROTECT = libc("mprotect",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));

    final long start;
    final long floats;

    Guarded(int floats) {
        long bytes = (4L * floats + PAGE - 1) / PAGE * PAGE;
        try {
            start = (long) MMAP.invokeExact(0L, bytes + 2 * PAGE, 3, 0x22, -1, 0L) + PAGE;
            if ((int) MPROTECT.invokeExact(start - PAGE, (long) PAGE, 0) != 0
                    || (int) MPROTECT.invokeExact(start + bytes, (long) PAGE, 0) != 0) {
                throw new IllegalStateException("mprotect failed");
            }
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
        this.floats = bytes / 4;
    }

    /// The address of `count` floats that begin, or else end, at a forbidden page.
    long place(long count, boolean atEnd) {
        return place(count, Float.BYTES, atEnd);
    }

    /// The same for numbers of `width` bytes.
    long place(long count, int width, boolean atEnd) {
        if (width * count > 4 * floats) {
            throw new IllegalArgumentException(count + " numbers of " + width + " bytes, room for " + floats
                    + " floats");
        }
        return atEnd ? start + 4 * floats - width * count : start;
    }

    private static MethodHandle libc(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().find(name).orElseThrow(), type);
    }
}
