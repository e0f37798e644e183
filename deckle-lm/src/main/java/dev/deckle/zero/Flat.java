package dev.deckle.zero;

import dev.deckle.distributed.Shard;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Some of a region's numbers, or something that goes with each of them, such as a moment.
///
/// @param tensor (range.size()), from the beginning of its storage
/// @param range which of the region's numbers
record Flat(Tensor tensor, Shard range) {
    /// A view of numbers within the range, in a shape of as many.
    Tensor part(Shard s, Shape shape) {
        if (s.from() < range.from() || s.to() > range.to()) {
            throw new IndexOutOfBoundsException(s + " is not within " + range);
        }
        return Tensor.on(tensor.storage(), (s.from() - range.from()) * tensor.dtype().bytes(), tensor.dtype(), shape);
    }

    /// The same as they lie.
    Tensor part(Shard s) {
        return part(s, Shape.of(Math.toIntExact(s.size())));
    }

    /// What two ranges share; empty if nothing.
    static Shard common(Shard a, Shard b) {
        long from = Math.max(a.from(), b.from());
        return new Shard(from, Math.max(from, Math.min(a.to(), b.to())));
    }
}
