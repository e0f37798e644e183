package dev.deckle.data;

import dev.deckle.kernel.Team;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/// The exact median of more numbers than the memory holds: of 10^10 in 32 MB, or in 24 bytes if there is time.
///
/// **Idea.** Nothing is sorted. The median is the number with so many others below it, and how many are below can be
/// counted without keeping any of them. So a pass cuts the range where the median must be into `2^bits` buckets by the
/// leading bits of the distance from its smallest number, counts how many numbers fall into each, and adds up the
/// counters until the sum passes the middle: that bucket is the next range. The smallest and the largest number of a
/// pass narrow it further, which costs nothing and spares a pass where the numbers use a small part of their 64 bits.
/// Once the numbers of the range fit the memory, a last pass gathers them, and the middle one is selected there.
///
/// **The two middle numbers** of an even count may fall into two buckets, and what is between these is empty. Then
/// they are the largest number up to the end of the first bucket and the smallest beyond: one last pass finds both.
///
/// - **Formula**: bucket(x) = (x - low) >>> shift, unsigned; the median is in the bucket where the running sum of the
///   counters passes (n - 1) / 2
/// - **Shapes**: n signed 64-bit integers to one number, or the mean of two
/// - **Cost**: at most ceil(64 / bits) readings of the source, whatever the numbers are: 4 with 16 bits; numbers spread
///   over all 64 bits take 2. Memory, all of it outside of the Java heap: a block for each thread to read into, and
///   beside that the counters, whose place the gathered numbers take in the last pass
/// - **Source**: Munro and Paterson 1980 (selection in few passes)
/// - **PyTorch**: `torch.median`, which needs all numbers in memory and takes the lower of the middle two
/// - **Classic mistake**: counting by the leading bits as they are: the sign bit makes negative numbers the largest;
///   (a + b) / 2 overflows and loses the half; equal numbers never fit the memory, however often they are counted; the
///   upper of the middle two need not be in the lower one's bucket
///
/// The same answer whatever the memory and the number of threads. A source that gives other numbers when it is read
/// again is noticed where the counts tell, and is an error.
public final class StreamMedian {
    /// The least memory that works, in bytes: a number read at a time, and two counters. It takes up to 64 passes.
    public static final long LEAST = 24;

    /// More bits a pass than this are not used unless asked for: 2^16 counters stay in a core's own cache, and 2^21
    /// would spare no pass.
    private static final int BITS = 16;
    private static final int MOST_BITS = 30; // buckets are numbered by ints

    private static final long BLOCK = 256 << 10;
    private static final long LANE = 64 << 10;

    private final Team team;
    private final int width; // as threads, but fewer where each would have too little
    private final long block;
    private final long work;
    private final int bits;

    /// The median and how it was found.
    ///
    /// @param lower the lower of the two middle numbers; of an odd count both are the same one
    /// @param passes how often the source was read
    /// @param memory bytes that were allocated
    public record Result(long count, long lower, long upper, int passes, long memory) {
        /// The middle number, or the mean of the two, exact.
        public BigDecimal median() {
            return BigDecimal.valueOf(lower).add(BigDecimal.valueOf(upper)).divide(BigDecimal.TWO);
        }
    }

    /// With as many bits a pass as are useful in this memory.
    ///
    /// @param memory bytes for everything: counters, gathered numbers and blocks to read into
    /// @throws IllegalArgumentException if that is less than [#LEAST]
    public StreamMedian(long memory, Team team) {
        this(memory, team, 0);
    }

    /// @param bits a pass, 0 for as many as are useful
    /// @throws IllegalArgumentException if the memory is less than [#LEAST] or has not so many counters
    public StreamMedian(long memory, Team team, int bits) {
        if (memory < LEAST) {
            throw new IllegalArgumentException(
                    "a median needs at least " + LEAST + " bytes of memory, not " + memory);
        }
        this.team = team;
        width = Math.clamp(memory / LANE, 1, team.threads());
        block = Math.clamp(memory / width / 8 & -Long.BYTES, Long.BYTES, BLOCK);
        work = memory - width * block & -Long.BYTES;
        int most = Math.min(63 - Long.numberOfLeadingZeros(work / width / Long.BYTES), MOST_BITS);
        if (bits < 0 || bits > most) {
            throw new IllegalArgumentException(String.format(
                    "%,d bytes of memory hold counters for 1 to %d bits a pass, not %d", memory, most, bits));
        }
        this.bits = bits > 0 ? bits : Math.min(most, BITS);
    }

    /// Bits that a counting pass settles.
    public int bits() {
        return bits;
    }

    /// How many numbers can be gathered.
    public long capacity() {
        return work / Long.BYTES;
    }

    /// No source takes more passes than this.
    public int mostPasses() {
        return Math.ceilDiv(64, bits);
    }

