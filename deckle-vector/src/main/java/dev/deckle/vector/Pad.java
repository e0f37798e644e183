package dev.deckle.vector;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Scratch;

/// Vectors of working memory, where the last few elements of an array stand in for a whole vector.
final class Pad {
    /// The slots of [Scratch] that this module uses.
    static final int SLOT = 4;
    static final int PACKED_B = 5;
    static final int PACKED_A = 6;

    private static final int VECTORS = 8;

    private Pad() {}

    static long at(int vector) {
        return Scratch.bytes(SLOT, VECTORS * Lanes.BYTES) + vector * Lanes.BYTES;
    }

    /// A copy of `count` floats in the given vector; the lanes above hold old numbers.
    static long in(int vector, long from, long count) {
        long pad = at(vector);
        Native.copy(from, pad, 4 * count);
        return pad;
    }

    /// One float of memory in all lanes of the given vector.
    static long spread(int vector, long from) {
        long pad = at(vector);
        Lanes.store(Lanes.spread(from), pad);
        return pad;
    }
}
