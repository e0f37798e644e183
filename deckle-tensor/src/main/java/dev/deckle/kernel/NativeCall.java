package dev.deckle.kernel;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Collections;

/// Calls of native functions whose arguments are integers and addresses: emitted kernels, and the C library's for
/// memory.
///
/// All of it goes through one handle of eleven numbers, because linking a handle takes tens of milliseconds at start.
/// The calling convention allows it: integers of any size travel in whole registers, and a function does not see
/// arguments that it has not asked for.
public final class NativeCall {
    private static final int ARGUMENTS = 11;

    /// A plain call, not a critical one: while a kernel runs, the garbage collector need not wait for it.
    private static final MethodHandle CALL = Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(
            JAVA_LONG, Collections.nCopies(ARGUMENTS, JAVA_LONG).toArray(MemoryLayout[]::new)));

    private NativeCall() {}

    /// A function of the C library.
    ///
    /// @throws UnsupportedOperationException if it has none of this name
    public static MemorySegment libc(String name) {
        return Linker.nativeLinker().defaultLookup().find(name)
                .orElseThrow(() -> new UnsupportedOperationException("the C library has no " + name));
    }

    public static long call(MemorySegment function, long a, long b, long c, long d, long e, long f) {
        return call(function, a, b, c, d, e, f, 0, 0, 0, 0, 0);
    }

    /// Functions trust their arguments: whoever calls has checked them.
    public static long call(
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
