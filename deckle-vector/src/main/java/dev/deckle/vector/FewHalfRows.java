package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.I;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.Scratch;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/// Products of very few rows with columns of BF16, each contiguous: a token times a weight matrix. They are as fast as
/// the weights can be read, which are read once, as they lie.
///
/// A vector of ints holds two vectors of weights, the even and the odd ones. So the rows of A are rounded once and
/// parted into even and odd numbers as well: a block of them is `N` even ones, then `N` odd ones.
final class FewHalfRows {
    /// With more rows, packing B pays.
    static final int MOST = 8;

    /// Columns in one task.
    private static final int TASK = 128;
    private static final int BLOCK = 2 * N;
    /// Where the first of two numbers is in the int that holds both.
    private static final int FIRST = ORDER == ByteOrder.LITTLE_ENDIAN ? 0 : 1;

    private FewHalfRows() {}

    static void run(
            DType ta, int m, int n, int k, long a, long ars, long b, long bcs, long c, long crs, boolean accumulate,
            Team team) {
        long parted = Scratch.bytes(Lanes.PACKED_A, 4L * m * k);
        for (int i = 0; i < m; i++) {
            part(ta, a + ta.bytes() * i * ars, k, parted + 4L * i * k);
        }
        team.parallelFor(Math.ceilDiv(n, TASK), task -> {
            int end = Math.min(n, (task + 1) * TASK);
            for (int j = task * TASK; j < end; j += j + 4 <= end ? 4 : 1) {
                for (int i = 0; i < m; i++) {
                    long row = parted + 4L * i * k;
                    long out = c + 4 * (i * crs + j);
                    if (j + 4 <= end) {
                        fourDots(row, k, b + 2 * j * bcs, 2 * bcs, out, accumulate);
                    } else {
                        put(rest(row, 0, k, b + 2 * j * bcs, 0), out, accumulate);
                    }
                }
            }
        });
    }

    /// Where number p of a row is: in whole blocks the even ones come first, what is left over stays as it was.
    private static int place(int p, int k) {
        int in = p % BLOCK;
        return p - in + BLOCK > k ? p : p - in + (in & 1 ^ FIRST) * N + in / 2;
    }

    private static void part(DType ta, long a, int k, long to) {
        for (int p = 0; p < k; p++) {
            float x = ta == DType.BF16 ? Bf16.get(a + 2L * p) : Bf16.round(Native.getFloat(a + 4L * p));
            Native.setFloat(to + 4L * place(p, k), x);
        }
    }

    /// One row by four columns, `apart` bytes apart.
    private static void fourDots(long a, int k, long b, long apart, long c, boolean accumulate) {
        FloatVector s0 = broadcast(F, 0f);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int p = 0;
        for (; p <= k - BLOCK; p += BLOCK) {
            FloatVector even = fromMemorySegment(F, ALL, a + 4L * p, ORDER);
            FloatVector odd = fromMemorySegment(F, ALL, a + 4L * p + BYTES, ORDER);
            long at = b + 2L * p;
            IntVector w = IntVector.fromMemorySegment(I, ALL, at, ORDER);
            s0 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, s0);
            s0 = w.and(Half.KEPT).reinterpretAsFloats().fma(odd, s0);
            w = IntVector.fromMemorySegment(I, ALL, at + apart, ORDER);
            s1 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, s1);
            s1 = w.and(Half.KEPT).reinterpretAsFloats().fma(odd, s1);
            w = IntVector.fromMemorySegment(I, ALL, at + 2 * apart, ORDER);
            s2 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, s2);
            s2 = w.and(Half.KEPT).reinterpretAsFloats().fma(odd, s2);
            w = IntVector.fromMemorySegment(I, ALL, at + 3 * apart, ORDER);
            s3 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, s3);
            s3 = w.and(Half.KEPT).reinterpretAsFloats().fma(odd, s3);
        }
        long sums = Lanes.pad(0);
        s0.intoMemorySegment(ALL, sums, ORDER);
        s1.intoMemorySegment(ALL, sums + BYTES, ORDER);
        s2.intoMemorySegment(ALL, sums + 2 * BYTES, ORDER);
        s3.intoMemorySegment(ALL, sums + 3 * BYTES, ORDER);
        for (int j = 0; j < 4; j++) {
            put(rest(a, p, k, b + j * apart, Lanes.sum(sums + j * BYTES)), c + 4L * j, accumulate);
        }
    }

    /// Adds the products from p on, number by number.
    private static float rest(long a, int from, int k, long b, float sum) {
        for (int p = from; p < k; p++) {
            sum += Native.getFloat(a + 4L * place(p, k)) * Bf16.get(b + 2L * p);
        }
        return sum;
    }

    private static void put(float sum, long c, boolean accumulate) {
        Native.setFloat(c, accumulate ? Native.getFloat(c) + sum : sum);
    }
}
