package dev.deckle.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.ScalarKernels;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;

/// The harness: arrays that exist twice, so that one call can be run on the vector kernels and on their definition and
/// the results compared. Arrays begin off any vector boundary and lie between guards that no kernel may touch.
final class Twin implements AutoCloseable {
    static final int[] SIZES = {0, 1, 3, 7, 8, 13, 16, 17, 31, 64, 100, 257};
    static final Kernels VECTOR = new VectorProvider().open();

    private static final int GUARD = 80;
    private static final float UNTOUCHED = -12345.678f;

    private final Kernels[] sides = {VECTOR, ScalarKernels.INSTANCE};
    private final Arena arena = Arena.ofConfined();
    private final List<Array> arrays = new ArrayList<>();
    private int side;

    /// One array on both sides.
    final class Array {
        private final int n;
        private final long[] addresses = new long[2];

        private Array(float[] values) {
            n = values.length;
            for (int s = 0; s < 2; s++) {
                addresses[s] = arena.allocate(4L * (n + 2 * GUARD), 64).address() + 4 * GUARD + 4;
                for (int i = -GUARD; i < n + GUARD - 1; i++) {
                    Native.setFloat(addresses[s] + 4L * i, i >= 0 && i < n ? values[i] : UNTOUCHED);
                }
            }
            arrays.add(this);
        }

        /// On the side whose turn it is.
        long at() {
            return addresses[side];
        }

        float get(int i) {
            return Native.getFloat(addresses[0] + 4L * i);
        }

        float expected(int i) {
            return Native.getFloat(addresses[1] + 4L * i);
        }
    }

    Array array(float... values) {
        return new Array(values);
    }

    /// Uninitialised, as a result's memory is: NaN, so that what is read before it is written shows.
    Array result(int n) {
        float[] values = new float[n];
        java.util.Arrays.fill(values, Float.NaN);
        return new Array(values);
    }

    /// On both sides the same integers.
    long longs(long... values) {
        long address = arena.allocate(8L * values.length + 8, 8).address();
        for (int i = 0; i < values.length; i++) {
            Native.setLong(address + 8L * i, values[i]);
        }
        return address;
    }

    /// On both sides the same numbers of BF16, from an odd place on.
    long halves(float... values) {
        long address = arena.allocate(2L * values.length + 2, 2).address() + 2;
        for (int i = 0; i < values.length; i++) {
            Bf16.set(address + 2L * i, values[i]);
        }
        return address;
    }

    void run(Consumer<Kernels> call) {
        for (side = 0; side < 2; side++) {
            call.accept(sides[side]);
            for (Array a : arrays) {
                for (int i = 1; i < GUARD; i++) {
                    String where = sides[side].name() + " wrote outside an array of " + a.n;
                    assertEquals(UNTOUCHED, Native.getFloat(a.at() - 4L * i), where);
                    assertEquals(UNTOUCHED, Native.getFloat(a.at() + 4L * (a.n + i - 1)), where);
                }
            }
        }
    }

    /// Every element within `absolute + relative |expected|` of the definition; NaN equals NaN only.
    void same(Array a, double absolute, double relative, String what) {
        for (int i = 0; i < a.n; i++) {
            close(a.expected(i), a.get(i), absolute + relative * Math.abs(a.expected(i)), what + " [" + i + "]");
        }
    }

    static void close(double expected, double actual, double tolerance, String what) {
        boolean same = Double.compare(expected, actual) == 0 || Math.abs(expected - actual) <= tolerance;
        assertTrue(same, () -> what + ": " + actual + ", expected " + expected + " within " + tolerance);
    }

    static float[] normal(int n, long seed) {
        return normal(n, seed, 1);
    }

    static float[] normal(int n, long seed, double scale) {
        Random random = new Random(seed * 1_000_003 + n);
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) (scale * random.nextGaussian());
        }
        return values;
    }

    @Override
    public void close() {
        arena.close();
    }
}
