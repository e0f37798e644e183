package dev.deckle.nn;

import dev.deckle.random.Generator;
import java.util.Optional;

/// What one forward pass is for.
///
/// @param random where dropout draws from; present in training only
/// @param cache keys and values of the positions before these; present when decoding
public record Pass(Optional<Generator> random, Optional<KvCache> cache) {
    /// The whole sequence at once, without dropout.
    public static Pass evaluate() {
        return new Pass(Optional.empty(), Optional.empty());
    }

    /// With dropout drawn from `random`.
    public static Pass train(Generator random) {
        return new Pass(Optional.of(random), Optional.empty());
    }

    /// Positions that follow those in the cache.
    public static Pass decode(KvCache cache) {
        return new Pass(Optional.empty(), Optional.of(cache));
    }

    /// The position of the first token of the pass.
    public int position() {
        return cache.map(KvCache::length).orElse(0);
    }
}
