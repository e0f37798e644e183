package dev.deckle.distributed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ShardTest {
    @Test
    void shardsCoverEverythingInOrder() {
        for (long numel : new long[] {0, 1, 15, 16, 17, 100, 257, 1_000_003, 1L << 60}) {
            for (int n : new int[] {1, 2, 3, 4, 7, 64, 1024}) {
                long at = 0;
                long least = Long.MAX_VALUE;
                long most = 0;
                for (int r = 0; r < n; r++) {
                    Shard s = Shard.of(numel, r, n);
                    assertEquals(at, s.from());
                    assertTrue(s.to() >= s.from());
                    assertTrue(s.to() % 16 == 0 || s.to() == numel, "a cut within a line");
                    at = s.to();
                    least = Math.min(least, s.size());
                    most = Math.max(most, s.size());
                }
                assertEquals(numel, at);
                assertTrue(most - least <= 31, numel + " in " + n + ": " + least + " to " + most);
            }
        }
    }

    @Test
    void fewElementsLeaveShardsEmpty() {
        assertEquals(new Shard(0, 0), Shard.of(7, 0, 3));
        assertEquals(new Shard(0, 7), Shard.of(7, 2, 3));
        assertEquals(new Shard(16, 32), Shard.of(40, 1, 3));
        assertEquals(8, Shard.of(40, 2, 3).size());
        assertThrows(IllegalArgumentException.class, () -> Shard.of(7, 3, 3));
    }
}
