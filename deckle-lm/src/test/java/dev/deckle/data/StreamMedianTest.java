package dev.deckle.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Team;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The median without sorting, against sorting.
class StreamMedianTest {
    private static final MedianListener NOBODY = new MedianListener() {};

    private static long[] generated(Distribution distribution, int n) {
        long[] values = new long[n];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment all = arena.allocate((long) n * Long.BYTES, Long.BYTES);
            new LongGenerator(5, n, distribution).read(0, all);
            for (int i = 0; i < n; i++) {
                values[i] = all.getAtIndex(LongSource.LONG, i);
            }
        }
        return values;
    }

    /// Numbers that are hard in some way or other.
    private static Map<String, long[]> samples(int n) {
        Random random = new Random(n);
        Map<String, long[]> samples = new LinkedHashMap<>();
        for (Distribution d : Distribution.values()) {
            samples.put(d.label(), generated(d, n));
        }
        samples.put("descending", LongStream.range(0, n).map(i -> 1_000 - 3 * i).toArray());
        samples.put("negative", LongStream.range(0, n).map(i -> -1 - random.nextInt(50)).toArray());
        samples.put("around zero", LongStream.range(0, n).map(i -> random.nextInt(-9, 9)).toArray());
        samples.put("powers", LongStream.range(0, n).map(i -> 1L << random.nextInt(64)).toArray());
        samples.put("ends", LongStream.range(0, n).map(i -> Long.MIN_VALUE + random.nextInt(-2, 2)).toArray());
        samples.put("one apart", LongStream.range(0, n).map(i -> i == 0 ? Long.MIN_VALUE : 77).toArray());
        samples.put("low bits", LongStream.range(0, n).map(i -> 0x7F00_0000_0000_0000L + i % 5).toArray());
        samples.put("two halves", LongStream.range(0, n).map(i -> i % 2 == 0 ? -random.nextLong(1L << 40)
                : random.nextLong(1L << 20)).toArray());
        return samples;
    }

    private static StreamMedian.Result check(String name, StreamMedian median, long memory, long... values)
            throws IOException {
        StreamMedian.Result found = median.of(LongSource.of(values), NOBODY);
        long[] sorted = values.clone();
        Arrays.sort(sorted);
        String where = name + ", " + values.length + " numbers, " + memory + " bytes, " + median.bits() + " bits";
        assertEquals(sorted[(values.length - 1) / 2], found.lower(), where);
        assertEquals(sorted[values.length / 2], found.upper(), where);
        assertEquals(values.length, found.count(), where);
        assertTrue(found.passes() >= 1 && found.passes() <= median.mostPasses(), where + ": " + found);
        assertTrue(found.memory() <= memory, where + ": " + found);
        return found;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 16, 17, 100, 101, 1_000, 1_001})
    void isWhatSortingFinds(int n) throws IOException {
        for (var sample : samples(n).entrySet()) {
            for (long memory : new long[] {24, 31, 32, 64, 100, 1_000, 5_000}) {
                check(sample.getKey(), new StreamMedian(memory, Team.serial()), memory, sample.getValue());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5, 7})
    void isTheSameForAnyNumberOfBits(int bits) throws IOException {
        for (int n : new int[] {200, 999}) {
            for (var sample : samples(n).entrySet()) {
                check(sample.getKey(), new StreamMedian(1_200, Team.serial(), bits), 1_200, sample.getValue());
            }
        }
    }

    @Test
    void isTheSameForAnyNumberOfThreads() throws IOException {
        long memory = 250_000; // for three lanes, and for fewer numbers than there are
        for (int n : new int[] {60_000, 60_001}) {
            for (var sample : samples(n).entrySet()) {
                for (int threads : new int[] {1, 2, 3}) {
                    check(sample.getKey() + ", " + threads + " threads",
                            new StreamMedian(memory, new Team(threads)), memory, sample.getValue());
                }
            }
        }
    }

    @Test
    void middlesInDifferentBuckets() throws IOException {
        for (int distance = 0; distance < 64; distance++) {
            for (long lower : new long[] {Long.MIN_VALUE, -1, 0, 12_345}) {
                long upper = lower + (1L << distance);
                if (upper < lower) {
                    continue;
                }
                long[] values = new long[100];
                Arrays.fill(values, 0, 50, lower);
                Arrays.fill(values, 50, 100, upper);
                StreamMedian.Result found = check("pairs", new StreamMedian(200, Team.serial(), 3), 200, values);
                BigDecimal sum = BigDecimal.valueOf(lower).add(BigDecimal.valueOf(upper));
                assertEquals(0, sum.compareTo(found.median().multiply(BigDecimal.TWO)), found.toString());
            }
        }
    }

    @Test
    void theMeanOfTwoIsExact() throws IOException {
        String[][] cases = {
            {"-0.5", Long.MIN_VALUE + "", Long.MAX_VALUE + ""},
            {"9223372036854775807", Long.MAX_VALUE + "", Long.MAX_VALUE + ""},
            {"9223372036854775806.5", Long.MAX_VALUE + "", Long.MAX_VALUE - 1 + ""},
            {"-9223372036854775808", Long.MIN_VALUE + "", Long.MIN_VALUE + ""},
            {"-9223372036854775807.5", Long.MIN_VALUE + 1 + "", Long.MIN_VALUE + ""},
            {"9007199254740993.5", "9007199254740993", "9007199254740994"},
            {"3", "2", "4"},
            {"20", "10", "30"},
            {"-1.5", "-1", "-2"},
            {"0", "0"},
        };
        for (String[] c : cases) {
            long[] values = Arrays.stream(c, 1, c.length).mapToLong(Long::parseLong).toArray();
            for (long memory : new long[] {24, 1_000}) {
                assertEquals(c[0], check("mean", new StreamMedian(memory, Team.serial()), memory, values).median()
                        .toString());
            }
        }
    }

    @Test
    void passesAreBounded() throws IOException {
        assertEquals(64, new StreamMedian(24, Team.serial()).mostPasses());
        assertEquals(6, new StreamMedian(64_000, Team.serial()).mostPasses());
        assertEquals(4, new StreamMedian(1_000_000, Team.serial()).mostPasses());
        assertEquals(4, new StreamMedian(32_000_000, new Team(2)).mostPasses());
        int n = 40_000;
        for (int bits = 1; bits <= 9; bits++) {
            StreamMedian median = new StreamMedian(6_000, Team.serial(), bits);
            assertEquals(Math.ceilDiv(64, bits), median.mostPasses());
            int passes = check("adversarial", median, 6_000, generated(Distribution.ADVERSARIAL, n)).passes();
            assertTrue(passes >= (64 - 4) / bits, bits + " bits: " + passes + " passes, so it is not adversarial");
        }
        StreamMedian median = new StreamMedian(6_000, Team.serial());
        assertEquals(2, check("uniform", median, 6_000, generated(Distribution.UNIFORM, n)).passes());
        assertEquals(2, check("two values", median, 6_000, generated(Distribution.TWO_VALUES, n)).passes());
        assertEquals(1, check("equal", median, 6_000, generated(Distribution.EQUAL, n)).passes());
        int fit = (int) median.capacity();
        assertEquals(1, check("fits", median, 6_000, generated(Distribution.UNIFORM, fit)).passes());
        assertEquals(2, check("does not", median, 6_000, generated(Distribution.UNIFORM, fit + 1)).passes());
    }

    @Test
    void theListenerSeesTheRangeShrink() throws IOException {
        for (var sample : samples(500).entrySet()) {
            long[] values = sample.getValue();
            List<MedianListener.Pass> passes = new ArrayList<>();
            AtomicInteger read = new AtomicInteger();
            var result = new StreamMedian(120, Team.serial(), 3).of(LongSource.of(values), new MedianListener() {
                @Override
                public void reading(int pass, long done) {
                    assertEquals(passes.size() + 1, pass);
                    read.set((int) done);
                }

                @Override
                public void passed(Pass pass) {
                    assertEquals(values.length, read.get());
                    passes.add(pass);
                    assertEquals(passes.size(), pass.number());
                    verify(sample.getKey(), pass, values);
                }
            });
            assertEquals(result.passes(), passes.size());
        }
    }

    private static void verify(String name, MedianListener.Pass pass, long[] values) {
        String where = name + ": " + pass;
        switch (pass) {
            case MedianListener.Count c -> {
                assertTrue(c.counters() <= 8, where);
                assertEquals(c.left(), Arrays.stream(values).filter(x -> x >= c.low() && x <= c.high()
                        && x - c.low() >>> c.shift() == c.bucket()).count(), where);
                assertEquals(c.below(), Arrays.stream(values).filter(x -> x < c.low() || x <= c.high()
                        && x - c.low() >>> c.shift() < c.bucket()).count(), where);
                assertTrue(c.below() <= (values.length - 1) / 2 && (values.length - 1) / 2 < c.below() + c.left(),
                        where);
            }
            case MedianListener.Gather g -> {
                assertEquals(g.left(), Arrays.stream(values).filter(x -> x >= g.low() && x <= g.high()).count(), where);
                assertEquals(g.below(), Arrays.stream(values).filter(x -> x < g.low()).count(), where);
            }
            case MedianListener.Part p -> assertEquals(p.below(),
                    Arrays.stream(values).filter(x -> x <= p.end()).count(), where);
        }
    }

    /// A source that gives other numbers from the second reading of its first number on.
    private static LongSource changing(long[] before, long[] after) {
        AtomicInteger readings = new AtomicInteger();
        return new LongSource() {
            @Override
            public String name() {
                return "numbers.bin";
            }

            @Override
            public long count() {
                return before.length;
            }

            @Override
            public void read(long first, MemorySegment into) throws IOException {
                boolean changed = first == 0 ? readings.getAndIncrement() > 0 : readings.get() > 1;
                LongSource.of(changed ? after : before).read(first, into);
            }
        };
    }

    @Test
    void aSourceThatChangesIsNoticed() {
        long[] spread = generated(Distribution.UNIFORM, 1_000);
        long[] halves = generated(Distribution.TWO_VALUES, 1_000);
        long[] close = LongStream.range(0, 1_000).map(i -> i % 2).toArray();
        long middle = Arrays.stream(spread).sorted().toArray()[499];
        long[] zeros = new long[1_000];
        long[] far = LongStream.generate(() -> Long.MAX_VALUE).limit(1_000).toArray();
        long[] near = LongStream.generate(() -> middle).limit(1_000).toArray();
        for (var change : List.of(List.of(spread, far), List.of(spread, near), List.of(halves, zeros),
                List.of(halves, far), List.of(close, spread))) {
            for (StreamMedian median : List.of(new StreamMedian(300, Team.serial(), 2),
                    new StreamMedian(5_000, Team.serial()))) {
                LongSource source = changing(change.get(0), change.get(1));
                var e = assertThrows(IOException.class, () -> median.of(source, NOBODY));
                assertEquals("numbers.bin: gave other numbers when it was read again", e.getMessage());
            }
        }
    }

    @Test
    void failuresOfTheSourceArrive() {
        IOException failure = new IOException("numbers.bin: gone");
        LongSource source = new LongSource() {
            @Override
            public String name() {
                return "numbers.bin";
            }

            @Override
            public long count() {
                return 100_000;
            }

            @Override
            public void read(long first, MemorySegment into) throws IOException {
                throw failure;
            }
        };
        for (int threads = 1; threads <= 3; threads++) {
            StreamMedian median = new StreamMedian(300_000, new Team(threads));
            assertSame(failure, assertThrows(IOException.class, () -> median.of(source, NOBODY)));
        }
    }

    @Test
    void whatCannotWorkIsRefused() {
        var tooLittle = assertThrows(IllegalArgumentException.class, () -> new StreamMedian(23, Team.serial()));
        assertEquals("a median needs at least 24 bytes of memory, not 23", tooLittle.getMessage());
        var tooMany = assertThrows(IllegalArgumentException.class, () -> new StreamMedian(600, Team.serial(), 7));
        assertEquals("600 bytes of memory hold counters for 1 to 6 bits a pass, not 7", tooMany.getMessage());
        assertEquals(6, new StreamMedian(600, Team.serial(), 6).bits());
        var none = assertThrows(IllegalArgumentException.class,
                () -> new StreamMedian(600, Team.serial()).of(LongSource.of(), NOBODY));
        assertEquals("an array: empty, and of no numbers there is no median", none.getMessage());
    }
}
