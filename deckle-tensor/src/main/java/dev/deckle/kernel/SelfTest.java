package dev.deckle.kernel;

import dev.deckle.memory.Storage;
import dev.deckle.memory.Workspace;
import dev.deckle.tensor.DType;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/// A short check of the chosen F32 kernels against their scalar definition on this very machine, for `deckle doctor`:
/// one call of each family at a size with tails. Products with BF16 weights are checked with those of F32.
public final class SelfTest {
    /// @param error the largest |a - b| / (1 + |b|) over all results
    public record Result(Family family, String backend, double error) {
        /// Whether the family can be trusted.
        public boolean ok() {
            return error <= 1e-4;
        }
    }

    private static final int ROWS = 5;
    private static final int N = 77;
    private static final int SIZE = ROWS * N;

    private final SplittableRandom random = new SplittableRandom(1);
    private final List<Storage> held = new ArrayList<>();

    private SelfTest() {}

    /// Checks what `door` has chosen.
    public static List<Result> run(Door door) {
        SelfTest test = new SelfTest();
        Map<Family, Double> errors = new EnumMap<>(Family.class);
        for (Family f : Family.values()) {
            errors.put(f, test.error(f, door.of(f, DType.F32)));
        }
        errors.merge(Family.MATMUL, test.halfError(door.of(Family.MATMUL, DType.BF16)), Math::max);
        return errors.entrySet().stream()
                .map(e -> new Result(e.getKey(), door.of(e.getKey(), DType.F32).name(), e.getValue()))
                .toList();
    }

    @FunctionalInterface
    private interface Call {
        void run(Kernels k, long out);
    }

    private double error(Family family, Kernels chosen) {
        DType t = DType.F32;
        long x = fill(SIZE);
        long y = fill(SIZE);
        long w = fill(N);
        long r = fill(ROWS);
        long targets = allocate(8 * ROWS);
        for (int i = 0; i < ROWS; i++) {
            Native.setLong(targets + 8 * i, 7 * i);
        }
        return switch (family) {
            case ELEMENTWISE -> compare(chosen, (k, out) -> {
                k.unary(t, UnaryFn.GELU, x, out, SIZE);
                k.binary(t, BinaryFn.MUL, out, 1, y, 1, out, SIZE);
            });
            case REDUCE -> compare(chosen, (k, out) -> k.reduce(t, ReduceFn.SUM, x, out, ROWS, N, 1));
            case MATMUL -> compare(chosen, (k, out) -> k.matmul(t, ROWS, ROWS, N, x, N, 1, y, 1, N, out, N, true,
                    Team.shared()));
            case ATTENTION -> compare(chosen, (k, out) -> {
                long m = out + 4 * SIZE - 8 * ROWS;
                k.attentionTile(t, out, N, ROWS, 60, 55, 0, 0, 0.3, m, m + 4 * ROWS, out + 4 * 61, N, 6);
            });
            case SOFTMAX -> compare(chosen, (k, out) -> k.softmax(t, true, x, out, ROWS, N));
            case NORM -> compare(chosen, (k, out) -> k.rmsNorm(t, x, w, out, allocate(4 * ROWS), ROWS, N, 1e-6));
            case ROPE -> compare(chosen, (k, out) -> k.rope(t, x, N, out, N, y, y, N / 2, ROWS, N - 1, false, false));
            case SWIGLU -> compare(chosen, (k, out) -> k.swiglu(t, x, y, out, SIZE));
            case CROSS_ENTROPY -> compare(chosen, (k, out) -> {
                long lse = allocate(4 * ROWS);
                k.crossEntropy(t, x, targets, allocate(4 * ROWS), lse, ROWS, N, -1);
                k.crossEntropyGrad(t, x, targets, lse, r, out, ROWS, N, -1);
            });
            case OPTIMIZER -> compare(chosen,
                    (k, out) -> k.adamw(t, out, x, moment(), moment(), SIZE, 0.5, 0.1, 0.9, 0.95,
                            1e-8, 0.1, 0.1, 0.05));
        };
    }

