package dev.deckle.data;

import static dev.deckle.data.LongSource.LONG;

import java.lang.foreign.MemorySegment;

/// Selection in place, by the bits of unsigned numbers: those with a 0 go to the front and those with a 1 to the back,
/// and the part that holds the wanted rank is divided by the next bit. As quickselect, but there is no pivot to choose
/// and so no input that makes it quadratic: at most one walk over the numbers for each bit, two altogether if the bits
/// are random.
final class RadixSelect {
    private RadixSelect() {}

    /// The number that would be at `rank`, from 0, if the first `n` were sorted. They are put in another order.
    ///
    /// @param bits how many bits the numbers have; those above are the same in all
    static long select(MemorySegment numbers, long n, long rank, int bits) {
        long from = 0;
        long to = n;
        for (int bit = bits - 1; bit >= 0; bit--) {
            long ones = divide(numbers, from, to, bit);
            if (rank < ones) {
                to = ones;
            } else {
                from = ones;
            }
        }
        return numbers.getAtIndex(LONG, rank);
    }

    /// Puts the numbers in `from, ..., to - 1` that have the bit behind those that have it not; the place of the first.
    private static long divide(MemorySegment numbers, long from, long to, int bit) {
        long zeros = from;
        long ones = to;
        while (zeros < ones) {
            long x = numbers.getAtIndex(LONG, zeros);
            if ((x >>> bit & 1) == 0) {
                zeros++;
            } else {
                ones--;
                numbers.setAtIndex(LONG, zeros, numbers.getAtIndex(LONG, ones));
                numbers.setAtIndex(LONG, ones, x);
            }
        }
        return ones;
    }
}
