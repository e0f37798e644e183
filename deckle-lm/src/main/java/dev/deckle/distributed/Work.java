package dev.deckle.distributed;

/// A collective that runs meanwhile.
public interface Work {
    /// Returns when the result is there. May be called again. An interrupt does not end the wait, because the tensor is
    /// still in use; the thread stays interrupted.
    ///
    /// @throws RankFailure if a rank ended before
    void await();

    /// Whether [#await()] would return, or throw, at once.
    boolean isDone();
}
