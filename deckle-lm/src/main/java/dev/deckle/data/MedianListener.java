package dev.deckle.data;

/// Watches a [StreamMedian] at work. It is called by the thread that asked for the median.
public interface MedianListener {
    /// A reading of the whole source. Passes are numbered from 1.
    sealed interface Pass {
        int number();
    }

    /// The numbers from `low` to `high` were counted by buckets: `x` in bucket `(x - low) >>> shift`.
    ///
    /// @param counters how many buckets there were
    /// @param bucket the one that holds the lower of the two middle numbers
    /// @param below how many numbers of the source are smaller than all of the bucket
    /// @param left how many are in the bucket
    record Count(int number, long low, long high, int shift, int counters, int bucket, long below, long left)
            implements
            Pass {}

    /// The numbers from `low` to `high`, `left` of them, fitted the memory and were gathered there.
    ///
    /// @param below how many numbers of the source are smaller than `low`
    record Gather(int number, long low, long high, long below, long left) implements Pass {}

    /// The two middle numbers were in two buckets, so they are the largest number up to `end`, which is the last of
    /// the lower one's bucket, and the smallest beyond.
    ///
    /// @param below how many numbers of the source are not beyond `end`
    record Part(int number, long end, long below) implements Pass {}

    /// A pass has read `done` of the source's numbers.
    default void reading(int pass, long done) {}

    /// A pass is over.
    default void passed(Pass pass) {}
}