    private double halfError(Kernels chosen) {
        long x = fill(SIZE);
        long w = allocate(2 * SIZE);
        fillHalves(w, SIZE);
        DType t = DType.F32;
        DType half = DType.BF16;
        double small = compare(chosen, (k, out) -> {
            k.matmulRounded(t, half, ROWS, ROWS, N, x, N, 1, w, 1, N, out, N, true, Team.shared());
            k.matmulRounded(t, t, ROWS, N - ROWS, ROWS, x, 1, N, x, N, 1, out + 4 * ROWS, N, true, Team.shared());
            k.matmulRounded(half, half, ROWS, ROWS, N, w, N, 1, w, 1, N, out, N, true, Team.shared());
        });
        return Math.max(small, Math.max(largeHalfError(chosen, t), largeHalfError(chosen, half)));
    }

    /// A product that is large enough for a matrix unit. The definition takes some rows and columns, at least one of
    /// each in each of its tiles: all of them, before Java has compiled it, would take tens of milliseconds.
    private double largeHalfError(Kernels chosen, DType ta) {
        int m = 49;
        int n = 301;
        int k = 304;
        int down = 16;
        int across = 15;
        int period = 4099; // of the weights, whose rows differ
        long x = ta == DType.BF16 ? allocate(2L * m * k) : fill(m * k);
        if (ta == DType.BF16) {
            fillHalves(x, m * k);
        }
        long w = allocate(2L * n * k);
        fillHalves(w, period);
        for (int i = period; i < n * k; i += period) {
            Native.copy(w, w + 2L * i, 2L * Math.min(period, n * k - i));
        }
        int columns = Math.ceilDiv(n, across);
        long a = allocate(4L * m * n);
        long b = allocate(4L * Math.ceilDiv(m, down) * columns);
        chosen.matmulRounded(ta, DType.BF16, m, n, k, x, k, 1, w, 1, k, a, n, false, Team.shared());
        ScalarKernels.INSTANCE.matmulRounded(ta, DType.BF16, Math.ceilDiv(m, down), columns, k, x, down * k, 1, w, 1,
                across * k, b, columns, false, Team.shared());
        double worst = 0;
        for (int i = 0; i * down < m; i++) {
            for (int j = 0; j < columns; j++) {
                worst = Math.max(worst, error(a + 4L * (i * down * n + j * across), b + 4L * (i * columns + j)));
            }
        }
        return worst;
    }

    /// The same call by the chosen kernels and by the definition, each on its own copy of one output.
    private double compare(Kernels chosen, Call call) {
        long start = fill(SIZE);
        long a = allocate(4 * SIZE);
        long b = allocate(4 * SIZE);
        Native.copy(start, a, 4 * SIZE);
        Native.copy(start, b, 4 * SIZE);
        call.run(chosen, a);
        call.run(ScalarKernels.INSTANCE, b);
        double worst = 0;
        for (int i = 0; i < SIZE; i++) {
            worst = Math.max(worst, error(a + 4L * i, b + 4L * i));
        }
        return worst;
    }

    private static double error(long a, long b) {
        return Math.abs(Native.getFloat(a) - Native.getFloat(b)) / (1 + Math.abs(Native.getFloat(b)));
    }

    private long fill(int n) {
        long at = allocate(4L * n);
        for (int i = 0; i < n; i++) {
            Native.setFloat(at + 4L * i, (float) (random.nextDouble() * 4 - 2));
        }
        return at;
    }

    private void fillHalves(long at, int n) {
        for (int i = 0; i < n; i++) {
            Bf16.set(at + 2L * i, (float) (random.nextDouble() * 4 - 2));
        }
    }

    /// Positive numbers, the same at each call: a step changes its moments.
    private long moment() {
        long at = allocate(4L * SIZE);
        for (int i = 0; i < SIZE; i++) {
            Native.setFloat(at + 4L * i, (i % 13 + 1) / 10f);
        }
        return at;
    }

    private long allocate(long bytes) {
        Storage s = Workspace.allocateForCaller(bytes);
        held.add(s);
        return s.address();
    }
}
