package dev.deckle.x86.emit;

import static dev.deckle.kernel.NativeCall.call;
import static dev.deckle.kernel.NativeCall.libc;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// What is asked of the system: to make memory executable, and to give the registers of the matrix unit.
public final class Linux {
    private static final long READ_WRITE = 3;
    private static final long READ_EXECUTE = 5;
    private static final long PRIVATE_ANONYMOUS = 0x22;
    private static final long ARCH_PRCTL = 158;
    private static final long REQUEST_PERMISSION = 0x1023; // ARCH_REQ_XCOMP_PERM
    private static final long TILE_DATA = 18;

    private Linux() {}

    /// The code on pages of its own that can be read and executed, and never again be written.
    public static MemorySegment executable(byte[] code) {
        long start = call(libc("mmap"), 0, code.length, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
        if (start == -1) {
            throw new OutOfMemoryError("the system refuses " + code.length + " bytes of memory for code (mmap)");
        }
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
    public static Optional<String> askForTiles() {
        Optional<MemorySegment> syscall = Linker.nativeLinker().defaultLookup().find("syscall");
        return syscall.isPresent() && call(syscall.get(), ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA, 0, 0, 0) == 0
                ? Optional.empty()
                : Optional.of("the system refuses its registers (arch_prctl ARCH_REQ_XCOMP_PERM)");
    }
}
