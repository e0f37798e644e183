package dev.deckle.x86;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class MatmulTest {
    /// The largest error allowed, relative to the sum of the magnitudes that were added up.
    private static final double TOLERANCE = 1e-6;
    private static final int[] SIZES = {0, 1, 2, 3, 7, 8, 13, 14, 15, 16, 17, 31, 32, 33, 64, 65, 100, 257};
    private static final float CANARY = 12345.678f;

    /// The kernels of each instruction set of this machine. [AmxMatmulTest] has a model of the matrix unit.
    static List<Kernels> kernels() {
        List<Kernels> all = new ArrayList<>();
        Cpu cpu = Cpu.detect();
        all.add(X86Kernels.open("avx2"));
        if (cpu.avx512()) {
            all.add(X86Kernels.open("avx512"));
        }
        if (cpu.amxBf16() && X86Kernels.open("").describe().contains("bf16 by AMX")) {
            all.add(X86Kernels.open("amx"));
        }
        return all;
    }

    /// A product of floats; and of bf16, of which A and B are, or which they are rounded to.
    enum Kind {
        FLOATS(DType.F32, DType.F32, DType.F32),
        BOTH_ROUNDED(DType.BF16, DType.F32, DType.F32),
        A_ROUNDED(DType.BF16, DType.F32, DType.BF16),
        B_ROUNDED(DType.BF16, DType.BF16, DType.F32),
        HALVES(DType.BF16, DType.BF16, DType.BF16);

        final DType family;
        final DType a;
        final DType b;

        Kind(DType family, DType a, DType b) {
            this.family = family;
            this.a = a;
            this.b = b;
        }

        void multiply(
                Kernels kernels, int m, int n, int k, long a, Matrix ma, long b, Matrix mb, long c, long crs,
                boolean accumulate, Team team) {
            if (this == FLOATS) {
                kernels.matmul(family, m, n, k, a, ma.rs, ma.cs, b, mb.rs, mb.cs, c, crs, accumulate, team);
            } else {
                kernels.matmulRounded(this.a, this.b, m, n, k, a, ma.rs, ma.cs, b, mb.rs, mb.cs, c, crs, accumulate,
                        team);
            }
        }

        /// What a number of A or B counts as.
        float of(float x) {
            return this == FLOATS ? x : Bf16.round(x);
        }
    }

    /// A matrix with its strides, and the numbers of memory it spans.
    private record Matrix(int rows, int columns, long rs, long cs) {
        /// `form` 0: rows are contiguous, 1: columns are, 2: neither is.
        static Matrix of(int rows, int columns, int form, int spare) {
            return switch (form) {
                case 0 -> new Matrix(rows, columns, columns + spare, 1);
                case 1 -> new Matrix(rows, columns, 1, rows + spare);
                default -> new Matrix(rows, columns, 2L * columns + spare, 2);
            };
        }

        long span() {
            return rows == 0 || columns == 0 ? 0 : (rows - 1) * rs + (columns - 1) * cs + 1;
        }

        float at(long base, int i, int j) {
            return at(DType.F32, base, i, j);
        }

        float at(DType t, long base, int i, int j) {
            long index = i * rs + j * cs;
            return t == DType.BF16 ? Bf16.get(base + 2 * index) : Native.getFloat(base + 4 * index);
        }

        private static void set(DType t, long base, long index, float value) {
            if (t == DType.BF16) {
                Bf16.set(base + 2 * index, value);
            } else {
                Native.setFloat(base + 4 * index, value);
            }
        }

        void fill(long base, Random random) {
            fill(DType.F32, base, random);
        }

        void fill(DType t, long base, Random random) {
            for (long i = 0; i < span(); i++) {
                set(t, base, i, Float.NaN); // what lies between must not get into the result
            }
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < columns; j++) {
                    set(t, base, i * rs + j * cs, random.nextFloat(-1, 1));
                }
            }
        }
    }

    private static final Guarded A = new Guarded(400_000);
    private static final Guarded B = new Guarded(400_000);
    private static final Guarded C = new Guarded(400_000);

    @ParameterizedTest
    @MethodSource("kernels")
    void everyFormAtAwkwardSizes(Kernels kernels) {
        Random random = new Random(20);
        Team team = new Team(2);
        for (int i = 0; i < 3000; i++) {
            int m = SIZES[random.nextInt(SIZES.length)];
            int n = SIZES[random.nextInt(SIZES.length)];
            int k = SIZES[random.nextInt(SIZES.length)];
            int form = i % 9;
            check(kernels, Kind.values()[i / 9 % Kind.values().length], m, n, k, form % 3, form / 3, random, team);
        }
    }

    /// The edges of each way to do it: few rows, tiles in place, and packed; k in slices, and in sums of one part of
    /// the rows, two and three.
    @ParameterizedTest
    @MethodSource("kernels")
    void everyWay(Kernels kernels) {
        Random random = new Random(21);
        int[][] shapes = {
            {1, 300, 1000}, {8, 70, 129}, {9, 70, 129}, {300, 8, 1000}, {300, 9, 1000}, {128, 200, 600},
            {129, 257, 130}, {257, 257, 513}, {300, 65, 384}, {130, 40, 2500}, {2000, 3, 100}, {143, 1000, 65},
            {530, 33, 1300}, {1050, 20, 2200},
        };
        for (int[] s : shapes) {
            for (int form = 0; form < 9; form++) {
                for (Kind kind : Kind.values()) {
                    check(kernels, kind, s[0], s[1], s[2], form % 3, form / 3, random, Team.shared());
                }
            }
        }
    }

    static void check(
            Kernels kernels, Kind kind, int m, int n, int k, int formA, int formB, Random random, Team team) {
        if (!kernels.supports(Family.MATMUL, kind.family)) {
            return;
        }
        int[] spares = {0, 1, 5, 64};
        Matrix ma = Matrix.of(m, k, formA, spares[random.nextInt(4)]);
        Matrix mb = Matrix.of(k, n, formB, spares[random.nextInt(4)]);
        Matrix mc = Matrix.of(m, n, 0, spares[random.nextInt(4)]);
        boolean accumulate = random.nextBoolean();
        Guarded ga = ma.span() <= A.floats ? A : new Guarded((int) ma.span());
        Guarded gb = mb.span() <= B.floats ? B : new Guarded((int) mb.span());
        long a = ga.place(ma.span(), kind.a.bytes(), random.nextBoolean());
        long b = gb.place(mb.span(), kind.b.bytes(), random.nextBoolean());
        boolean atEnd = random.nextBoolean();
        long c = C.place(mc.span(), atEnd);
        ma.fill(kind.a, a, random);
        mb.fill(kind.b, b, random);
        // a hundred floats on the free side, and the gaps between rows
        long all = Math.min(C.floats, mc.span() + 100);
        long from = C.place(all, atEnd);
        for (long i = 0; i < all; i++) {
            Native.setFloat(from + 4 * i, CANARY);
        }
        float[] before = new float[m * n];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                before[i * n + j] = random.nextFloat(-1, 1);
                Native.setFloat(c + 4 * (i * mc.rs + j), before[i * n + j]);
            }
        }

        kind.multiply(kernels, m, n, k, a, ma, b, mb, c, mc.rs, accumulate, team);

        String what =
                kernels.describe() + ": " + kind + " " + ma + " times " + mb + " to " + mc
                        + (accumulate ? ", added" : "");
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = accumulate ? before[i * n + j] : 0;
                double magnitude = Math.abs(sum);
                for (int l = 0; l < k; l++) {
                    double product = (double) kind.of(ma.at(kind.a, a, i, l)) * kind.of(mb.at(kind.b, b, l, j));
                    sum += product;
                    magnitude += Math.abs(product);
                }
                float got = mc.at(c, i, j);
                if (!(Math.abs(got - sum) <= TOLERANCE * magnitude)) {
                    fail(what + ": (" + i + ", " + j + ") is " + got + ", not " + sum);
                }
                Native.setFloat(c + 4 * (i * mc.rs + j), CANARY);
            }
        }
        for (long i = 0; i < all; i++) {
            assertEquals(CANARY, Native.getFloat(from + 4 * i), () -> what + ": wrote outside");
        }
    }

    /// More than the buffers hold.
    @ParameterizedTest
    @MethodSource("kernels")
    void largerThanTheBuffers(Kernels kernels) {
        largerThanTheBuffers(kernels, 2950, 2900, 5801, 0); // tall
        largerThanTheBuffers(kernels, 2900, 2950, 5801, 3); // wide
        largerThanTheBuffers(kernels, 1100, 2950, 6001, 0); // deep, of three parts
        largerThanTheBuffers(kernels, 250, 290, 60_001, 1);
        largerThanTheBuffers(kernels, 250, 290, 60_001, 2);
    }

    private static void largerThanTheBuffers(Kernels kernels, int m, int n, int k, int form) {
        Random random = new Random(22);
        try (Arena arena = Arena.ofConfined()) {
            Matrix ma = Matrix.of(m, k, form % 2, 0);
            Matrix mb = Matrix.of(k, n, form / 2, 0);
            long a = arena.allocate(4 * ma.span(), 64).address();
            long b = arena.allocate(4 * mb.span(), 64).address();
            long c = arena.allocate(4L * m * n, 64).address();
            for (long i = 0; i < ma.span(); i++) {
                Native.setFloat(a + 4 * i, (i * 7919 % 1999 - 999) / 1000f);
            }
            for (long i = 0; i < mb.span(); i++) {
                Native.setFloat(b + 4 * i, (i * 6007 % 2003 - 1001) / 1000f);
            }
            kernels.matmul(DType.F32, m, n, k, a, ma.rs, ma.cs, b, mb.rs, mb.cs, c, n, false, Team.shared());
            for (int s = 0; s < 2000; s++) {
                int i = s == 0 ? m - 1 : random.nextInt(m);
                int j = s == 0 ? n - 1 : random.nextInt(n);
                double sum = 0;
                double magnitude = 0;
                for (int l = 0; l < k; l++) {
                    double product = (double) ma.at(a, i, l) * mb.at(b, l, j);
                    sum += product;
                    magnitude += Math.abs(product);
                }
                assertEquals(sum, Native.getFloat(c + 4 * ((long) i * n + j)), TOLERANCE * magnitude);
            }
        }
    }

    /// Many steps along k: of packed A, and of an A of few rows that is rounded alone, more than the buffers hold.
    @ParameterizedTest
    @MethodSource("kernels")
    void moreRowsThanTheBuffersToRound(Kernels kernels) {
        Random random = new Random(23);
        check(kernels, Kind.BOTH_ROUNDED, 140, 33, 16_391, 1, 0, random, Team.shared());
        check(kernels, Kind.A_ROUNDED, 140, 33, 16_391, 0, 0, random, Team.shared());
        check(kernels, Kind.BOTH_ROUNDED, 128, 3, 262_151, 1, 0, random, Team.shared());
        check(kernels, Kind.A_ROUNDED, 127, 2, 270_002, 1, 1, random, Team.shared());
        check(kernels, Kind.HALVES, 128, 3, 262_151, 1, 0, random, Team.shared());
    }

    /// Operands and result of one product in fresh memory, multiplied by one team.
    static int[] bits(Kernels kernels, Kind kind, int m, int n, int k, int form, Team team) {
        try (Arena arena = Arena.ofConfined()) {
            Matrix ma = Matrix.of(m, k, form % 2, 0);
            Matrix mb = Matrix.of(k, n, form / 2, 0);
            long a = arena.allocate(4 * ma.span(), 64).address();
            long b = arena.allocate(4 * mb.span(), 64).address();
            MemorySegment c = arena.allocate(4L * m * n, 64);
            Random random = new Random(m + n + k);
            ma.fill(kind.a, a, random);
            mb.fill(kind.b, b, random);
            kind.multiply(kernels, m, n, k, a, ma, b, mb, c.address(), n, false, team);
            return c.toArray(ValueLayout.JAVA_INT);
        }
    }

    private static List<Kind> kinds(Kernels kernels) {
        return Stream.of(Kind.values()).filter(kind -> kernels.supports(Family.MATMUL, kind.family)).toList();
    }

    private static final int[][] SHARED = {{3, 1000, 700}, {64, 500, 800}, {500, 300, 700}, {300, 65, 384}};

    @ParameterizedTest
    @MethodSource("kernels")
    void sameBitsForAnyTeam(Kernels kernels) {
        Team two = new Team(2);
        Team three = new Team(3);
        for (Kind t : kinds(kernels)) {
            for (int[] s : SHARED) {
                for (int form = 0; form < 4; form++) {
                    int[] one = bits(kernels, t, s[0], s[1], s[2], form, Team.serial());
                    assertArrayEquals(one, bits(kernels, t, s[0], s[1], s[2], form, two));
                    assertArrayEquals(one, bits(kernels, t, s[0], s[1], s[2], form, three));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void callsAtOnceDoNotDisturbEachOther(Kernels kernels) throws Exception {
        try (var callers = Executors.newFixedThreadPool(3)) {
            List<Callable<Boolean>> calls = new ArrayList<>();
            for (int i = 0; i < 48; i++) {
                int[] s = SHARED[i % SHARED.length];
                int form = i / SHARED.length % 4;
                Kind t = kinds(kernels).get(i % kinds(kernels).size());
                int[] expected = bits(kernels, t, s[0], s[1], s[2], form, Team.serial());
                calls.add(() -> Arrays.equals(
                        expected, bits(kernels, t, s[0], s[1], s[2], form, Team.shared())));
            }
            for (var equal : callers.invokeAll(calls)) {
                assertTrue(equal.get());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void infinityAndNanStayInTheirRow(Kernels kernels) {
        for (int m : new int[] {4, 20, 150}) {
            int n = 130;
            int k = 130;
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment a = arena.allocate(4L * m * k, 64);
                MemorySegment b = arena.allocate(4L * n * k, 64);
                MemorySegment c = arena.allocate(4L * m * n, 64);
                a.setAtIndex(ValueLayout.JAVA_FLOAT, 2L * k + 1, Float.NaN);
                b.setAtIndex(ValueLayout.JAVA_FLOAT, 0, Float.POSITIVE_INFINITY);
                a.setAtIndex(ValueLayout.JAVA_FLOAT, 0, 1);
                for (int i = 1; i < m; i++) {
                    a.setAtIndex(ValueLayout.JAVA_FLOAT, (long) i * k, -1);
                }
                kernels.matmul(DType.F32, m, n, k, a.address(), k, 1, b.address(), 1, k, c.address(), n, false,
                        Team.shared());
                for (int i = 0; i < m; i++) {
                    for (int j = 0; j < n; j++) {
                        float expected = i == 2 ? Float.NaN
                                : j > 0 ? 0 : i == 0 ? Float.POSITIVE_INFINITY : Float.NEGATIVE_INFINITY;
                        assertEquals(expected, c.getAtIndex(ValueLayout.JAVA_FLOAT, (long) i * n + j) + 0f);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void refusesWhatItCannotDo(Kernels kernels) {
        assertTrue(kernels.supports(Family.MATMUL, DType.F32));
        for (Family family : Family.values()) {
            for (DType t : DType.values()) {
                boolean product = family == Family.MATMUL && kinds(kernels).stream().anyMatch(kind -> kind.family == t);
                assertEquals(t == DType.F32 || product, kernels.supports(family, t), family + " of " + t);
            }
        }
        assertThrows(UnsupportedOperationException.class, () -> kernels.matmul(
                DType.F64, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, false, Team.serial()));
        assertThrows(IllegalArgumentException.class, () -> kernels.matmul(
                DType.F32, 1, -1, 1, 0, 1, 1, 0, 1, 1, 0, 1, false, Team.serial()));
        assertThrows(IllegalArgumentException.class, () -> kernels.matmul(
                DType.F32, 2, 3, 1, 0, 1, 1, 0, 3, 1, 0, 2, false, Team.serial()));
    }
}
