package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Native;

/// Copies parts of A and B into the order in which [Tile] reads them. Strides are in bytes; what a panel lacks is zero.
final class Pack {
    private Pack() {}

    /// A panel of B: `count` columns by `depth` terms, each term's columns together.
    static void columns(long b, long brs, long bcs, int depth, int count, long to) {
        if (count < Tile.COLUMNS) {
            Native.zero(to, 4L * depth * Tile.COLUMNS);
            for (int p = 0; p < depth; p++) {
                for (int j = 0; j < count; j++) {
                    Native.setFloat(to + 4L * (p * Tile.COLUMNS + j), Native.getFloat(b + p * brs + j * bcs));
                }
            }
        } else if (bcs == 4) {
            for (int p = 0; p < depth; p++) {
                fromMemorySegment(F, ALL, b + p * brs, ORDER).intoMemorySegment(ALL, to + 2 * p * BYTES, ORDER);
                fromMemorySegment(F, ALL, b + p * brs + BYTES, ORDER)
                        .intoMemorySegment(ALL, to + 2 * p * BYTES + BYTES, ORDER);
            }
        } else {
            for (int j = 0; j < Tile.COLUMNS; j += 4) {
                fourColumns(b + j * bcs, brs, bcs, depth, to + 4L * j);
            }
        }
    }

    private static void fourColumns(long b, long brs, long bcs, int depth, long to) {
        for (int p = 0; p < depth; p++) {
            long from = b + p * brs;
            long at = to + 8L * N * p;
            Native.setFloat(at, Native.getFloat(from));
            Native.setFloat(at + 4, Native.getFloat(from + bcs));
            Native.setFloat(at + 8, Native.getFloat(from + 2 * bcs));
            Native.setFloat(at + 12, Native.getFloat(from + 3 * bcs));
        }
    }

    /// A panel of A: `count` rows by `depth` terms, each term's rows together.
    static void rows(long a, long ars, long acs, int depth, int count, long to) {
        if (count < Tile.ROWS) {
            Native.zero(to, 4L * depth * Tile.ROWS);
        }
        int i = 0;
        for (; i + 3 <= count; i += 3) {
            threeRows(a + i * ars, ars, acs, depth, to + 4L * i);
        }
        for (; i < count; i++) {
            oneRow(a + i * ars, acs, depth, to + 4L * i);
        }
    }

    private static void threeRows(long a, long ars, long acs, int depth, long to) {
        for (int p = 0; p < depth; p++) {
            long from = a + p * acs;
            long at = to + 4L * Tile.ROWS * p;
            Native.setFloat(at, Native.getFloat(from));
            Native.setFloat(at + 4, Native.getFloat(from + ars));
            Native.setFloat(at + 8, Native.getFloat(from + 2 * ars));
        }
    }

    private static void oneRow(long a, long acs, int depth, long to) {
        for (int p = 0; p < depth; p++) {
            Native.setFloat(to + 4L * Tile.ROWS * p, Native.getFloat(a + p * acs));
        }
    }
}
