package dev.deckle.data;

import java.lang.foreign.MemorySegment;

/// Random numbers that are nowhere stored: each is a function of the seed and of its place, so that any part of the
/// stream can be had again, by any thread, at the price of a few multiplications a number.
public record LongGenerator(long seed, long count, Distribution distribution) implements LongSource {
    /// What the numbers of [Distribution#ADVERSARIAL] agree with. Every second bit is set, so at each length of
    /// agreement a third or two thirds of the numbers are smaller, by turns, and the median stays beside the pattern.
    private static final long PATTERN = 0x5555555555555555L;

    public LongGenerator {
        if (count < 1 || count > Long.MAX_VALUE / Long.BYTES) {
            throw new IllegalArgumentException("a count of integers is 1 to 2^60 - 1, not " + count);
        }
    }

    @Override
    public String name() {
        return distribution.label() + " integers of seed " + seed;
    }

    @Override
    public void read(long first, MemorySegment into) {
        int n = Math.toIntExact(into.byteSize() / Long.BYTES);
        long key = Counter.mix(seed);
        switch (distribution) {
            case UNIFORM -> uniform(key + first, n, into);
            case NORMAL -> normal(key + 4 * first, n, into);
            case EQUAL -> equal(Counter.mix(key), n, into);
            case SORTED -> sorted(key, first, n, into);
            case TWO_VALUES -> twoValues(seed + first, n, into);
            case ADVERSARIAL -> adversarial(key + 2 * first, n, into);
        }
    }

    private static void uniform(long counter, int n, MemorySegment into) {
        for (int i = 0; i < n; i++) {
            into.setAtIndex(LONG, i, Counter.mix(counter + i));
        }
    }

    private static void normal(long counter, int n, MemorySegment into) {
        for (int i = 0; i < n; i++) {
            long sum = 0;
            for (int j = 0; j < 4; j++) {
                long both = Counter.mix(counter + 4L * i + j);
                sum += (both >> 32) + (int) both;
            }
            into.setAtIndex(LONG, i, sum);
        }
    }

    private static void equal(long value, int n, MemorySegment into) {
        for (int i = 0; i < n; i++) {
            into.setAtIndex(LONG, i, value);
        }
    }

    /// The range of all integers is cut into `count` steps; each holds one number, somewhere in it.
    private void sorted(long key, long first, int n, MemorySegment into) {
        long step = Long.divideUnsigned(-1, count);
        for (int i = 0; i < n; i++) {
            long at = first + i;
            long within = Math.unsignedMultiplyHigh(Counter.mix(key + at), step);
            into.setAtIndex(LONG, i, Long.MIN_VALUE + at * step + within);
        }
    }

    private static void twoValues(long counter, int n, MemorySegment into) {
        for (int i = 0; i < n; i++) {
            into.setAtIndex(LONG, i, (counter + i & 1) == 0 ? Long.MIN_VALUE : Long.MAX_VALUE);
        }
    }

    private static void adversarial(long counter, int n, MemorySegment into) {
        for (int i = 0; i < n; i++) {
            int agree = (int) Counter.mix(counter + 2L * i) & 63;
            long other = Counter.mix(counter + 2L * i + 1);
            into.setAtIndex(LONG, i, PATTERN ^ (PATTERN ^ other) & -1L >>> agree);
        }
    }
}
