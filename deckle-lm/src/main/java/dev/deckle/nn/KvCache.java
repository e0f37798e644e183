package dev.deckle.nn;

import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Keys (already rotated) and values of all positions so far, so that decoding computes one position at a time instead
/// of the whole sequence again. One contiguous buffer a layer: (B, G, positions, D), G key heads, which doubles as it
/// fills.
public final class KvCache implements AutoCloseable {
    /// All positions of a layer, those just appended included: each (B, G, length, D).
    public record KeysValues(Tensor keys, Tensor values) {}

    private final ModelMemory memory = new ModelMemory();
    private final int capacity;
    private final List<KeysValues> layers = new ArrayList<>();
    private int length;

    /// @param capacity positions that it can hold
    public KvCache(int capacity) {
        this.capacity = capacity;
    }

    /// How many positions it holds.
    public int length() {
        return length;
    }

    public int capacity() {
        return capacity;
    }

    /// Adds new positions to layer `layer`: keys and values (B, G, T, D). Every layer appends the same T, then the
    /// model calls [#advance].
    public KeysValues append(int layer, Tensor keys, Tensor values) {
        int t = keys.dim(2);
        if (length + t > capacity) {
            throw new IllegalStateException("the cache holds " + capacity + " positions and " + length
                    + " are taken: there is no room for " + t + " more");
        }
        if (layer == layers.size()) {
            layers.add(new KeysValues(buffer(keys, length + t), buffer(values, length + t)));
        }
        KeysValues all = layers.get(layer);
        if (length + t > all.keys.dim(2)) {
            KeysValues larger = new KeysValues(buffer(keys, length + t), buffer(values, length + t));
            all.keys.slice(2, 0, length).copyInto(larger.keys.slice(2, 0, length));
            all.values.slice(2, 0, length).copyInto(larger.values.slice(2, 0, length));
            layers.set(layer, larger);
            all = larger;
        }
        keys.copyInto(all.keys.slice(2, length, length + t));
        values.copyInto(all.values.slice(2, length, length + t));
        return new KeysValues(all.keys.slice(2, 0, length + t), all.values.slice(2, 0, length + t));
    }

    /// With room for twice as many positions as are needed now. What a smaller buffer took is given back at the end:
    /// doubling bounds all of them together by the last one.
    private Tensor buffer(Tensor like, int positions) {
        int room = Math.min(capacity, Math.max(64, 2 * positions));
        return Tensor.empty(memory, DType.F32, Shape.of(like.dim(0), like.dim(1), room, like.dim(3)));
    }

    /// All layers have appended `positions`.
    public void advance(int positions) {
        length += positions;
    }

    /// Forgets all positions from `length` on.
    public void truncate(int length) {
        this.length = Math.min(this.length, length);
    }

    @Override
    public void close() {
        memory.close();
    }
}
