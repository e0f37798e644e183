package dev.deckle.distributed;

/// The part of a flat tensor that is one rank's: elements `from` to `to` (exclusive).
///
/// Cuts lie at multiples of 16 elements, which are 64 bytes of F32: a cache line and a vector of AVX-512. So no two
/// ranks write the same line, and every shard of an aligned tensor is aligned. The last shard ends where the tensor
/// does; with few elements some shards are empty. Sizes differ by 16 elements at most, but for what the last one lacks.
public record Shard(long from, long to) {
    private static final long ALIGNMENT = 16;

    /// The shard of `rank` when `numel` elements are cut for `worldSize` ranks.
    public static Shard of(long numel, int rank, int worldSize) {
        if (numel < 0 || rank < 0 || rank >= worldSize) {
            throw new IllegalArgumentException("no shard for rank " + rank + " of " + worldSize + " of " + numel
                    + " elements");
        }
        return new Shard(cut(numel, rank, worldSize), cut(numel, rank + 1, worldSize));
    }

    private static long cut(long numel, int rank, int worldSize) {
        long lines = (numel + ALIGNMENT - 1) / ALIGNMENT;
        // the same as lines * rank / worldSize, without the product that might not fit
        long line = lines / worldSize * rank + lines % worldSize * rank / worldSize;
        return Math.min(numel, line * ALIGNMENT);
    }

    public long size() {
        return to - from;
    }
}
