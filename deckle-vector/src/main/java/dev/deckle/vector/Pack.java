package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.ORDER;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Native;
import java.nio.ByteOrder;

/// Copies parts of A and B into the order in which [Tile] reads them. Strides are in bytes. What a panel lacks
/// keeps old numbers: their products are not stored.
final class Pack {
    /// Where the first and the second of two floats are in the long that holds both.
    private static final int FIRST = ORDER == ByteOrder.LITTLE_ENDIAN ? 0 : 32;
    private static final int SECOND = 32 - FIRST;

    private Pack() {}

    /// A panel of B: `count` columns by `depth` terms, each term's columns together.
    static void columns(long b, long brs, long bcs, int depth, int count, long to) {
        if (count == Tile.COLUMNS && bcs == 4) {
            for (int p = 0; p < depth; p++) {
                fromMemorySegment(F, ALL, b + p * brs, ORDER).intoMemorySegment(ALL, to + 2 * p * BYTES, ORDER);
                fromMemorySegment(F, ALL, b + p * brs + BYTES, ORDER)
                        .intoMemorySegment(ALL, to + 2 * p * BYTES + BYTES, ORDER);
            }
        } else {
            lines(b, bcs, brs, depth, count, Tile.COLUMNS, to);
        }
    }

    /// A panel of A: `count` rows by `depth` terms, each term's rows together.
    static void rows(long a, long ars, long acs, int depth, int count, long to) {
        lines(a, ars, acs, depth, count, Tile.ROWS, to);
    }

    /// `depth` lines of `length` floats. Line p begins with the `count` numbers that are `apart` bytes apart from
    /// `from + p step` on.
    private static void lines(long from, long apart, long step, int depth, int count, int length, long to) {
        for (int i = 0; i < count; i += 2) {
            if (i + 1 < count) {
                twoOfEach(from + i * apart, apart, step, depth, to + 4L * i, 4L * length);
            } else {
                oneOfEach(from + i * apart, step, depth, to + 4L * i, 4L * length);
            }
        }
    }

    /// Two floats travel as one long: twice as fast as one by one.
    private static void twoOfEach(long from, long apart, long step, int depth, long to, long line) {
        for (int p = 0; p < depth; p++) {
            long at = from + p * step;
            long first = Integer.toUnsignedLong(Native.getInt(at));
            long second = Integer.toUnsignedLong(Native.getInt(at + apart));
            ALL.set(JAVA_LONG_UNALIGNED, to + p * line, first << FIRST | second << SECOND);
        }
    }

    private static void oneOfEach(long from, long step, int depth, long to, long line) {
        for (int p = 0; p < depth; p++) {
            Native.setInt(to + p * line, Native.getInt(from + p * step));
        }
    }
}
