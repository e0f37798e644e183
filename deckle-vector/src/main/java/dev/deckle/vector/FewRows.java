package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import jdk.incubator.vector.FloatVector;

/// Products with very few rows, as in decoding: they are as fast as B can be read, so B is read once, where it is.
final class FewRows {
    /// With more rows, packing B pays.
    static final int MOST = 8;

    /// Columns in one task.
    private static final int TASK = 128;

    private FewRows() {}

    /// Whether the rows of A, and the rows or the columns of B, are contiguous.
    static boolean fits(long acs, long brs, long bcs) {
        return acs == 1 && (brs == 1 || bcs == 1);
    }

    static void run(
            int m, int n, int k, long a, long ars, long b, long brs, long bcs, long c, long crs,
            boolean accumulate, Team team) {
        boolean columns = brs == 1; // of B are contiguous
        int step = columns ? 4 : N;
        team.parallelFor(Math.ceilDiv(n, TASK), task -> {
            int end = Math.min(n, (task + 1) * TASK);
            for (int j = task * TASK; j < end; j += j + step <= end ? step : 1) {
                for (int i = 0; i < m; i++) {
                    long row = a + 4 * i * ars;
                    long part = b + 4 * j * bcs;
                    long out = c + 4 * (i * crs + j);
                    if (j + step > end) {
                        column(row, k, part, 4 * brs, out, accumulate);
                    } else if (columns) {
                        fourDots(row, k, part, 4 * bcs, out, accumulate);
                    } else {
                        strip(row, k, part, 4 * brs, out, accumulate);
                    }
                }
            }
        });
    }

    /// One row of A by four contiguous columns of B, `apart` bytes apart.
    private static void fourDots(long a, int k, long b, long apart, long c, boolean accumulate) {
        FloatVector s0 = broadcast(F, 0f);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int p = 0;
        for (; p <= k - N; p += N) {
            FloatVector x = fromMemorySegment(F, ALL, a + 4L * p, ORDER);
            long at = b + 4L * p;
            s0 = x.fma(fromMemorySegment(F, ALL, at, ORDER), s0);
            s1 = x.fma(fromMemorySegment(F, ALL, at + apart, ORDER), s1);
            s2 = x.fma(fromMemorySegment(F, ALL, at + 2 * apart, ORDER), s2);
            s3 = x.fma(fromMemorySegment(F, ALL, at + 3 * apart, ORDER), s3);
        }
        long sums = Lanes.pad(0);
        s0.intoMemorySegment(ALL, sums, ORDER);
        s1.intoMemorySegment(ALL, sums + BYTES, ORDER);
        s2.intoMemorySegment(ALL, sums + 2 * BYTES, ORDER);
        s3.intoMemorySegment(ALL, sums + 3 * BYTES, ORDER);
        for (int j = 0; j < 4; j++) {
            float sum = Lanes.sum(sums + j * BYTES);
            for (int q = p; q < k; q++) {
                sum += Native.getFloat(a + 4L * q) * Native.getFloat(b + j * apart + 4L * q);
            }
            put(sum, c + 4L * j, accumulate);
        }
    }

    /// One row of A by a vector of columns of B, whose rows are `brs` bytes apart.
    private static void strip(long a, int k, long b, long brs, long c, boolean accumulate) {
        FloatVector s0 = broadcast(F, 0f);
        FloatVector s1 = s0;
        int p = 0;
        for (; p <= k - 2; p += 2) {
            s0 = fromMemorySegment(F, ALL, b + p * brs, ORDER)
                    .fma(broadcast(F, ALL.get(JAVA_FLOAT, a + 4L * p)), s0);
            s1 = fromMemorySegment(F, ALL, b + (p + 1) * brs, ORDER)
                    .fma(broadcast(F, ALL.get(JAVA_FLOAT, a + 4L * p + 4)), s1);
        }
        if (p < k) {
            s0 = fromMemorySegment(F, ALL, b + p * brs, ORDER)
                    .fma(broadcast(F, ALL.get(JAVA_FLOAT, a + 4L * p)), s0);
        }
        FloatVector sum = s0.add(s1);
        (accumulate ? sum.add(fromMemorySegment(F, ALL, c, ORDER)) : sum).intoMemorySegment(ALL, c, ORDER);
    }

    private static void column(long a, int k, long b, long brs, long c, boolean accumulate) {
        float sum = 0;
        for (int p = 0; p < k; p++) {
            sum = Math.fma(Native.getFloat(a + 4L * p), Native.getFloat(b + p * brs), sum);
        }
        put(sum, c, accumulate);
    }

    private static void put(float sum, long c, boolean accumulate) {
        Native.setFloat(c, accumulate ? Native.getFloat(c) + sum : sum);
    }
}
