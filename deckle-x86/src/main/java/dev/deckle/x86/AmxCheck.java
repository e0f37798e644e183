package dev.deckle.x86;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import dev.deckle.x86.Operand.Source;
import java.lang.foreign.Arena;

/// Two products by the matrix unit, before it is trusted on this very machine: one with weights of bf16, added to what
/// is there, and one of floats that are both transposed, with tiles that are not whole at every edge. The numbers are
/// small integers, so any order of additions gives the same sums, and no difference is small enough to pass.
final class AmxCheck {
    // just large enough to be multiplied by it
    private static final int M = 49;
    private static final int N = 301;
    private static final int K = 303;
    /// One in so many elements of the result is looked at.
    private static final int EACH = 11;
    private static final int SUM = 5; // what is there

    private AmxCheck() {}

    /// @return whether `code` multiplies as it should
    static boolean passes(Code code) {
        return passes(code, false) && passes(code, true);
    }

    private static boolean passes(Code code, boolean floats) {
        int ks = K + (floats ? 0 : 1); // pairs need an even number
        try (Arena arena = Arena.ofConfined()) {
            long a = arena.allocate(4L * M * ks, 64).address(); // (M, ks), transposed for floats
            long b = arena.allocate(4L * N * ks, 64).address(); // (N, ks), transposed for floats
            long c = arena.allocate(4L * M * N, 64).address();
            for (int p = 0; p < ks; p++) {
                for (int i = 0; i < M; i++) {
                    Native.setFloat(a + 4L * (floats ? p * M + i : i * ks + p), a(i, p));
                }
                for (int j = 0; j < N; j++) {
                    if (floats) {
                        Native.setFloat(b + 4L * (p * N + j), b(p, j));
                    } else {
                        Bf16.set(b + 2L * (j * ks + p), b(p, j));
                    }
                }
            }
            for (int i = 0; i < M * N; i++) {
                Native.setFloat(c + 4L * i, SUM);
            }
            if (floats) {
                HalfProduct.run(code, Source.FLOATS, Source.FLOATS, M, N, ks, a, 1, M, b, N, 1, c, N, false,
                        Team.serial());
            } else {
                HalfProduct.run(code, Source.FLOATS, Source.HALVES, M, N, ks, a, ks, 1, b, 1, ks, c, N, true,
                        Team.serial());
            }
            for (int e = 0; e < M * N; e += EACH) {
                int sum = floats ? 0 : SUM;
                for (int p = 0; p < ks; p++) {
                    sum += a(e / N, p) * b(p, e % N);
                }
                if (Native.getFloat(c + 4L * e) != sum) {
                    return false;
                }
            }
            return true;
        }
    }

    private static int a(int i, int p) {
        return (7 * i + 3 * p + i * p) % 17 - 8;
    }

    private static int b(int p, int j) {
        return (5 * p + 11 * j + p * j) % 19 - 9;
    }
}
