package dev.deckle.nn;

import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/// What one forward pass is for.
///
/// Prompts of unequal length go through a model together with padding on their left, so that all of them end at the
/// same index. The cache knows how much each row has ([KvCache#pad]): index i of row r is position `i - padding[r]` of
/// its sequence. A layer that turns or adds positions asks [#positions], attention hides the padding by [#mask]; both
/// are empty where no row has padding, and the plain way through a layer serves.
///
/// Sequences of unequal length may also stand end to end in one row, without any padding ([#packed]): positions begin
/// anew with each, and attention takes each by itself, so that none sees another.
///
/// @param random where dropout draws from; present in training only
/// @param cache keys and values of the positions before these; present when decoding
/// @param lengths of the sequences that stand in the one row; empty where each row is a sequence
public record Pass(Optional<Generator> random, Optional<KvCache> cache, List<Integer> lengths) {
    public Pass {
        lengths = List.copyOf(lengths);
    }

    /// The whole sequence at once, without dropout.
    public static Pass evaluate() {
        return new Pass(Optional.empty(), Optional.empty(), List.of());
    }

    /// With dropout drawn from `random`.
    public static Pass train(Generator random) {
        return new Pass(Optional.of(random), Optional.empty(), List.of());
    }

    /// Positions that follow those in the cache.
    public static Pass decode(KvCache cache) {
        return new Pass(Optional.empty(), Optional.of(cache), List.of());
    }

    /// The same for one row in which sequences of these lengths stand end to end; for none, as many rows as one likes.
    ///
    /// @throws IllegalArgumentException if there is a cache, whose rows are one sequence each
    public Pass packed(List<Integer> sequences) {
        if (cache.isPresent() && !sequences.isEmpty()) {
            throw new IllegalArgumentException("sequences that stand in one row have no cache");
        }
        return new Pass(random, cache, sequences);
    }

    /// The index of the first token of the pass: its position, in a row without padding.
    public int position() {
        return cache.map(KvCache::length).orElse(0);
    }

    /// The keys and values of all positions up to those of the pass, which the cache, if there is one, now holds too.
    public KvCache.KeysValues append(int layer, Tensor keys, Tensor values) {
        return cache.map(c -> c.append(layer, keys, values)).orElseGet(() -> new KvCache.KeysValues(keys, values));
    }

    /// Attention of query (B, H, T, D) over all positions up to those of the pass, which the cache, if there is one,
    /// now holds too: (B, H, T, E).
    public Tensor attend(int layer, Tensor query, Tensor keys, Tensor values, ScaledDotProductAttention attention) {
        return cache.map(c -> c.attend(layer, query, keys, values, attention, this))
                .orElseGet(() -> attention.forward(query, keys, values, Optional.empty(), this));
    }

    /// The position of each of `queries` tokens in its own sequence: (B, queries) I64, 0 for padding. Empty where that
    /// is [#position] and what follows, in every row.
    public Optional<Tensor> positions(int queries) {
        if (!lengths.isEmpty()) {
            long[] anew = lengths.stream().flatMapToInt(n -> IntStream.range(0, n)).asLongStream().toArray();
            if (anew.length != queries) {
                throw new IllegalArgumentException("sequences of " + anew.length + " tokens do not fill a row of "
                        + queries);
            }
            return Optional.of(Tensor.of(anew, 1, queries));
        }
        return padding().map(padding -> {
            long[] ids = IntStream.of(padding)
                    .flatMap(p -> IntStream.range(position(), position() + queries).map(i -> Math.max(0, i - p)))
                    .asLongStream()
                    .toArray();
            return Tensor.of(ids, padding.length, queries);
        });
    }

    /// Which keys are there, for the last `keys` of those up to and with the `queries` tokens of the pass, as
    /// [KvCache#append] returns them: (B, keys) F32, 1 for a token and 0 for padding. Empty where all are there.
    public Optional<Tensor> mask(int queries, int keys) {
        int first = position() + queries - keys;
        return padding().filter(padding -> IntStream.of(padding).anyMatch(p -> p > first)).map(padding -> {
            float[] there = new float[padding.length * keys];
            for (int r = 0; r < padding.length; r++) {
                for (int j = Math.max(0, padding[r] - first); j < keys; j++) {
                    there[r * keys + j] = 1;
                }
            }
            return Tensor.of(there, padding.length, keys);
        });
    }

    private Optional<int[]> padding() {
        return cache.map(KvCache::padding).filter(padding -> padding.length > 0);
    }
}