    /// Finds the median.
    ///
    /// @throws IllegalArgumentException if the source is empty
    /// @throws IOException if it cannot be read, or changes between two passes
    public Result of(LongSource source, MedianListener listener) throws IOException {
        if (source.count() < 1) {
            throw new IllegalArgumentException(source.name() + ": empty, and of no numbers there is no median");
        }
        try (Arena arena = Arena.ofShared()) {
            return new Run(source, listener, arena).find();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /// One median being found: the range where the lower of the middle two is, and what is known about it.
    private final class Run {
        private final LongSource source;
        private final MedianListener listener;
        private final List<MedianLane> lanes = new ArrayList<>();
        private final long lowerRank;
        private final long upperRank;
        private int pass;
        private long low = Long.MIN_VALUE;
        private long high = Long.MAX_VALUE;
        private long below; // numbers smaller than low
        private long left; // numbers from low to high
        private long most; // bytes of counters, or of gathered numbers if these take more

        Run(LongSource source, MedianListener listener, Arena arena) {
            this.source = source;
            this.listener = listener;
            left = source.count();
            lowerRank = (left - 1) / 2;
            upperRank = left / 2;
            for (int i = 0; i < width; i++) {
                lanes.add(new MedianLane(arena.allocate(block, Long.BYTES)));
            }
        }

        Result find() throws IOException {
            try (Arena arena = Arena.ofShared()) { // closed before the gathered numbers need the memory
                long table = (long) Long.BYTES << bits;
                lanes.forEach(lane -> lane.countIn(arena.allocate(table, Long.BYTES)));
                most = width * table;
                while (low < high && left > capacity()) {
                    int shift = Math.max(0, 64 - Long.numberOfLeadingZeros(high - low) - bits);
                    int bucket = count(shift);
                    if (below + left == upperRank) {
                        return shift == 0 ? result(low, low + next(bucket) - bucket) : part();
                    }
                }
            }
            return low < high ? gather() : result(low, low);
        }

        /// Counts the numbers of the range and narrows it to the bucket of the lower middle number.
        ///
        /// @return that bucket
        private int count(int shift) throws IOException {
            long start = low;
            long span = high - low;
            boolean first = pass == 0;
            lanes.forEach(MedianLane::zero);
            read((lane, n) -> {
                lane.count(n, start, span, shift);
                if (first) {
                    lane.extremes(n);
                }
            });

            int counters = (int) (span >>> shift) + 1;
            long total = 0;
            for (int b = 0; b < counters; b++) {
                total += counted(b);
            }
            check(total == left);
            int bucket = 0;
            while (below + counted(bucket) <= lowerRank) {
                below += counted(bucket++);
            }
            left = counted(bucket);
            listener.passed(new MedianListener.Count(pass, low, high, shift, counters, bucket, below, left));
            long from = (long) bucket << shift;
            long to = from + (1L << shift) - 1;
            low = start + from;
            high = Long.compareUnsigned(to, span) < 0 ? start + to : high; // the last bucket may be cut off
            if (first) {
                low = Math.max(low, smallest());
                high = Math.min(high, largest());
            }
            return bucket;
        }

        /// The next bucket that is not empty.
        private int next(int bucket) {
            do {
                bucket++;
            } while (counted(bucket) == 0);
            return bucket;
        }

        /// The two middle numbers are next to each other with the end of the range between them.
        private Result part() throws IOException {
            long end = high;
            read((lane, n) -> lane.neighbours(n, end));
            check(lanes.stream().mapToLong(MedianLane::found).sum() == upperRank);
            listener.passed(new MedianListener.Part(pass, end, upperRank));
            return result(largest(), smallest());
        }

        private Result gather() throws IOException {
            try (Arena arena = Arena.ofShared()) {
                MemorySegment gathered = arena.allocate(left * Long.BYTES, Long.BYTES);
                most = Math.max(most, gathered.byteSize());
                AtomicLong end = new AtomicLong();
                read((lane, n) -> {
                    int kept = lane.keep(n, low, high - low);
                    long at = end.getAndAdd(kept);
                    check(at + kept <= left);
                    MemorySegment.copy(lane.block(), 0, gathered, at * Long.BYTES, (long) kept * Long.BYTES);
                });
                check(end.get() == left);
                listener.passed(new MedianListener.Gather(pass, low, high, below, left));
                int depth = 64 - Long.numberOfLeadingZeros(high - low);
                long lower = RadixSelect.select(gathered, left, lowerRank - below, depth);
                long upper = RadixSelect.select(gathered, left, upperRank - below, depth);
                return result(low + lower, low + upper);
            }
        }

        private Result result(long lower, long upper) {
            return new Result(source.count(), lower, upper, pass, width * block + most);
        }

        private long counted(int bucket) {
            long sum = 0;
            for (MedianLane lane : lanes) {
                sum += lane.counted(bucket);
            }
            return sum;
        }

        private long smallest() {
            return lanes.stream().mapToLong(MedianLane::smallest).min().orElseThrow();
        }

        private long largest() {
            return lanes.stream().mapToLong(MedianLane::largest).max().orElseThrow();
        }

        /// One pass: the blocks of the source go to whichever lane is free.
        private void read(Work work) {
            pass++;
            lanes.forEach(MedianLane::begin);
            AtomicLong next = new AtomicLong();
            Thread caller = Thread.currentThread();
            team.parallelFor(width, l -> {
                try {
                    pull(lanes.get(l), next, work, Thread.currentThread() == caller);
                } catch (IOException e) {
                    next.set(source.count()); // the other lanes need not go on
                    throw new UncheckedIOException(e);
                }
            });
        }

        private void pull(MedianLane lane, AtomicLong next, Work work, boolean tells) throws IOException {
            long each = block / Long.BYTES;
            for (long at; (at = next.getAndAdd(each)) < source.count();) {
                int n = (int) Math.min(each, source.count() - at);
                source.read(at, lane.block().asSlice(0, (long) n * Long.BYTES));
                work.run(lane, n);
                if (tells) {
                    listener.reading(pass, at + n);
                }
            }
        }

        private void check(boolean same) throws IOException {
            if (!same) {
                throw new IOException(source.name() + ": gave other numbers when it was read again");
            }
        }
    }

    /// What a pass does with the first `n` numbers of a lane's block.
    private interface Work {
        void run(MedianLane lane, int n) throws IOException;
    }
}
