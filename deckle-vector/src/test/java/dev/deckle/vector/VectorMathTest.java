package dev.deckle.vector;

import static dev.deckle.tensor.DType.F32;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.UnaryFn;
import java.lang.foreign.Arena;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The accuracy of the transcendental functions over all floats, of which every 1009th is tried: the largest error in
/// units in the last place of the exact result.
class VectorMathTest {
    private static final int STEP = 1009;
    private static final int CHUNK = 4096;

    @ParameterizedTest
    @CsvSource({"EXP, 1.1", "LOG, 1.3", "TANH, 3", "ERF, 2.5", "SIGMOID, 2.5"})
    void errorInUlp(UnaryFn f, double bound) {
        Twin.BACKENDS.forEach(k -> check(k, f, bound));
    }

    private static void check(Kernels kernels, UnaryFn f, double bound) {
        double worst = 0;
        float at = 0;
        try (Arena arena = Arena.ofConfined()) {
            long x = arena.allocate(4 * CHUNK, 64).address();
            long y = arena.allocate(4 * CHUNK, 64).address();
            for (long bits = 0; bits < 1L << 32;) {
                for (int i = 0; i < CHUNK; i++, bits += STEP) {
                    Native.setInt(x + 4 * i, (int) bits);
                }
                kernels.unary(F32, f, x, y, CHUNK);
                for (int i = 0; i < CHUNK; i++) {
                    float argument = Native.getFloat(x + 4 * i);
                    double error = error(f.of(argument), Native.getFloat(y + 4 * i));
                    if (error > worst) {
                        worst = error;
                        at = argument;
                    }
                }
            }
        }
        assertTrue(worst <= bound, kernels.describe() + ": " + f + " is wrong by " + worst + " ulp at " + at);
    }

    private static double error(double expected, float found) {
        if (Double.isNaN(expected)) {
            return Float.isNaN(found) ? 0 : Double.POSITIVE_INFINITY;
        }
        if (Math.abs(expected) < 0x1p-125 && Math.abs(found) < 0x1p-124) {
            return 0; // near the subnormal numbers exp is 0
        }
        float rounded = (float) expected;
        if (Float.isInfinite(rounded)) {
            return found == rounded ? 0 : Double.POSITIVE_INFINITY;
        }
        return Math.abs(found - expected) / Math.ulp(rounded);
    }
}
