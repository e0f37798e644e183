package dev.deckle.vector;

import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.all;
import static dev.deckle.vector.Lanes.first;
import static dev.deckle.vector.Lanes.load;
import static dev.deckle.vector.Lanes.spread;
import static dev.deckle.vector.Lanes.store;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

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
        team.parallelFor(Math.ceilDiv(n, TASK), task -> {
            for (int j = task * TASK; j < Math.min(n, (task + 1) * TASK); ) {
                int end = Math.min(n, (task + 1) * TASK);
                int width = brs == 1 ? end - j >= 4 ? 4 : 1 : Math.min(N, end - j);
                for (int i = 0; i < m; i++) {
                    long row = a + 4 * i * ars;
                    long out = c + 4 * (i * crs + j);
                    if (brs != 1) {
                        strip(row, k, b + 4 * j * bcs, 4 * brs, out, accumulate, first(width));
                    } else if (width == 4) {
                        fourDots(row, k, b + 4 * j * bcs, 4 * bcs, out, accumulate);
                    } else {
                        float sum = Rows.dot(row, b + 4 * j * bcs, k);
                        Native.setFloat(out, accumulate ? Native.getFloat(out) + sum : sum);
                    }
                }
                j += width;
            }
        });
    }

    /// One row of A by four contiguous columns of B, `apart` bytes apart.
    private static void fourDots(long a, int k, long b, long apart, long c, boolean accumulate) {
        FloatVector s0 = all(0f);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int p = 0;
        for (; p <= k - N; p += N) {
            FloatVector x = load(a + 4L * p);
            long at = b + 4L * p;
            s0 = x.fma(load(at), s0);
            s1 = x.fma(load(at + apart), s1);
            s2 = x.fma(load(at + 2 * apart), s2);
            s3 = x.fma(load(at + 3 * apart), s3);
        }
        finish(s0, a, b, p, k, c, accumulate);
        finish(s1, a, b + apart, p, k, c + 4, accumulate);
        finish(s2, a, b + 2 * apart, p, k, c + 8, accumulate);
        finish(s3, a, b + 3 * apart, p, k, c + 12, accumulate);
    }

    private static void finish(FloatVector s, long a, long b, int p, int k, long c, boolean accumulate) {
        float sum = Lanes.sum(s);
        for (; p < k; p++) {
            sum += Native.getFloat(a + 4L * p) * Native.getFloat(b + 4L * p);
        }
        Native.setFloat(c, accumulate ? Native.getFloat(c) + sum : sum);
    }

    /// One row of A by a vector of columns of B, whose rows are `brs` bytes apart.
    private static void strip(
            long a, int k, long b, long brs, long c, boolean accumulate, VectorMask<Float> mask) {
        FloatVector s0 = all(0f);
        FloatVector s1 = s0;
        int p = 0;
        for (; p <= k - 2; p += 2) {
            s0 = spread(a + 4L * p).fma(load(b + p * brs, mask), s0);
            s1 = spread(a + 4L * p + 4).fma(load(b + (p + 1) * brs, mask), s1);
        }
        if (p < k) {
            s0 = spread(a + 4L * p).fma(load(b + p * brs, mask), s0);
        }
        FloatVector sum = s0.add(s1);
        store(accumulate ? sum.add(load(c, mask)) : sum, c, mask);
    }
}
