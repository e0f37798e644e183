package dev.deckle.data;

import static dev.deckle.data.LongSource.LONG;

import java.lang.foreign.MemorySegment;

/// What one thread holds during a pass of [StreamMedian], and the loops over a block of numbers.
///
/// A range of numbers is its smallest, `low`, and its `span`, the distance to its largest. Distances between signed
/// numbers take 64 bits, so they are unsigned, and `x` lies in the range just if `x - low`, which may wrap around, is
/// not above `span`. One comparison does, for any range and with either sign.
final class MedianLane {
    private final MemorySegment block;
    private MemorySegment counters = MemorySegment.NULL;
    private long smallest;
    private long largest;
    private long found;

    /// @param block where numbers are read to
    MedianLane(MemorySegment block) {
        this.block = block;
    }

    MemorySegment block() {
        return block;
    }

    /// @param counters a counter for each bucket
    void countIn(MemorySegment counters) {
        this.counters = counters;
    }

    void zero() {
        counters.fill((byte) 0);
    }

    long counted(int bucket) {
        return counters.getAtIndex(LONG, bucket);
    }

    /// Forgets what the last pass found, but for the counters.
    void begin() {
        smallest = Long.MAX_VALUE;
        largest = Long.MIN_VALUE;
        found = 0;
    }

    long smallest() {
        return smallest;
    }

    long largest() {
        return largest;
    }

    long found() {
        return found;
    }

    /// Counts those of the first `n` numbers that lie in the range, by buckets of `2^shift`.
    void count(int n, long low, long span, int shift) {
        for (int i = 0; i < n; i++) {
            long offset = block.getAtIndex(LONG, i) - low;
            if (Long.compareUnsigned(offset, span) <= 0) {
                long bucket = offset >>> shift;
                counters.setAtIndex(LONG, bucket, counters.getAtIndex(LONG, bucket) + 1);
            }
        }
    }

    /// Finds the smallest and the largest of the first `n` numbers. A loop of its own, because it becomes vector
    /// instructions and counting does not.
    void extremes(int n) {
        long min = smallest;
        long max = largest;
        for (int i = 0; i < n; i++) {
            long x = block.getAtIndex(LONG, i);
            min = Math.min(min, x);
            max = Math.max(max, x);
        }
        smallest = min;
        largest = max;
    }

    /// Moves those of the first `n` numbers that lie in the range to the front of the block, as distances from `low`.
    ///
    /// @return how many
    int keep(int n, long low, long span) {
        int kept = 0;
        for (int i = 0; i < n; i++) {
            long offset = block.getAtIndex(LONG, i) - low;
            if (Long.compareUnsigned(offset, span) <= 0) {
                block.setAtIndex(LONG, kept++, offset);
            }
        }
        return kept;
    }

    /// The two neighbours of a gap: the largest of the first `n` numbers up to `end`, and the smallest beyond. It also
    /// finds how many are up to `end`.
    void neighbours(int n, long end) {
        long min = smallest;
        long max = largest;
        int upTo = 0;
        for (int i = 0; i < n; i++) {
            long x = block.getAtIndex(LONG, i);
            if (x <= end) {
                max = Math.max(max, x);
                upTo++;
            } else {
                min = Math.min(min, x);
            }
        }
        smallest = min;
        largest = max;
        found += upTo;
    }
}
