package dev.deckle.x86;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Collections;
import java.util.Optional;

/// The way into native code: emitted kernels, and the functions of the C library that give memory, make it executable
/// and ask for the registers of the matrix unit.
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
    private static final long ARCH_PRCTL = 158;
    private static final long REQUEST_PERMISSION = 0x1023; // ARCH_REQ_XCOMP_PERM
    private static final long TILE_DATA = 18;
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

    /// Asks that the threads of this process may use the registers of AMX, which the system gives only then: without
    /// permission their first use ends the process. It holds for threads to come as well, and asking again does no
    /// harm. See "Using XSTATE features in user space applications" in the kernel's documentation.
    ///
    /// @return why not
    static Optional<String> askForTiles() {
        Optional<MemorySegment> syscall = Linker.nativeLinker().defaultLookup().find("syscall");
        return syscall.isPresent() && call(syscall.get(), ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA, 0, 0, 0) == 0
                ? Optional.empty()
                : Optional.of("the system refuses its registers (arch_prctl ARCH_REQ_XCOMP_PERM)");
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
