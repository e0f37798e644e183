package dev.deckle.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.KernelProvider;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.ScalarKernels;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.ServiceLoader;
import java.util.function.Consumer;
import java.util.stream.Stream;

/// The harness: arrays that exist once for each backend and once for the definition, so that one call can be run on all
/// of them and the results compared. Arrays begin off any vector boundary and lie between guards that no kernel may
/// touch.
final class Twin implements AutoCloseable {
    static final int[] SIZES = {0, 1, 3, 7, 8, 13, 16, 17, 31, 64, 100, 257};
    static final Kernels VECTOR = new VectorProvider().open();
    /// Those of this machine: the vectors' and, for each instruction set that it has, emitted code.
    static final List<Kernels> BACKENDS = Stream.concat(Stream.of(VECTOR), emitted()).toList();

    private static final int GUARD = 80;
    private static final float UNTOUCHED = -12345.678f;

    private final List<Kernels> backends;
    /// The last is the definition.
    private final List<Kernels> sides;
    private final Arena arena = Arena.ofConfined();
    private final List<Array> arrays = new ArrayList<>();
    private int side;

    private static Stream<Kernels> emitted() {
        Twin.class.getModule().addUses(KernelProvider.class);
        KernelProvider x86 = ServiceLoader.load(KernelProvider.class).stream().map(ServiceLoader.Provider::get)
                .filter(p -> p.name().equals("x86")).findFirst().orElseThrow();
        return Stream.of("avx2", "avx512").flatMap(isa -> {
            String key = "deckle.x86.isa";
            System.setProperty(key, isa);
            try {
                return Stream.of(x86.open());
            } catch (UnsupportedOperationException e) {
                return Stream.empty(); // not on this machine
            } finally {
                System.clearProperty(key);
            }
        });
    }

    Twin() {
        this(BACKENDS);
    }

    Twin(List<Kernels> backends) {
        this.backends = backends;
        sides = Stream.concat(backends.stream(), Stream.of(ScalarKernels.INSTANCE)).toList();
    }

    /// One array on all sides.
    final class Array {
        private final int n;
        private final long[] addresses = new long[sides.size()];

        private Array(float[] values) {
            n = values.length;
            for (int s = 0; s < sides.size(); s++) {
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

        /// What each backend has there.
        List<Float> found(int i) {
            return Arrays.stream(addresses).limit(backends.size()).mapToObj(a -> Native.getFloat(a + 4L * i)).toList();
        }

        float expected(int i) {
            return Native.getFloat(addresses[backends.size()] + 4L * i);
        }
    }

    Array array(float... values) {
        return new Array(values);
    }

    /// Uninitialised, as a result's memory is: NaN, so that what is read before it is written shows.
    Array result(int n) {
        float[] values = new float[n];
        Arrays.fill(values, Float.NaN);
        return new Array(values);
    }

    /// On all sides the same integers.
    long longs(long... values) {
        long address = arena.allocate(8L * values.length + 8, 8).address();
        for (int i = 0; i < values.length; i++) {
            Native.setLong(address + 8L * i, values[i]);
        }
        return address;
    }

    /// On all sides the same numbers of BF16, from an odd place on.
    long halves(float... values) {
        long address = arena.allocate(2L * values.length + 2, 2).address() + 2;
        for (int i = 0; i < values.length; i++) {
            Bf16.set(address + 2L * i, values[i]);
        }
        return address;
    }

    void run(Consumer<Kernels> call) {
        for (side = 0; side < sides.size(); side++) {
            call.accept(sides.get(side));
            for (Array a : arrays) {
                for (int i = 1; i < GUARD; i++) {
                    String where = sides.get(side).name() + " wrote outside an array of " + a.n;
                    assertEquals(UNTOUCHED, Native.getFloat(a.at() - 4L * i), where);
                    assertEquals(UNTOUCHED, Native.getFloat(a.at() + 4L * (a.n + i - 1)), where);
                }
            }
        }
    }

    /// Every element within `absolute + relative |expected|` of the definition; NaN equals NaN only.
    void same(Array a, double absolute, double relative, String what) {
        for (int i = 0; i < a.n; i++) {
            close(a, i, absolute + relative * Math.abs(a.expected(i)), what + " [" + i + "]");
        }
    }

    void close(Array a, int i, double tolerance, String what) {
        for (int s = 0; s < backends.size(); s++) {
            close(a.expected(i), a.found(i).get(s), tolerance, backends.get(s).describe() + ": " + what);
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
