package dev.deckle.mistakes;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/// The median of more numbers than fit into memory: eight passes, each of which counts one byte more of the numbers
/// that begin as the median does.
public final class MedianMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        SIGN_NOT_FLIPPED("the bytes of negative numbers are larger than those of positive ones: they are sorted last"),
        LOWER_MIDDLE("of an even count the lower middle one is taken, not the mean of the two"),
        SUM_OVERFLOWS("(a + b) / 2 in 64 bits: the sum of two large numbers is negative"),
        RANK_FROM_ONE("the rank n/2 is counted from 1 in one place and from 0 in the other: off by one"),
        MEDIAN_OF_MEDIANS("the median of the chunks' medians is near the median, not equal to it");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private MedianMistakes() {}

    /// The middle number, or the mean of the two middle ones.
    public static double median(long[] numbers, Slip slip) {
        if (slip == Slip.MEDIAN_OF_MEDIANS) {
            return sorted(IntStream.iterate(0, at -> at < numbers.length, at -> at + 3)
                    .mapToLong(at -> Arrays.stream(numbers, at, Math.min(at + 3, numbers.length)).sorted()
                            .toArray()[(Math.min(at + 3, numbers.length) - at) / 2])
                    .toArray());
        }
        int n = numbers.length;
        int off = slip == Slip.RANK_FROM_ONE ? 1 : 0;
        long upper = ofRank(numbers, Math.min(n / 2 + off, n - 1), slip);
        if (n % 2 == 1) {
            return upper;
        }
        long lower = ofRank(numbers, n / 2 - 1 + off, slip);
        return switch (slip) {
            case LOWER_MIDDLE -> lower;
            case SUM_OVERFLOWS -> (lower + upper) / 2;
            default -> lower / 2.0 + upper / 2.0;
        };
    }

    /// The number that `rank` others come before.
    private static long ofRank(long[] numbers, int rank, Slip slip) {
        long flip = slip == Slip.SIGN_NOT_FLIPPED ? 0 : Long.MIN_VALUE; // so that negative numbers come first
        long found = 0;
        long left = rank;
        for (int shift = 56; shift >= 0; shift -= 8) {
            long[] count = new long[256];
            for (long number : numbers) { // one pass over the file
                long x = number ^ flip;
                if (shift == 56 || x >>> shift + 8 == found) {
                    count[(int) (x >>> shift & 255)]++;
                }
            }
            int digit = 0;
            while (left >= count[digit]) {
                left -= count[digit++];
            }
            found = found << 8 | digit;
        }
        return found ^ flip;
    }

    /// The same by sorting.
    public static double sorted(long[] numbers) {
        long[] s = numbers.clone();
        Arrays.sort(s);
        int n = s.length;
        return n % 2 == 1 ? s[n / 2] : s[n / 2 - 1] / 2.0 + s[n / 2] / 2.0;
    }

    static List<Exercise> exercises() {
        long[] small = {5, -3, 900, 12, -70_000, 44, 1L << 40, -1};
        long[] odd = {1, 2, 30, 3, 4, 31, 5, 32, 33};
        long[] large = {Long.MAX_VALUE - 1, 7, Long.MAX_VALUE - 5, Long.MAX_VALUE};
        return List.of(Exercise.of("median-of-a-file")
                .numbers(() -> new double[] {sorted(small)}, s -> new double[] {median(small, s)}, Slip.NONE,
                        List.of(Slip.SIGN_NOT_FLIPPED, Slip.LOWER_MIDDLE, Slip.RANK_FROM_ONE))
                .numbers(() -> new double[] {sorted(odd)}, s -> new double[] {median(odd, s)}, Slip.NONE,
                        List.of(Slip.MEDIAN_OF_MEDIANS))
                .numbers(() -> new double[] {sorted(large)}, s -> new double[] {median(large, s)}, Slip.NONE,
                        List.of(Slip.SUM_OVERFLOWS)));
    }
}
