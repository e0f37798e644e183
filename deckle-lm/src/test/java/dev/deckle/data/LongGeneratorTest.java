package dev.deckle.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LongGeneratorTest {
    private static final int N = 20_000;

    private static long[] read(LongGenerator generator, long first, int n) {
        long[] values = new long[n];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment all = arena.allocate((long) n * Long.BYTES, Long.BYTES);
            generator.read(first, all);
            for (int i = 0; i < n; i++) {
                values[i] = all.getAtIndex(LongSource.LONG, i);
            }
        }
        return values;
    }

    private static long[] values(long seed, Distribution distribution) {
        return read(new LongGenerator(seed, N, distribution), 0, N);
    }

    @ParameterizedTest
    @EnumSource
    void anyPartIsPartOfTheWhole(Distribution distribution) {
        LongGenerator generator = new LongGenerator(3, N, distribution);
        long[] all = values(3, distribution);
        for (int first : new int[] {0, 1, 7, 1_000, N - 10}) {
            assertArrayEquals(Arrays.copyOfRange(all, first, first + 10), read(generator, first, 10));
        }
    }

    @ParameterizedTest
    @EnumSource
    void theSeedDecides(Distribution distribution) {
        assertArrayEquals(values(3, distribution), values(3, distribution));
        assertFalse(Arrays.equals(values(3, distribution), values(4, distribution)));
    }

    @Test
    void uniformNumbersSetEachBitHalfOfTheTime() {
        long[] all = values(1, Distribution.UNIFORM);
        for (int bit = 0; bit < 64; bit++) {
            int shift = bit;
            double share = Arrays.stream(all).map(x -> x >>> shift & 1).sum() / (double) N;
            assertEquals(0.5, share, 0.02, "bit " + bit);
        }
        // what SplitMix64 gives is fixed, and so is every median that someone has written down
        assertArrayEquals(new long[] {Counter.mix(Counter.mix(1)), Counter.mix(Counter.mix(1) + 1)},
                Arrays.copyOf(all, 2));
    }

    @Test
    void normalNumbersAreABell() {
        long[] all = values(1, Distribution.NORMAL);
        double sigma = 0x1p32 * Math.sqrt(2.0 / 3);
        double mean = Arrays.stream(all).average().orElseThrow();
        double variance = Arrays.stream(all).mapToDouble(x -> (x - mean) * (x - mean)).sum() / N;
        assertEquals(0, mean / sigma, 0.03);
        assertEquals(1, Math.sqrt(variance) / sigma, 0.03);
        assertEquals(0.683, Arrays.stream(all).filter(x -> Math.abs(x) < sigma).count() / (double) N, 0.02);
        assertEquals(0.954, Arrays.stream(all).filter(x -> Math.abs(x) < 2 * sigma).count() / (double) N, 0.02);
    }

    @Test
    void equalNumbersAreOne() {
        assertEquals(1, Arrays.stream(values(9, Distribution.EQUAL)).distinct().count());
    }

    @Test
    void sortedNumbersAscendThroughAllOfTheRange() {
        for (long count : new long[] {1, 2, 3, N, 1L << 40}) {
            LongGenerator generator = new LongGenerator(2, count, Distribution.SORTED);
            int n = (int) Math.min(N, count);
            long[] head = read(generator, 0, n);
            long[] tail = read(generator, count - n, n);
            for (int i = 1; i < n; i++) {
                assertTrue(head[i - 1] < head[i] && tail[i - 1] < tail[i], count + " numbers, at " + i);
            }
            if (count >= N) {
                assertTrue(head[0] < Long.MIN_VALUE / 1_000 * 999 && tail[n - 1] > Long.MAX_VALUE / 1_000 * 999);
            }
        }
    }

    @Test
    void twoValuesTakeTurns() {
        long[] all = values(0, Distribution.TWO_VALUES);
        for (int i = 0; i < N; i++) {
            assertEquals(i % 2 == 0 ? Long.MIN_VALUE : Long.MAX_VALUE, all[i]);
        }
    }

    @Test
    void adversarialNumbersCrowdAtEveryLength() {
        long[] sorted = values(1, Distribution.ADVERSARIAL);
        Arrays.sort(sorted);
        long median = sorted[N / 2];
        for (int length = 4; length <= 60; length += 4) {
            int shift = 64 - length;
            double share = Arrays.stream(sorted).filter(x -> x >>> shift == median >>> shift).count() / (double) N;
            assertTrue(share > 0.8 * (64 - length) / 64, length + " bits in common: " + share);
        }
    }

    @Test
    void distributionsHaveNames() {
        assertEquals(List.of("uniform", "normal", "equal", "sorted", "two-values", "adversarial"),
                Distribution.labels());
        for (Distribution d : Distribution.values()) {
            assertEquals(d, Distribution.of(d.label()));
        }
        var e = assertThrows(IllegalArgumentException.class, () -> Distribution.of("bell"));
        assertTrue(e.getMessage().startsWith("no distribution bell: expected one of uniform, "), e.getMessage());
    }

    @Test
    void aCountIsPositiveAndItsBytesCanBeCounted() {
        for (long count : new long[] {Long.MIN_VALUE, -1, 0, 1L << 60, Long.MAX_VALUE}) {
            assertThrows(IllegalArgumentException.class, () -> new LongGenerator(1, count, Distribution.UNIFORM));
        }
        assertEquals((1L << 60) - 1, new LongGenerator(1, (1L << 60) - 1, Distribution.UNIFORM).count());
    }
}
