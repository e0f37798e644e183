package dev.deckle.x86;

import static java.lang.Math.ceilDiv;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import dev.deckle.x86.Tile.Form;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;

/// A product with B of bf16. A pair of bf16 that are neighbours along k is four bytes, as a float is, and the processor
/// multiplies and adds pairs lane by lane as it does floats. So A is rounded once, and the rest is the [Product] of two
/// matrices with half the steps along k.
final class HalfProduct {
    /// Bytes of a rounded row are a multiple of this: of a vector.
    private static final int UNIT = 64;
    /// Rows in one task of rounding.
    private static final int ROWS = 16;

    private HalfProduct() {}

    static void run(
            Code code, int m, int n, int k,
            long a, long ars, long acs, long b, long brs, long bcs, long c, long crs, boolean accumulate, Team team) {
        boolean rows = acs == 1 || k == 1;
        boolean columns = (brs == 1 || k == 1) && k % 2 == 0; // of B lie as pairs
        if (!rows || !columns) {
            try (Arena arena = Arena.ofConfined()) {
                long ca = rows ? a : X86Kernels.gather(arena, a, ars, acs, m, k);
                long cb = columns ? b : gather(arena, b, brs, bcs, n, k);
                multiply(code, m, n, k, ca, rows ? ars : k, cb, columns ? bcs : k + k % 2, c, crs, accumulate, team);
            }
        } else {
            multiply(code, m, n, k, a, ars, b, bcs, c, crs, accumulate, team);
        }
    }

    private static void multiply(
            Code code, int m, int n, int k, long a, long lda, long b, long ldb, long c, long crs, boolean accumulate,
            Team team) {
        long row = ceilDiv(2L * k, UNIT) * UNIT;
        int most = (int) Math.min(m, Math.max(1, PackBuffers.BYTES / row));
        long rounded = PackBuffers.take();
        try {
            for (int i = 0; i < m; i += most) {
                int some = Math.min(most, m - i);
                round(code, a + 4 * i * lda, 4 * lda, rounded, row, some, k, team);
                new Product(code, some, n, (k + 1) / 2, rounded, Form.ROWS, row, b, true, 2 * ldb,
                        c + 4 * i * crs, 4 * crs, accumulate, team).run();
            }
        } finally {
            PackBuffers.giveBack(rounded);
        }
    }

    private static void round(Code code, long a, long lda, long to, long row, int m, int k, Team team) {
        int lanes = code.isa.lanes;
        long mask = k % lanes == 0 ? 0 : code.mask(k % lanes);
        team.parallelFor(ceilDiv(m, ROWS), task -> {
            int i = task * ROWS;
            Linux.call(code.round, a + i * lda, lda, to + i * row, row, Math.min(ROWS, m - i), k / lanes, mask,
                    0, 0, 0, 0);
        });
    }

    /// Columns of B (k, n), contiguous and of an even length: what is missing is 0.
    private static long gather(Arena arena, long b, long brs, long bcs, int n, int k) {
        int even = k + k % 2;
        long to = arena.allocate(2L * n * even, 64).address();
        for (int j = 0; j < n; j++) {
            for (int p = 0; p < k; p++) {
                Native.ALL.set(ValueLayout.JAVA_SHORT, to + 2 * ((long) j * even + p),
                        Native.ALL.get(ValueLayout.JAVA_SHORT, b + 2 * (p * brs + j * bcs)));
            }
        }
        return to;
    }
}
