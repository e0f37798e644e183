package dev.deckle.nn;

import dev.deckle.autograd.NoGrad;
import dev.deckle.tensor.Tensor;
import java.util.Objects;
import java.util.stream.IntStream;

/// What all caches count alike: the rows of the batch, their length and their padding.
abstract sealed class CacheRows implements KvCache permits ContiguousKvCache, PagedKvCache {
    private final int capacity;
    private int rows = -1; // until the first append
    private int length;
    private int[] padding = {};

    CacheRows(int capacity) {
        this.capacity = capacity;
    }

    @Override
    public final int length() {
        return length;
    }

    @Override
    public final int capacity() {
        return capacity;
    }

    final int rows() {
        return rows;
    }

    @Override
    public final void pad(int... padding) {
        if (length > 0) {
            throw new IllegalStateException("a cache of " + length + " positions cannot be padded at its front");
        }
        for (int p : padding) {
            Objects.checkIndex(p, capacity);
        }
        this.padding = IntStream.of(padding).allMatch(p -> p == 0) ? new int[0] : padding.clone();
    }

    @Override
    public final int[] padding() {
        return padding.clone();
    }

    /// Of one row.
    final int padding(int row) {
        return padding.length == 0 ? 0 : padding[row];
    }

    /// Checks what is about to be appended: a cache keeps numbers, not their history, so a gradient would end there
    /// without a word.
    ///
    /// @return the length afterwards
    final int fits(Tensor keys, Tensor values) {
        if (NoGrad.recording() && (keys.requiresGrad() || values.requiresGrad())) {
            throw new IllegalStateException("keys and values that require gradients lose them in a cache: decode "
                    + "inside NoGrad.open(), or train without a cache");
        }
        int to = length + keys.dim(2);
        if (to > capacity) {
            throw new IllegalStateException("the cache holds " + capacity + " positions and " + length
                    + " are taken: there is no room for " + keys.dim(2) + " more");
        }
        if (rows < 0) {
            rows = keys.dim(0);
        }
        if (rows != keys.dim(0)) {
            throw new IllegalArgumentException("the cache holds " + rows + " sequences, keys " + keys.shape()
                    + " are of " + keys.dim(0));
        }
        if (padding.length > 0 && padding.length != rows) {
            throw new IllegalArgumentException("the cache was padded for " + padding.length + " sequences, keys "
                    + keys.shape() + " are of " + rows);
        }
        return to;
    }

    @Override
    public final void advance(int positions) {
        length += positions;
    }

    @Override
    public final void truncate(int length) {
        if (length < 0) {
            throw new IllegalArgumentException("a cache cannot be cut to " + length + " positions: 0 at least");
        }
        if (length < this.length) {
            cut(length);
            this.length = length;
        }
    }

    @Override
    public final void reorder(int... from) {
        for (int row : from) {
            Objects.checkIndex(row, Math.max(0, rows));
        }
        pick(from);
        rows = from.length;
        padding = padding.length == 0 ? padding : IntStream.of(from).map(r -> padding[r]).toArray();
    }

    /// Begins with positions that are there already.
    final void begin(int rows, int length) {
        this.rows = rows;
        this.length = length;
    }

    @Override
    public Tensor attend(
            int layer, Tensor query, Tensor keys, Tensor values, ScaledDotProductAttention attention, Pass pass) {
        KeysValues all = append(layer, keys, values);
        return attention.forward(query, all.keys(), all.values(), pass.mask(query.dim(2), all.keys().dim(2)), pass);
    }

    /// Forgets the positions from `length` on, which is less than what there is.
    abstract void cut(int length);

    /// Row i goes on from what is row `from[i]`, which is there.
    abstract void pick(int... from);
}
