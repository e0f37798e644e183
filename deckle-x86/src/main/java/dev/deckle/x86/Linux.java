package dev.deckle.x86;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Collections;

/// The way into native code: emitted kernels, and the three functions of the C library that give memory and make it
/// executable.
///
/// All of it goes through one handle of eleven numbers, because linking a handle takes tens of milliseconds at start.
/// The calling convention allows it: integers of any size travel in whole registers, and a function does not see
/// arguments that it has not asked for.
final class Linux {
    private static final long READ_WRITE = 3;
    private static final long READ_EXECUTE = 5;
    private static final long PRIVATE_ANONYMOUS = 0x22;
    private static final long ADVISE_HUGE_PAGES = 14;
    private static final long HUGE_PAGE = 2 << 20;
    private static final int ARGUMENTS = 11;

    /// A plain call, not a critical one: while a kernel runs, the garbage collector need not wait for it.
    private static final MethodHandle CALL = Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(
            JAVA_LONG, Collections.nCopies(ARGUMENTS, JAVA_LONG).toArray(MemoryLayout[]::new)));

    private Linux() {}

    /// Zeroed memory for the life of the process. Pages are taken from the system as they are touched, huge ones where
    /// it gives them.
    static long reserve(long bytes) {
        long size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        long start = (map(size + HUGE_PAGE) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        call(libc("madvise"), start, size, ADVISE_HUGE_PAGES, 0, 0, 0); // advice: may be declined
        return start;
    }

    /// The code on pages of its own that can be read and executed, and never again be written.
    static MemorySegment executable(byte[] code) {
        long start = map(code.length);
        MemorySegment pages = MemorySegment.ofAddress(start).reinterpret(code.length);
        MemorySegment.copy(code, 0, pages, JAVA_BYTE, 0, code.length);
        if ((int) call(libc("mprotect"), start, code.length, READ_EXECUTE, 0, 0, 0) != 0) {
            throw new UnsupportedOperationException("the system refuses to make pages executable (mprotect)");
        }
        return pages;
    }

    private static long map(long bytes) {
        long start = call(libc("mmap"), 0, bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
        if (start == -1) {
            throw new OutOfMemoryError("the system refuses " + bytes + " bytes of memory (mmap)");
        }
        return start;
    }

    private static MemorySegment libc(String name) {
        return Linker.nativeLinker().defaultLookup().find(name)
                .orElseThrow(() -> new UnsupportedOperationException("the C library has no " + name));
    }

    static long call(MemorySegment function, long a, long b, long c, long d, long e, long f) {
        return call(function, a, b, c, d, e, f, 0, 0, 0, 0, 0);
    }

    /// Kernels trust their arguments: whoever calls has checked the sizes.
    static long call(
            MemorySegment function,
            long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k) {
        try {
            return (long) CALL.invokeExact(function, a, b, c, d, e, f, g, h, i, j, k);
        } catch (RuntimeException | Error t) {
            throw t;
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }
}
