package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class OrderTest {
    private static final int ROWS = 17;

    private static int[] epoch(Order order, int epoch) {
        return LongStream.range((long) epoch * ROWS, (epoch + 1L) * ROWS).mapToInt(order::row).toArray();
    }

    @Test
    void eachEpochIsAPermutationOfItsOwn() {
        Order order = new Order(ROWS, true, 3);
        int[] all = IntStream.range(0, ROWS).toArray();
        int[] before = all;
        for (int e = 0; e < 5; e++) {
            int[] now = epoch(order, e);
            int[] sorted = now.clone();
            Arrays.sort(sorted);
            assertArrayEquals(all, sorted);
            assertFalse(Arrays.equals(before, now));
            before = now;
        }
        assertFalse(Arrays.equals(epoch(order, 0), epoch(new Order(ROWS, true, 4), 0)));
    }

    /// A run that is resumed begins in the middle; and a batch may lie across two epochs, read twice.
    @Test
    void aFunctionOfThePositionAlone() {
        Order once = new Order(ROWS, true, 3);
        int[] all = LongStream.range(0, 4 * ROWS).mapToInt(once::row).toArray();
        for (long p = 4 * ROWS - 1; p >= 0; p -= 5) {
            assertEquals(all[(int) p], new Order(ROWS, true, 3).row(p));
            assertEquals(all[(int) p], once.row(p));
        }
        long far = 3_000_000_019L * ROWS; // beyond an int
        assertEquals(new Order(ROWS, true, 3).row(far + 4), once.row(far + 4));
    }

    @Test
    void asInTheFile() {
        Order order = new Order(ROWS, false, 3);
        for (int e = 0; e < 3; e++) {
            assertArrayEquals(IntStream.range(0, ROWS).toArray(), epoch(order, e));
        }
        assertEquals(4, order.row(3_000_000_019L * ROWS + 4));
        assertEquals(0, new Order(1, true, 9).row(12));
    }
}
