package dev.deckle.distributed;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.EnumSet;
import java.util.Set;

/// What a tensor must be to be communicated.
final class Buffers {
    private static final Set<DType> SUMMED = EnumSet.of(DType.F32, DType.F64, DType.BF16, DType.I64);

    private Buffers() {}

    /// @throws IllegalArgumentException if `verb` cannot take x
    /// @throws IllegalStateException if the lifetime of x is over
    static void check(Verb verb, Tensor x) {
        if (x.rank() != 1) {
            throw new IllegalArgumentException(verb.label() + " takes a tensor of one dimension, not of shape "
                    + x.shape() + ": reshape it to (" + x.numel() + ")");
        }
        if (!x.isContiguous()) {
            throw new IllegalArgumentException(verb.label() + " takes a contiguous tensor, and this one's elements are "
                    + x.stride(0) + " apart");
        }
        boolean sums = verb == Verb.ALL_REDUCE || verb == Verb.REDUCE_SCATTER;
        if (sums && !SUMMED.contains(x.dtype())) {
            throw new IllegalArgumentException(verb.label() + " sums " + SUMMED + ", not " + x.dtype());
        }
        x.address(); // throws where its time is over
    }

    static void checkRoot(int root, int worldSize) {
        if (root < 0 || root >= worldSize) {
            throw new IllegalArgumentException("broadcast from rank " + root + ": there are ranks 0 to "
                    + (worldSize - 1));
        }
    }
}
