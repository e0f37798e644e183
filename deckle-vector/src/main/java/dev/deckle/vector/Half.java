package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.I;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// Numbers of BF16: floats rounded to it, and widened from it.
final class Half {
    /// The bits of a float that BF16 keeps.
    static final int KEPT = 0xFFFF0000;
    /// Half a vector, of as many numbers.
    private static final VectorSpecies<Short> S = VectorSpecies.of(
            short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));
    private static final int BELOW_HALF = 0x7FFF;
    private static final int QUIET_NAN = 0x7FC00000;

    private Half() {}

    /// `to[i]` is the nearest number of BF16 to `from[i]`, as a float. They may be the same array.
    static void round(long from, long to, int n) {
        int i = 0;
        for (; i <= n - N; i += N) {
            FloatVector x = fromMemorySegment(F, ALL, from + 4L * i, ORDER);
            IntVector bits = x.reinterpretAsInts();
            IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
            bits.add(odd).add(BELOW_HALF)
                    .blend(QUIET_NAN, x.compare(VectorOperators.NE, x).cast(I))
                    .and(KEPT).intoMemorySegment(ALL, to + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Native.setFloat(to + 4L * i, Bf16.round(Native.getFloat(from + 4L * i)));
        }
    }

    /// Floats to BF16, or added to it.
    static void narrow(long from, long to, long n, boolean add) {
        long sums = Lanes.pad(0);
        long i = 0;
        for (; i <= n - N; i += N) {
            if (add) {
                widenOne(to + 2 * i, sums);
                fromMemorySegment(F, ALL, sums, ORDER).add(fromMemorySegment(F, ALL, from + 4 * i, ORDER))
                        .intoMemorySegment(ALL, sums, ORDER);
                narrowOne(sums, to + 2 * i);
            } else {
                narrowOne(from + 4 * i, to + 2 * i);
            }
        }
        for (; i < n; i++) {
            float x = Native.getFloat(from + 4 * i);
            Bf16.set(to + 2 * i, add ? Bf16.get(to + 2 * i) + x : x);
        }
    }

    private static void narrowOne(long from, long to) {
        FloatVector x = fromMemorySegment(F, ALL, from, ORDER);
        IntVector bits = x.reinterpretAsInts();
        IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
        bits.add(odd).add(BELOW_HALF)
                .blend(QUIET_NAN, x.compare(VectorOperators.NE, x).cast(I))
                .lanewise(VectorOperators.LSHR, 16)
                .convertShape(VectorOperators.I2S, S, 0).reinterpretAsShorts().intoMemorySegment(ALL, to, ORDER);
    }

    /// BF16 to floats.
    static void widen(long from, long to, long n) {
        long i = 0;
        for (; i <= n - N; i += N) {
            widenOne(from + 2 * i, to + 4 * i);
        }
        for (; i < n; i++) {
            Native.setFloat(to + 4 * i, Bf16.get(from + 2 * i));
        }
    }

    private static void widenOne(long from, long to) {
        ShortVector.fromMemorySegment(S, ALL, from, ORDER)
                .convertShape(VectorOperators.S2I, I, 0).reinterpretAsInts()
                .lanewise(VectorOperators.LSHL, 16).intoMemorySegment(ALL, to, ORDER);
    }

    /// A panel of B as [Pack#columns] makes it, of floats.
    static void columns(long b, long brs, long bcs, int depth, int count, long to) {
        if (count == Tile.COLUMNS && bcs == 2) {
            for (int p = 0; p < depth; p++) {
                widenOne(b + p * brs, to + 2 * p * BYTES);
                widenOne(b + p * brs + 2 * N, to + 2 * p * BYTES + BYTES);
            }
            return;
        }
        lines(b, bcs, brs, depth, count, Tile.COLUMNS, to);
    }

    /// Lines as [Pack] makes them, of floats.
    static void lines(long from, long apart, long step, int depth, int count, int length, long to) {
        for (int i = 0; i < count; i++) {
            for (int p = 0; p < depth; p++) {
                int bits = ALL.get(JAVA_SHORT, from + i * apart + p * step) << 16;
                Native.setInt(to + 4L * (p * length + i), bits);
            }
        }
    }
}
