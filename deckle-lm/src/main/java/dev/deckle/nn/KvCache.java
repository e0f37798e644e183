package dev.deckle.nn;

import dev.deckle.tensor.Tensor;
import java.util.List;

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
public sealed interface KvCache extends AutoCloseable permits CacheRows {
    /// The positions of a layer, those just appended included and last: keys (B, G, S, D), values (B, G, S, E). S is
    /// the length, or less where the layer has a window. They are valid until the next change of the cache.
    record KeysValues(Tensor keys, Tensor values) {}

    /// How the positions lie in memory.
    enum Kind {
        CONTIGUOUS,
        PAGED;

        /// An empty cache for sequences of up to `capacity` positions.
        ///
        /// @param sequences how many of them at most: those of a batch, or beams
        public KvCache open(int capacity, int sequences) {
            return open(capacity, sequences, List.of());
        }

        /// The same for a model whose layers look back on `windows` positions, 0 for all (`CausalLm.windows`).
        public KvCache open(int capacity, int sequences, List<Integer> windows) {
            return switch (this) {
                case CONTIGUOUS -> new ContiguousKvCache(capacity, windows);
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

    /// [#append], and then attention of query (B, H, T, D) over all that is there: (B, H, T, E). A cache may read its
    /// positions where they are.
    Tensor attend(
            int layer, Tensor query, Tensor keys, Tensor values, ScaledDotProductAttention attention, Pass pass);

    /// All layers have appended `positions`.
    void advance(int positions);

    /// Says before the first [#append] that the first `padding[r]` positions of row r are not there: sequences of
    /// unequal length end together. Attention must hide them ([Pass#mask]).
    ///
    /// @throws IllegalStateException if the cache holds something
    void pad(int... padding);

    /// How many positions at the front of each row are not there; empty where all rows are whole.
    int[] padding();

    /// Before the first [#append], and after [#pad]: takes what it knows already of sequences of which each is a row.
    ///
    /// @param sequences token ids, without padding
    /// @return its length now: how many indices of all rows it knows; the last one of a sequence is never among them
    default int reuse(List<int[]> sequences) {
        return 0;
    }

    /// Later sequences may [#reuse] what it holds of a row.
    ///
    /// @param ids the row's tokens
    default void remember(int row, int... ids) {}

    /// Bytes that it has taken from the system.
    long bytes();

    /// How many positions it holds, padding included.
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
}
