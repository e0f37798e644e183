package dev.deckle.x86;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;
import dev.deckle.x86.Operand.Source;
import dev.deckle.x86.Tile.Form;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Isa;
import java.lang.foreign.Arena;
import java.util.Optional;

/// Matrix products in f32, and with weights of bf16: says how the operands lie and hands on.
///
/// @param code for f32
record Products(Code code, Halves halves) {
    Products(Isa isa, Halves halves) {
        this(new Code(isa, Asm.VFMADD231PS, Optional.empty()), halves);
    }

    void matmul(
            DType t, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        if (t != DType.F32) {
            throw new UnsupportedOperationException("x86 has no matrix product of " + t);
        }
        if (nothingToAdd(m, n, k, c, crs, accumulate)) {
            return;
        }
        boolean aRows = acs == 1 || k == 1;
        boolean aColumns = ars == 1 || m == 1;
        boolean bRows = bcs == 1 || n == 1;
        boolean bColumns = brs == 1 || k == 1;
        if (!aRows && !aColumns || !bRows && !bColumns) {
            try (Arena arena = Arena.ofConfined()) {
                boolean gatherA = !aRows && !aColumns;
                boolean gatherB = !bRows && !bColumns;
                long ca = gatherA ? gather(arena, a, ars, acs, m, k) : a;
                long cb = gatherB ? gather(arena, b, brs, bcs, k, n) : b;
                matmul(t, m, n, k, ca, gatherA ? k : ars, gatherA ? 1 : acs,
                        cb, gatherB ? n : brs, gatherB ? 1 : bcs, c, crs, accumulate, team);
            }
            return;
        }
        // a single column is a transposed B as well, which the dot products like
        boolean bTransposed = bColumns && (!bRows || k > 1);
        new Product(code, m, n, k, false,
                new Operand(Source.READY, a, aRows ? Form.ROWS : Form.COLUMNS, 4 * (aRows ? ars : acs)),
                new Operand(Source.READY, b, bTransposed ? Form.ROWS : Form.COLUMNS, 4 * (bTransposed ? bcs : brs)),
                c, 4 * crs, accumulate, team).run();
    }

    void matmulRounded(
            DType ta, DType tb, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        Code code = halves.code()
                .orElseThrow(() -> new UnsupportedOperationException("x86 has no matrix product of BF16 here"));
        if (!nothingToAdd(m, n, k, c, crs, accumulate)) {
            HalfProduct.run(code, Source.of(ta), Source.of(tb), m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate,
                    team);
        }
    }

    /// Checks the arguments, and is done with a product of nothing.
    private static boolean nothingToAdd(int m, int n, int k, long c, long crs, boolean accumulate) {
        if (m < 0 || n < 0 || k < 0 || m > 1 && crs < n) {
            throw new IllegalArgumentException("matmul: expected m, n, k >= 0 and rows of C at least n apart, found m="
                    + m + " n=" + n + " k=" + k + " crs=" + crs);
        }
        for (int i = 0; i < m && k == 0 && n > 0 && !accumulate; i++) {
            Native.zero(c + 4 * i * crs, 4L * n);
        }
        return m == 0 || n == 0 || k == 0;
    }

    /// A contiguous copy of a matrix that is contiguous in neither direction, which is rare.
    static long gather(Arena arena, long from, long rs, long cs, int rows, int columns) {
        long to = arena.allocate(4L * rows * columns, 64).address();
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                Native.setFloat(to + 4 * ((long) i * columns + j), Native.getFloat(from + 4 * (i * rs + j * cs)));
            }
        }
        return to;
    }
}
