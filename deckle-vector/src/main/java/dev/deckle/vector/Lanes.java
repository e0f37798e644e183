package dev.deckle.vector;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.Scratch;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/// The machine's float vector, and this thread's working memory.
///
/// Memory is read and written through the one constant segment [Native#ALL], so that the compiled code has no bounds,
/// lifetime or kind to check: a dot product of 4096 floats takes 115 ns so, and 117 to 157 ns on `float[]`.
///
/// **Rules of this module**, each paid for by a kernel that was a hundred times slower in some JVMs or in all:
///
/// 1. No method of ours takes or returns a vector. A vector operation costs the compiler C2 some 450 nodes when it
///    parses it, and after 18,000 nodes (forty operations) it inlines no more methods, except the Vector API's own. A
///    refused method with numbers in its signature costs a call; with a vector it allocates each time. What would be
///    such a method here, an exponential above all, is a pass over a block of memory in the first cache.
/// 2. Loops run over whole vectors. Less than a vector is copied to a pad and goes through the same loop.
/// 3. No `reduceLanes(ADD)`: interpreted code adds from left to right and compiled code does not, so the same call
/// would
///    give other bits once it is warm. [#sum] has one order.
/// 4. What changes in a loop starts as a `broadcast`, not as a constant of the class: such a variable is an object in
///    memory at first and a register later, and the compiler then allocates it in each turn.
final class Lanes {
    static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
    /// The same vector as the bits of its floats.
    static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, F.vectorShape());
    /// Floats in a vector.
    static final int N = F.length();
    /// Bytes in a vector.
    static final long BYTES = 4L * N;
    static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /// Bytes of a block: two of them and what they are computed from fit into any first cache.
    static final long BLOCK = 4096;

    /// The slots of [Scratch] that this module uses.
    static final int SLOT = 4;
    static final int PACKED_B = 5;
    static final int PACKED_A = 6;

    private static final int PADS = 8;
    private static final int BLOCKS = 2;

    private Lanes() {}

    /// Working memory of one vector.
    static long pad(int which) {
        return Scratch.bytes(SLOT, BLOCKS * BLOCK + PADS * BYTES) + BLOCKS * BLOCK + which * BYTES;
    }

    /// A copy of `count` floats in a pad; the lanes above hold old numbers.
    static long pad(int which, long from, long count) {
        long pad = pad(which);
        Native.copy(from, pad, 4 * count);
        return pad;
    }

    /// Working memory of [#BLOCK] bytes.
    static long block(int which) {
        return Scratch.bytes(SLOT, BLOCKS * BLOCK + PADS * BYTES) + which * BLOCK;
    }

    /// The sum of a vector in memory, in an order of its own.
    static float sum(long vector) {
        float s0 = 0;
        float s1 = 0;
        float s2 = 0;
        float s3 = 0;
        for (long i = 0; i < BYTES; i += 16) {
            s0 += Native.getFloat(vector + i);
            s1 += Native.getFloat(vector + i + 4);
            s2 += Native.getFloat(vector + i + 8);
            s3 += Native.getFloat(vector + i + 12);
        }
        return (s0 + s1) + (s2 + s3);
    }
}
