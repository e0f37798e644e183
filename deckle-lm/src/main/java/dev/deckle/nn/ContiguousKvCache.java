package dev.deckle.nn;

import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/// A [KvCache] with one buffer a layer, (B, G, positions, D), which doubles as it fills. Attention reads it where it
/// lies. [#reorder] copies every row that moves.
public final class ContiguousKvCache implements KvCache {
    private final ModelMemory memory = new ModelMemory();
    private final int capacity;
    private final List<KeysValues> layers = new ArrayList<>();
    private int rows; // of the batch, at most as many as the buffers have
    private int length;

    /// @param capacity positions that it can hold
    public ContiguousKvCache(int capacity) {
        this.capacity = capacity;
    }

    @Override
    public int length() {
        return length;
    }

    @Override
    public int capacity() {
        return capacity;
    }

    @Override
    public KeysValues append(int layer, Tensor keys, Tensor values) {
        KvCache.requireNoGrad(keys, values);
        int to = length + keys.dim(2);
        if (to > capacity) {
            throw full(this, keys.dim(2));
        }
        if (layers.isEmpty()) {
            rows = keys.dim(0);
        }
        if (rows != keys.dim(0)) {
            throw otherBatch(rows, keys);
        }
        if (layer == layers.size()) {
            layers.add(new KeysValues(buffer(keys, to), buffer(values, to)));
        }
        KeysValues all = layers.get(layer);
        if (to > all.keys().dim(2)) {
            KeysValues larger = new KeysValues(buffer(keys, to), buffer(values, to));
            part(all.keys(), 0, length).copyInto(part(larger.keys(), 0, length));
            part(all.values(), 0, length).copyInto(part(larger.values(), 0, length));
            layers.set(layer, larger);
            all = larger;
        }
        keys.copyInto(part(all.keys(), length, to));
        values.copyInto(part(all.values(), length, to));
        return new KeysValues(part(all.keys(), 0, to), part(all.values(), 0, to));
    }

    /// Positions of a buffer, of the rows in use.
    private Tensor part(Tensor buffer, int from, int to) {
        Tensor inUse = rows == buffer.dim(0) ? buffer : buffer.slice(0, 0, rows);
        return inUse.slice(2, from, to);
    }

    static IllegalStateException full(KvCache cache, int positions) {
        return new IllegalStateException("the cache holds " + cache.capacity() + " positions and " + cache.length()
                + " are taken: there is no room for " + positions + " more");
    }

    static IllegalArgumentException otherBatch(int rows, Tensor keys) {
        return new IllegalArgumentException("the cache holds " + rows + " sequences, keys " + keys.shape() + " are of "
                + keys.dim(0));
    }

    /// With room for twice as many positions as are needed now. What a smaller buffer took is given back at the end:
    /// doubling bounds all of them together by the last one.
    private Tensor buffer(Tensor like, int positions) {
        int room = Math.min(capacity, Math.max(64, 2 * positions));
        return Tensor.empty(memory, like.dtype(), Shape.of(like.dim(0), like.dim(1), room, like.dim(3)));
    }

    @Override
    public void advance(int positions) {
        length += positions;
    }

    @Override
    public void truncate(int length) {
        this.length = Math.min(this.length, KvCache.requireLength(length));
    }

    @Override
    public void reorder(int... from) {
        for (int row : from) {
            Objects.checkIndex(row, rows);
        }
        if (!Arrays.equals(from, IntStream.range(0, rows).toArray())) {
            layers.replaceAll(all -> new KeysValues(picked(all.keys(), from), picked(all.values(), from)));
            rows = from.length;
        }
    }

    /// The rows of a buffer, in the same buffer where it has as many: by way of the step's memory, because a row that
    /// is overwritten may still be wanted.
    private Tensor picked(Tensor buffer, int[] from) {
        Tensor old = part(buffer, 0, length); // (B, G, length, D)
        Tensor target = from.length <= buffer.dim(0) ? buffer
                : Tensor.empty(memory, buffer.dtype(), buffer.shape().with(0, from.length));
        try (Workspace _ = Workspace.open()) {
            Functional.concat(IntStream.of(from).mapToObj(r -> old.slice(0, r, r + 1)).toList(), 0)
                    .copyInto(target.slice(0, 0, from.length).slice(2, 0, length));
        }
        return target;
    }

    @Override
    public void close() {
        memory.close();
    }
}
