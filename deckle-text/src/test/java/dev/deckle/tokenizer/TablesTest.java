package dev.deckle.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// The two hash tables against the JDK's.
class TablesTest {
    @Test
    void spansAreNumberedAsTheyCome() {
        var random = new Random(1);
        for (int round = 0; round < 3; round++) {
            var table = new SpanTable();
            table.add(new byte[] {9}, 0, 1);
            table.clear();
            Map<String, Integer> numbers = new HashMap<>();
            for (int i = 0; i < 20_000; i++) {
                byte[] text = RandomText.bytes(random, 3);
                int expected = numbers.computeIfAbsent(latin(text), t -> numbers.size());
                assertEquals(expected, table.add(text, 0, text.length));
                assertEquals(numbers.size(), table.size());
                int start = table.start(expected);
                assertArrayEquals(text, Arrays.copyOfRange(table.array(), start, start + table.length(expected)));
                byte[] other = RandomText.bytes(random, 3);
                assertEquals(numbers.getOrDefault(latin(other), -1), table.find(other, 0, other.length));
            }
            numbers.forEach((text, number) -> assertEquals(number,
                    table.find(text.getBytes(StandardCharsets.ISO_8859_1), 0, text.length())));
        }
    }

    private static String latin(byte[] text) {
        return new String(text, StandardCharsets.ISO_8859_1);
    }

    @Test
    void pairsKeepTheirLastValue() {
        var random = new Random(2);
        var table = new PairTable(0);
        Map<Long, Long> values = new HashMap<>();
        for (int i = 0; i < 50_000; i++) {
            long pair = PairTable.pair(random.nextInt(200) - 1, random.nextInt(200) - 1);
            assertEquals(values.getOrDefault(pair, PairTable.NONE), table.get(pair));
            values.put(pair, (long) i);
            table.put(pair, i);
        }
        values.forEach((pair, value) -> assertEquals(value, table.get(pair)));
        assertEquals(-1, PairTable.left(PairTable.pair(-1, 5)));
        assertEquals(5, PairTable.right(PairTable.pair(-1, 5)));
        assertEquals(-1, PairTable.right(PairTable.pair(7, -1)));
    }
}
