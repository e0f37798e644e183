package dev.deckle.mpi;

import static java.lang.foreign.SymbolLookup.*;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The functions of libmpi that are needed, as Open MPI has them: its handles are pointers, and its constants are the
/// addresses of objects in the library. (MPICH's are numbers; the two share a standard, not a binary interface.)
///
/// Not safe for threads: one thread calls it.
final class LibMpi {
    private static final int MAX_ERROR_STRING = 256;

    /// One handle for all functions, because linking one takes tens of milliseconds at start. The calling conventions
    /// of x86-64 and AArch64 allow it: integers travel in whole registers, and nobody reads those that were not asked
    /// for.
    private static final int ARGUMENTS = 7;
    private static final MethodHandle CALL = Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(
            JAVA_LONG, Collections.nCopies(ARGUMENTS, JAVA_LONG).toArray(MemoryLayout[]::new)));

    private final SymbolLookup symbols;
    private final Map<String, MemorySegment> functions = new HashMap<>();
    private final MemorySegment text = Arena.ofAuto().allocate(MAX_ERROR_STRING + 8, 8);

    private LibMpi(SymbolLookup symbols) {
        this.symbols = symbols;
    }

    /// @throws IllegalStateException if Open MPI's is not on this machine
    static LibMpi open() {
        return open(candidates(System.getenv("PATH")));
    }

    /// The first of `names`, each a library's name or file, that can be loaded.
    static LibMpi open(List<String> names) {
        SymbolLookup found = names.stream().flatMap(name -> load(name).stream()).findFirst().orElseThrow(
                () -> new IllegalStateException("libmpi is not found: install Open MPI (apt install openmpi-bin; "
                        + "brew install open-mpi)"));
        if (found.find("ompi_mpi_comm_world").isEmpty()) {
            throw new IllegalStateException("the libmpi found here is not Open MPI's, and only that is supported: "
                    + "install Open MPI (apt install openmpi-bin; brew install open-mpi)");
        }
        return new LibMpi(found);
    }

    /// By name, and beside the `mpirun` of the path: not every system has Open MPI where libraries are looked for.
    static List<String> candidates(String path) {
        List<String> files = List.of("libmpi.so.40", "libmpi.so", "libmpi.dylib");
        List<String> all = new ArrayList<>(files);
        for (String folder : path == null ? new String[0] : path.split(File.pathSeparator)) {
            Path mpirun = Path.of(folder, "mpirun");
            if (Files.isExecutable(mpirun)) {
                try {
                    Path lib = mpirun.toRealPath().getParent().resolveSibling("lib");
                    files.forEach(file -> all.add(lib.resolve(file).toString()));
                } catch (IOException _) {
                    // a link that leads nowhere
                }
            }
        }
        return all;
    }

    private static Optional<SymbolLookup> load(String name) {
        try {
            return Optional.of(libraryLookup(name, Arena.global()));
        } catch (IllegalArgumentException _) { // it is not there, or cannot be loaded
            return Optional.empty();
        }
    }

    /// The address of an object of the library: `ompi_mpi_byte`.
    long object(String name) {
        return symbol(name).address();
    }

    private MemorySegment symbol(String name) {
        return symbols.find(name).orElseThrow(() -> new IllegalStateException("libmpi has no " + name));
    }

    /// Calls a function with pointers and integers.
    ///
    /// @throws IllegalStateException with MPI's own words if it fails
    void call(String function, long... arguments) {
        check(function, raw(function, arguments));
    }

    /// Its return code.
    int raw(String function, long... a) {
        MemorySegment f = functions.computeIfAbsent(function, this::symbol);
        long[] all = java.util.Arrays.copyOf(a, ARGUMENTS);
        try {
            return (int) (long) CALL.invokeExact(f, all[0], all[1], all[2], all[3], all[4], all[5], all[6]);
        } catch (Throwable e) {
            throw new IllegalStateException(function, e);
        }
    }

    void check(String function, int code) {
        if (code != 0) {
            throw new IllegalStateException(function + ": " + message(code));
        }
    }

    private String message(int code) {
        MemorySegment length = text.asSlice(MAX_ERROR_STRING);
        if (raw("MPI_Error_string", code, text.address(), length.address()) != 0) {
            return "error " + code;
        }
        byte[] bytes = text.asSlice(0, length.get(JAVA_INT, 0)).toArray(JAVA_BYTE);
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
