package dev.deckle.x86;

import dev.deckle.kernel.NativeCall;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The kernels of the matrix unit, emitted together and executable, with the shapes of tiles for every edge.
final class AmxCode {
    /// Rows, and columns, that four tiles of C have.
    static final int SIDE = 2 * AmxTile.SIDE;

    /// How a kernel is called: [NativeCall#call], or a model of the processor in tests.
    @FunctionalInterface
    interface Caller {
        long call(
                MemorySegment function,
                long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k);
    }

    final List<Code.Entry> entries = new ArrayList<>();
    final byte[] bytes;
    private final Caller caller;
    private final MemorySegment[][] kernels = new MemorySegment[3][3]; // by tiles down and across
    private final long shapes; // (rows, columns) of 64 bytes

    AmxCode(Caller caller) {
        this.caller = caller;
        Asm asm = new Asm(Isa.AVX512);
        for (int down = 1; down <= 2; down++) {
            for (int across = 1; across <= 2; across++) {
                asm.align(64);
                int start = asm.size();
                new AmxTile(down, across).emit(asm);
                entries.add(new Code.Entry("amx " + down + " " + across, start, asm.size()));
            }
        }
        asm.align(64);
        int table = asm.size();
        for (int rows = 1; rows <= SIDE; rows++) {
            for (int columns = 1; columns <= SIDE; columns++) {
                for (byte b : AmxTile.shapes(rows, columns)) {
                    asm.put(b);
                }
            }
        }
        bytes = asm.bytes();
        MemorySegment code = Linux.executable(bytes);
        shapes = code.address() + table;
        for (int i = 0; i < entries.size(); i++) {
            kernels[1 + i / 2][1 + i % 2] = code.asSlice(entries.get(i).start());
        }
    }

    /// C (rows, columns) at `c` (+)= A, in strips at `a`, times B, in strips at `b`, see [AmxTile]. `rows` is at most
    /// [#SIDE], `columns` any number above 0.
    void multiply(
            int rows, int columns, int blocks, long a, long b, long strip, long c, long ldc, boolean accumulate) {
        int panels = columns / SIDE;
        int rest = columns % SIDE;
        if (panels > 0) {
            call(rows, SIDE, panels, blocks, a, b, strip, c, ldc, accumulate);
        }
        if (rest > 0) {
            call(rows, rest, 1, blocks, a, b + 2 * panels * strip, strip, c + (long) Float.BYTES * panels * SIDE, ldc,
                    accumulate);
        }
    }

    /// The largest kernel, which has every instruction that the others have, on zeros in a child process.
    ///
    /// @return how that ended, if not well
    Optional<String> tried() {
        try (Arena arena = Arena.ofConfined()) {
            long a = arena.allocate(2 * AmxTile.BYTES, 64).address();
            long b = arena.allocate(2 * AmxTile.BYTES, 64).address();
            long c = arena.allocate((long) Float.BYTES * SIDE * SIDE, 64).address();
            return Trial.run(kernels[2][2],
                    c, Float.BYTES * SIDE, a, b, AmxTile.BYTES, shapes(SIDE, SIDE), 1, 1, 1, 0);
        }
    }

    private long shapes(int rows, int columns) {
        return shapes + 64L * ((rows - 1) * SIDE + columns - 1);
    }

    private void call(
            int rows, int columns, int panels, int blocks, long a, long b, long strip, long c, long ldc,
            boolean accumulate) {
        caller.call(kernels[Math.ceilDiv(rows, AmxTile.SIDE)][Math.ceilDiv(columns, AmxTile.SIDE)],
                c, ldc, a, b, strip, shapes(rows, columns), panels, blocks,
                accumulate ? 1 : 0, 0, 0);
    }
}
