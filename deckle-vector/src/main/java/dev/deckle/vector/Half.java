package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
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
import jdk.incubator.vector.VectorOperators;

/// What products with BF16 need: floats rounded to it, and panels of B widened from it.
final class Half {
    /// The bits of a float that BF16 keeps.
    static final int KEPT = 0xFFFF0000;
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

    /// A panel of B as [Pack#columns] makes it, of floats.
    static void columns(long b, long brs, long bcs, int depth, int count, long to) {
        for (int i = 0; i < count; i++) {
            for (int p = 0; p < depth; p++) {
                int bits = ALL.get(JAVA_SHORT, b + i * bcs + p * brs) << 16;
                Native.setInt(to + 4L * (p * Tile.COLUMNS + i), bits);
            }
        }
    }
}
