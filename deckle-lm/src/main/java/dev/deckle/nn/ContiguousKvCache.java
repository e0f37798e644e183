package dev.deckle.nn;

import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/// A [KvCache] with one buffer a layer, (B, G, positions, D), which attention reads where it lies.
///
/// A layer that sees all positions doubles its buffer as it fills. A layer with a window needs the window - 1 positions
/// before a new one and no others, so its buffer stops growing at a little more than the window: when it is full, what
/// is still wanted moves to its front. A ring would never move, but would hand attention its keys in two pieces and out
/// of order; moving window - 1 positions every window / 4 steps costs a step four positions, a fraction of what the
/// step reads.
///
/// [#reorder] copies every row that moves.
public final class ContiguousKvCache extends CacheRows {
    private static final int LEAST_ROOM = 64;

    private final List<Integer> windows;
    private final List<Layer> layers = new ArrayList<>();

    /// Positions `first` on of one layer, in buffers with room for more, and the memory that holds only them.
    private record Layer(ModelMemory memory, Tensor keys, Tensor values, int first) {}

    /// @param capacity positions that it can hold
    public ContiguousKvCache(int capacity) {
        this(capacity, List.of());
    }

    /// The same for layers that look back on `windows` positions each, 0 for all.
    public ContiguousKvCache(int capacity, List<Integer> windows) {
        super(capacity);
        this.windows = List.copyOf(windows);
    }

    @Override
    public long bytes() {
        return layers.stream().mapToLong(l -> l.memory.bytes()).sum();
    }

    @Override
    public KeysValues append(int layer, Tensor keys, Tensor values) {
        int to = fits(keys, values);
        if (layer == layers.size()) {
            layers.add(layer(keys, values, rows(), room(layer, to), 0));
        }
        Layer all = layers.get(layer);
        if (to - all.first > all.keys.dim(2)) {
            all = moved(layer, all, to, keys, values);
            layers.set(layer, all);
        }
        keys.copyInto(part(all.keys, length() - all.first, to - all.first));
        values.copyInto(part(all.values, length() - all.first, to - all.first));
        int from = Math.max(0, wanted(layer) - all.first);
        return new KeysValues(part(all.keys, from, to - all.first), part(all.values, from, to - all.first));
    }

    /// The first position that the next one needs.
    private int wanted(int layer) {
        int window = window(layer);
        return window == 0 ? 0 : Math.max(0, length() - window + 1);
    }

    private int window(int layer) {
        return layer < windows.size() ? windows.get(layer) : 0;
    }

    /// What is still wanted of a layer, at the front of a buffer with room up to position `to`: the same one if that is
    /// large enough.
    private Layer moved(int layer, Layer old, int to, Tensor keys, Tensor values) {
        int first = wanted(layer);
        int room = room(layer, to);
        Layer next = room <= old.keys.dim(2) ? new Layer(old.memory, old.keys, old.values, first)
                : layer(keys, values, rows(), room, first);
        move(old.keys, next.keys, first - old.first, length() - old.first);
        move(old.values, next.values, first - old.first, length() - old.first);
        if (next.memory != old.memory) {
            old.memory.close();
        }
        return next;
    }

    /// Positions `from` to `to` of a buffer to the front of another, or of itself: by way of the step's memory where
    /// one would be overwritten before it is read.
    private void move(Tensor source, Tensor target, int from, int to) {
        try (Workspace _ = Workspace.open()) {
            Tensor kept = part(source, from, to);
            if (source == target) {
                Tensor aside = Tensor.empty(kept.dtype(), kept.shape());
                kept.copyInto(aside);
                kept = aside;
            }
            kept.copyInto(part(target, 0, to - from));
        }
    }

    /// Positions for twice as many as are needed now.
    private int room(int layer, int to) {
        int window = window(layer);
        int fresh = to - length();
        int all = Math.min(capacity(), Math.max(LEAST_ROOM, 2 * to));
        return window == 0 ? all : Math.min(all, window - 1 + Math.max(fresh, window / 4 + 1));
    }

    private static Layer layer(Tensor keys, Tensor values, int rows, int room, int first) {
        ModelMemory memory = new ModelMemory();
        return new Layer(memory, buffer(memory, keys, rows, room), buffer(memory, values, rows, room), first);
    }

    private static Tensor buffer(ModelMemory memory, Tensor like, int rows, int room) {
        return Tensor.empty(memory, like.dtype(), Shape.of(rows, like.dim(1), room, like.dim(3)));
    }

    /// Positions of a buffer, of the rows in use.
    private Tensor part(Tensor buffer, int from, int to) {
        Tensor inUse = rows() == buffer.dim(0) ? buffer : buffer.slice(0, 0, rows());
        return inUse.slice(2, from, to);
    }

    /// @throws IllegalStateException if a layer with a window would need positions that it has forgotten
    @Override
    void cut(int length) {
        for (int layer = 0; layer < layers.size(); layer++) {
            int first = layers.get(layer).first;
            int needed = Math.max(0, length - window(layer) + 1);
            if (first > needed) {
                throw new IllegalStateException("the cache cannot be cut from " + length() + " to " + length
                        + " positions: layer " + layer + " with a window of " + window(layer) + " would need position "
                        + needed + " again, and keeps those from " + first + " on");
            }
        }
    }

    @Override
    void pick(int... from) {
        if (!Arrays.equals(from, IntStream.range(0, rows()).toArray())) {
            layers.replaceAll(l -> picked(l, from));
        }
    }

    /// The rows of a layer, in the same buffers where they have as many.
    private Layer picked(Layer old, int[] from) {
        Layer next = from.length <= old.keys.dim(0) ? old
                : layer(old.keys, old.values, from.length, old.keys.dim(2), old.first);
        pick(old.keys, next.keys, length() - old.first, from);
        pick(old.values, next.values, length() - old.first, from);
        if (next != old) {
            old.memory.close();
        }
        return next;
    }

    /// By way of the step's memory, because a row that is overwritten may still be wanted.
    private void pick(Tensor source, Tensor target, int positions, int[] from) {
        Tensor old = part(source, 0, positions); // (B, G, positions, D)
        try (Workspace _ = Workspace.open()) {
            Functional.concat(IntStream.of(from).mapToObj(r -> old.slice(0, r, r + 1)).toList(), 0)
                    .copyInto(target.slice(0, 0, from.length).slice(2, 0, positions));
        }
    }

    @Override
    public void close() {
        layers.forEach(l -> l.memory.close());
    }
}
