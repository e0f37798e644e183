package dev.deckle.distributed;

import dev.deckle.tensor.DType;

/// What carries bytes between ranks. [QueuedCommunicator] calls all of it but [#rank], [#worldSize] and [#abort] on one
/// thread, in the same order on every rank; each call returns when its work is done and throws a [RankFailure] when it
/// never will be. When it has returned or thrown, nothing touches the memory that it was given.
///
/// `cuts` are N + 1 byte offsets from `x`, ascending: the cut of rank r is `cuts[r]` to `cuts[r + 1]`.
public interface Transport {
    int rank();

    int worldSize();

    /// The first call.
    default void open() {}

    /// This rank's cut of x becomes the sum of what all ranks have there, as `sums` adds it up.
    void reduceScatter(String call, long x, long[] cuts, DType dtype, Sums sums);

    /// The cuts of the other ranks are filled with what they have there.
    void allGather(String call, long x, long[] cuts);

    void broadcast(String call, long x, long bytes, int root);

    void barrier();

    /// Makes waiting calls fail, here and on the other ranks, now and later; from any thread. The first failure counts.
    void abort(RankFailure failure);

    /// The last call after an [#abort] here, where the others may have to be told.
    default void farewell() {}

    /// The last call where nothing went wrong.
    void close();
}
