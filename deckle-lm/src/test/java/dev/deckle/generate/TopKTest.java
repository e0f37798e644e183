package dev.deckle.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TopKTest {
    /// Against sorting, with many ties and both infinities; the heap is one after every push.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 8, 13, 31, 100, 150})
    void equalsTheFirstOfASort(int k) {
        Random random = new Random(k);
        List<TopK.Entry> all = new ArrayList<>();
        TopK top = new TopK(k);
        for (int i = 0; i < 100; i++) {
            double value = switch (random.nextInt(12)) {
                case 0 -> Double.NEGATIVE_INFINITY;
                case 1 -> Double.POSITIVE_INFINITY;
                default -> random.nextInt(20) - 10;
            };
            all.add(new TopK.Entry(i, value));
            boolean taken = top.push(value);
            List<TopK.Entry> expected = all.stream()
                    .sorted(Comparator.comparing((TopK.Entry e) -> -e.value()).thenComparing(TopK.Entry::position))
                    .limit(k)
                    .toList();
            assertEquals(expected, top.largest());
            assertEquals(expected.getLast().value(), top.least());
            assertEquals(expected.contains(all.getLast()), taken);
            assertEquals(Math.min(k, i + 1), top.size());
            List<TopK.Entry> heap = top.heap();
            for (int child = 1; child < heap.size(); child++) {
                assertTrue(heap.get((child - 1) / 2).value() <= heap.get(child).value(), heap + "");
            }
        }
    }

    @Test
    void ofEqualsTheEarlierStays() {
        TopK top = new TopK(2);
        top.pushAll(1, 1, 1, 2);
        assertEquals(List.of(new TopK.Entry(3, 2), new TopK.Entry(0, 1)), top.largest());
    }

    @Test
    void whatHasNoOrderIsRefused() {
        TopK top = new TopK(1);
        assertThrows(IllegalStateException.class, top::least);
        assertThrows(IllegalArgumentException.class, () -> top.push(Double.NaN));
        assertTrue(new TopK(1).push(3));
        TopK full = new TopK(1);
        full.push(3);
        String m = assertThrows(IllegalArgumentException.class, () -> full.push(Double.NaN)).getMessage();
        assertEquals("number 1 of the stream is NaN, which has no order", m);
        assertFalse(full.push(3));
        assertThrows(IllegalArgumentException.class, () -> new TopK(0));
    }

    @Test
    void theMostFrequentFirstAndOfEqualsTheFirstSeen() {
        List<String> stream = List.of("to", "be", "or", "not", "to", "be", "that", "is", "or", "to");
        assertEquals(List.of(new TopK.Frequency<>("to", 3), new TopK.Frequency<>("be", 2),
                new TopK.Frequency<>("or", 2), new TopK.Frequency<>("not", 1)), TopK.mostFrequent(stream, 4));
        assertEquals(List.of(), TopK.mostFrequent(List.of(), 4));
        assertEquals(6, TopK.mostFrequent(stream, 100).size());
    }
}
