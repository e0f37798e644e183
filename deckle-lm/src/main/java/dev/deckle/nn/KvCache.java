package dev.deckle.nn;

import dev.deckle.autograd.NoGrad;
import dev.deckle.tensor.Tensor;

/// Keys (already rotated) and values of all positions so far, so that decoding computes one position at a time instead
/// of the whole sequence again. All sequences of a batch have the same length.
///
/// - **Formula**: position t needs `softmax(q_t [K; k_t]^T / sqrt(D)) [V; v_t]` with the keys K and values V of the
///   positions before it, and these do not depend on t: causal attention changes nothing that was computed, it appends.
/// - **Shapes**: [#append] takes keys (B, G, T, D) and values (B, G, T, E) in any strides and gives all of them,
///   (B, G, S, D) and (B, G, S, E) with S = length + T. E may differ from D: latent attention keeps its latent as
///   "keys" and its rotated part as "values".
/// - **Cost**: a token costs O(S) instead of O(S^2); the memory is layers x B x G x S x (D + E) x 4 bytes in F32, which
///   grouped queries divide by H / G.
/// - **Source**: Shazeer 2019, Fast Transformer Decoding; Pope et al. 2022, Efficiently Scaling Transformer Inference.
/// - **PyTorch**: transformers' `DynamicCache`: `update`, `crop`, `reorder_cache`.
/// - **Classic mistake**: rotating the new query and key by position 0 of the piece instead of position [#length()], or
///   masking a piece of T new positions as if it began the sequence: query i sees keys up to i + S - T.
public sealed interface KvCache extends AutoCloseable permits ContiguousKvCache, PagedKvCache {
    /// All positions of a layer, those just appended included: keys (B, G, S, D), values (B, G, S, E). They are valid
    /// until the next change of the cache.
    record KeysValues(Tensor keys, Tensor values) {}

    /// How the positions lie in memory.
    enum Kind {
        CONTIGUOUS,
        PAGED;

        /// An empty cache for sequences of up to `capacity` positions.
        ///
        /// @param sequences how many of them at most: those of a batch, or beams
        public KvCache open(int capacity, int sequences) {
            return switch (this) {
                case CONTIGUOUS -> new ContiguousKvCache(capacity);
                case PAGED -> new PagedKvCache(capacity, sequences);
            };
        }
    }

    /// Adds new positions to layer `layer`: keys (B, G, T, D), values (B, G, T, E). Every layer appends the same T,
    /// then the model calls [#advance].
    ///
    /// @throws IllegalStateException if there is no room
    /// @throws IllegalArgumentException if B is not that of the positions before
    KeysValues append(int layer, Tensor keys, Tensor values);

    /// All layers have appended `positions`.
    void advance(int positions);

    /// How many positions it holds.
    int length();

    /// How many positions it can hold.
    int capacity();

    /// Forgets all positions from `length` on.
    void truncate(int length);

    /// Row i of the batch continues from what is row `rows[i]` now, as beam search needs it. There may be more or fewer
    /// rows than before: `{0, 0, 0}` makes three of one.
    ///
    /// @throws IndexOutOfBoundsException if there is no such row
    void reorder(int... rows);

    @Override
    void close();

    /// A cache keeps numbers, not their history: a gradient would end there without a word.
    static void requireNoGrad(Tensor keys, Tensor values) {
        if (NoGrad.recording() && (keys.requiresGrad() || values.requiresGrad())) {
            throw new IllegalStateException("keys and values that require gradients lose them in a cache: decode "
                    + "inside "
                    + "NoGrad.open(), or train without a cache");
        }
    }

    static int requireLength(int length) {
        if (length < 0) {
            throw new IllegalArgumentException("a cache cannot be cut to " + length + " positions: 0 at least");
        }
        return length;
    }
}
