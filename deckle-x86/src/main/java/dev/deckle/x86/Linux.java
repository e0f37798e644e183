package dev.deckle.x86;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Collections;

/// What is asked of the system: executable pages, large pages, and the one way into emitted code.
final class Linux {
    private static final int READ_WRITE = 3;
    private static final int READ_EXECUTE = 5;
    private static final int PRIVATE_ANONYMOUS = 0x22;
    private static final int ADVISE_HUGE_PAGES = 14;
    private static final long HUGE_PAGE = 2 << 20;
    /// Arguments of every kernel.
    private static final int ARGUMENTS = 11;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle MMAP = libc("mmap",
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle MPROTECT = libc("mprotect",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    private static final MethodHandle MADVISE = libc("madvise",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    /// A plain call, not a critical one: while a kernel runs, the garbage collector need not wait for it.
    private static final MethodHandle KERNEL = LINKER.downcallHandle(FunctionDescriptor.ofVoid(
            Collections.nCopies(ARGUMENTS, JAVA_LONG).toArray(MemoryLayout[]::new)));

    private Linux() {}

    private static MethodHandle libc(String name, FunctionDescriptor type) {
        MemorySegment function = LINKER.defaultLookup().find(name)
                .orElseThrow(() -> new UnsupportedOperationException("the C library has no " + name));
        return LINKER.downcallHandle(function, type);
    }

    /// Zeroed memory for the life of the process. Pages are taken from the system as they are touched, huge ones where
    /// it gives them.
    static long reserve(long bytes) {
        long size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        long start = (map(size + HUGE_PAGE) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        try {
            int _ = (int) MADVISE.invokeExact(start, size, ADVISE_HUGE_PAGES); // advice may be declined
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
        return start;
    }

    /// The code on pages of its own that can be read and executed, and never again be written.
    static MemorySegment executable(byte[] code) {
        long start = map(code.length);
        MemorySegment pages = MemorySegment.ofAddress(start).reinterpret(code.length);
        MemorySegment.copy(code, 0, pages, JAVA_BYTE, 0, code.length);
        int failed;
        try {
            failed = (int) MPROTECT.invokeExact(start, (long) code.length, READ_EXECUTE);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
        if (failed != 0) {
            throw new UnsupportedOperationException("the system refuses to make pages executable (mprotect)");
        }
        return pages;
    }

    private static long map(long bytes) {
        long start;
        try {
            start = (long) MMAP.invokeExact(0L, bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0L);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
        if (start == -1) {
            throw new OutOfMemoryError("the system refuses " + bytes + " bytes of memory (mmap)");
        }
        return start;
    }

    static void call(MemorySegment kernel, long a, long b, long c, long d, long e, long f) {
        call(kernel, a, b, c, d, e, f, 0, 0, 0, 0, 0);
    }

    /// Kernels trust their arguments: whoever calls has checked the sizes.
    static void call(
            MemorySegment kernel, long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k) {
        try {
            KERNEL.invokeExact(kernel, a, b, c, d, e, f, g, h, i, j, k);
        } catch (RuntimeException | Error t) {
            throw t;
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }
}
