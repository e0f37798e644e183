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
        int to = length + keys.dim(2);
        if (to > capacity) {
            throw full(this, keys.dim(2));
        }
        if (layer == layers.size()) {
            layers.add(new KeysValues(buffer(keys, to), buffer(values, to)));
        }
        KeysValues all = layers.get(layer);
        if (all.keys().dim(0) != keys.dim(0)) {
            throw otherBatch(all.keys().dim(0), keys);
        }
        if (to > all.keys().dim(2)) {
            KeysValues larger = new KeysValues(buffer(keys, to), buffer(values, to));
            all.keys().slice(2, 0, length).copyInto(larger.keys().slice(2, 0, length));
            all.values().slice(2, 0, length).copyInto(larger.values().slice(2, 0, length));
            layers.set(layer, larger);
            all = larger;
        }
        keys.copyInto(all.keys().slice(2, length, to));
        values.copyInto(all.values().slice(2, length, to));
        return new KeysValues(all.keys().slice(2, 0, to), all.values().slice(2, 0, to));
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
        this.length = Math.min(this.length, length);
    }

    @Override
    public void reorder(int... rows) {
        int there = layers.isEmpty() ? 0 : layers.getFirst().keys().dim(0);
        for (int row : rows) {
            Objects.checkIndex(row, there);
        }
        if (!Arrays.equals(rows, IntStream.range(0, there).toArray())) {
            layers.replaceAll(all -> new KeysValues(picked(all.keys(), rows), picked(all.values(), rows)));
        }
    }

    /// The rows of a buffer, in the same buffer where the batch keeps its size: by way of the step's memory, because a
    /// row that is overwritten may still be wanted.
    private Tensor picked(Tensor buffer, int[] rows) {
        Tensor old = buffer.slice(2, 0, length); // (B, G, length, D)
        boolean same = rows.length == buffer.dim(0);
        Tensor target = same ? buffer : Tensor.empty(memory, buffer.dtype(), buffer.shape().with(0, rows.length));
        try (Workspace _ = Workspace.open()) {
            Functional.concat(IntStream.of(rows).mapToObj(r -> old.slice(0, r, r + 1)).toList(), 0)
                    .copyInto(target.slice(2, 0, length));
        }
        return target;
    }

    @Override
    public void close() {
        memory.close();
    }
}
