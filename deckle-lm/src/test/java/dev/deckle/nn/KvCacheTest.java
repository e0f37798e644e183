package dev.deckle.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class KvCacheTest {
    private static final int LAYERS = 2;
    private static final int G = 2;
    private static final int D = 6;
    private static final int E = 10; // values are of another width, as in latent attention
    private static final int CAPACITY = 70;

    private static KvCache paged(int rows) {
        return new PagedKvCache(CAPACITY, new BlockPool(rows * Math.ceilDiv(CAPACITY, 4), 4));
    }

    /// (B, G, T, width) that lies in memory as (B, T, G, width), as a projection leaves it.
    private static Tensor fresh(Generator random, int b, int t, int width) {
        return random.randn(b, t, G, width).transpose(1, 2);
    }

    /// What a cache should hold, kept the plainest way: for each layer all keys and values, joined anew each time.
    private static final class Plain {
        private final List<KvCache.KeysValues> layers = new ArrayList<>();

        KvCache.KeysValues append(int layer, Tensor keys, Tensor values) {
            if (layer == layers.size()) {
                layers.add(new KvCache.KeysValues(keys, values));
            } else {
                KvCache.KeysValues old = layers.get(layer);
                layers.set(layer, new KvCache.KeysValues(Functional.concat(List.of(old.keys(), keys), 2),
                        Functional.concat(List.of(old.values(), values), 2)));
            }
            return layers.get(layer);
        }

        void truncate(int length) {
            layers.replaceAll(l -> new KvCache.KeysValues(l.keys().slice(2, 0, length),
                    l.values().slice(2, 0, length)));
        }

        void reorder(int... rows) {
            layers.replaceAll(l -> new KvCache.KeysValues(rows(l.keys(), rows), rows(l.values(), rows)));
        }

        private static Tensor rows(Tensor x, int... rows) {
            return Functional.concat(Arrays.stream(rows).mapToObj(r -> x.slice(0, r, r + 1)).toList(), 0);
        }
    }

    private static void same(KvCache.KeysValues expected, KvCache.KeysValues actual) {
        assertEquals(expected.keys().shape(), actual.keys().shape());
        assertEquals(expected.values().shape(), actual.values().shape());
        assertArrayEquals(expected.keys().toFloats(), actual.keys().toFloats());
        assertArrayEquals(expected.values().toFloats(), actual.values().toFloats());
    }

    /// Pieces of all sizes, truncations and rows in another order and number, at random: both caches give what was put
    /// in, and attention over blocks has the bits of attention over one buffer.
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void bothHoldWhatWasPutIn(long seed) {
        Random choice = new Random(seed);
        Generator random = new Generator(seed);
        try (KvCache contiguous = new ContiguousKvCache(CAPACITY); KvCache paged = paged(5)) {
            Plain plain = new Plain();
            int b = 3;
            int reordered = 0;
            for (int step = 0; step < 60; step++) {
                int length = paged.length();
                int what = length == 0 ? 9 : choice.nextInt(10);
                if (what == 0) {
                    int keep = Math.max(1, length - choice.nextInt(9));
                    plain.truncate(keep);
                    contiguous.truncate(keep);
                    paged.truncate(keep);
                } else if (what <= 3) {
                    int from = b;
                    b = 1 + choice.nextInt(5);
                    int[] rows = choice.ints(b, 0, from).toArray();
                    plain.reorder(rows);
                    contiguous.reorder(rows);
                    paged.reorder(rows);
                    reordered++;
                } else {
                    int t = Math.min(1 + choice.nextInt(choice.nextInt(4) == 0 ? 17 : 3), CAPACITY - length);
                    for (int layer = 0; layer < LAYERS && t > 0; layer++) {
                        Tensor k = fresh(random, b, t, D);
                        Tensor v = fresh(random, b, t, E);
                        KvCache.KeysValues expected = plain.append(layer, k, v);
                        KvCache.KeysValues one = contiguous.append(layer, k, v);
                        KvCache.KeysValues blocks = paged.append(layer, k, v);
                        same(expected, one);
                        same(expected, blocks);
                        Tensor q = random.randn(b, 6, t, D);
                        assertArrayEquals(attention(q, one).toFloats(), attention(q, blocks).toFloats());
                    }
                    contiguous.advance(t);
                    paged.advance(t);
                }
                assertEquals(contiguous.length(), paged.length());
            }
            assertTrue(reordered > 5);
        }
    }

    /// Layers with windows of odd sizes, one without, fed pieces of all sizes, cut back to before the last of them and
    /// with rows in another order: attention is as over everything.
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void aWindowIsAllThatIsKept(long seed) {
        Random choice = new Random(seed);
        Generator random = new Generator(seed);
        List<Integer> windows = List.of(1, 7, 0, 16);
        try (KvCache cache = new ContiguousKvCache(1200, windows)) {
            List<Tensor> keys = new ArrayList<>();
            List<Tensor> values = new ArrayList<>();
            for (int layer = 0; layer < windows.size(); layer++) {
                keys.add(fresh(random, 2, 1200, D));
                values.add(fresh(random, 2, 1200, E));
            }
            int before = 0;
            while (cache.length() < 1180) {
                int from = cache.length();
                int t = 1 + choice.nextInt(choice.nextInt(9) == 0 ? 20 : 2);
                for (int layer = 0; layer < windows.size(); layer++) {
                    Tensor q = random.randn(2, 6, t, D);
                    var how = new ScaledDotProductAttention(0.4, true, windows.get(layer), 0, new Dropout(0));
                    Tensor expected = how.forward(q, keys.get(layer).slice(2, 0, from + t),
                            values.get(layer).slice(2, 0, from + t), Optional.empty(), Pass.evaluate());
                    Tensor actual = cache.attend(layer, q, keys.get(layer).slice(2, from, from + t),
                            values.get(layer).slice(2, from, from + t), how, Pass.decode(cache));
                    assertArrayEquals(expected.toFloats(), actual.toFloats(), 1e-5f);
                }
                cache.advance(t);
                if (choice.nextInt(6) == 0) {
                    cache.truncate(before > 0 ? from : cache.length());
                }
                if (choice.nextInt(20) == 0) {
                    cache.reorder(1, 0);
                    keys.replaceAll(k -> Plain.rows(k, 1, 0));
                    values.replaceAll(v -> Plain.rows(v, 1, 0));
                }
                before = from;
            }
            String m = assertThrows(IllegalStateException.class, () -> cache.truncate(100)).getMessage();
            assertTrue(m.startsWith("the cache cannot be cut from " + cache.length()
                    + " to 100 positions: layer 0 with a window of 1 would need position 100 again"), m);
            cache.truncate(before);
        }
    }

    @Test
    void windowsBoundTheMemory() {
        Generator random = new Generator(1);
        try (KvCache cache = KvCache.Kind.CONTIGUOUS.open(1000, 1, List.of(7, 64))) {
            long bytes = 0;
            while (cache.length() < 1000) {
                for (int layer = 0; layer < 2; layer++) {
                    KvCache.KeysValues all = cache.append(layer, fresh(random, 1, 1, D), fresh(random, 1, 1, E));
                    assertEquals(Math.min(cache.length() + 1, layer == 0 ? 7 : 64), all.keys().dim(2));
                }
                cache.advance(1);
                bytes = cache.length() == 100 ? cache.bytes() : bytes;
            }
            assertEquals(bytes, cache.bytes());
            assertTrue(bytes < G * (D + E) * 4 * 2 * (7 + 64 + 32), bytes + " bytes for two windows");
        }
    }

    /// Rows that begin at different places, as they would be alone, through both caches, read in place and gathered.
    @ParameterizedTest
    @EnumSource(KvCache.Kind.class)
    void paddingIsNotThere(KvCache.Kind kind) {
        Generator random = new Generator(1);
        int[] padding = {0, 64, 65, 3, 77};
        try (KvCache cache = kind.open(140, 5)) {
            cache.pad(padding);
            Tensor k = fresh(random, 5, 140, D);
            Tensor v = fresh(random, 5, 140, E);
            int from = 0;
            int[] rows = {0, 1, 2, 3, 4};
            for (int to : new int[] {66, 78, 79, 110, 140}) {
                int t = to - from;
                Pass pass = Pass.decode(cache);
                Tensor q = random.randn(rows.length, 4, t, D);
                var how = new ScaledDotProductAttention(0.4, true, 33, 0, new Dropout(0));
                Tensor news = k.slice(2, from, to);
                Tensor newValues = v.slice(2, from, to);
                Tensor y = cache.attend(0, q, news, newValues, how, pass);
                KvCache.KeysValues all = cache.append(0, news, newValues); // the same once more, not advanced
                Tensor gathered = how.forward(q, all.keys(), all.values(), pass.mask(t, to), pass);
                for (int r = 0; r < rows.length; r++) {
                    int p = Math.min(padding[rows[r]], to);
                    int first = Math.max(0, p - from); // the first query that is there
                    if (first < t) {
                        Tensor alone = how.forward(q.slice(0, r, r + 1).slice(2, first, t),
                                k.slice(0, r, r + 1).slice(2, p, to), v.slice(0, r, r + 1).slice(2, p, to),
                                Optional.empty(), Pass.evaluate());
                        assertArrayEquals(alone.toFloats(), there(y, r, first), 1e-5f);
                        assertArrayEquals(alone.toFloats(), there(gathered, r, first), 1e-5f);
                    }
                    assertEquals(Math.max(0, to - 1 - p), pass.positions(t).orElseThrow().toLongs()[r * t + t - 1]);
                }
                cache.advance(t);
                if (to == 79) {
                    rows = new int[] {4, 2, 0};
                    cache.reorder(rows);
                    k = Plain.rows(k, rows);
                    v = Plain.rows(v, rows);
                    assertArrayEquals(new int[] {77, 65, 0}, cache.padding());
                }
                from = to;
            }
        }
    }

    private static float[] there(Tensor y, int row, int first) {
        return y.slice(0, row, row + 1).slice(2, first, y.dim(2)).toFloats();
    }

    @Test
    void paddingComesFirst() {
        Generator random = new Generator(1);
        try (KvCache cache = new ContiguousKvCache(9)) {
            cache.pad(0, 0);
            assertEquals(0, cache.padding().length);
            assertTrue(Pass.decode(cache).mask(1, 1).isEmpty() && Pass.decode(cache).positions(3).isEmpty());
            assertThrows(IndexOutOfBoundsException.class, () -> cache.pad(9, 1));
            cache.pad(2, 0);
            assertThrows(IllegalArgumentException.class,
                    () -> cache.append(0, fresh(random, 3, 1, D), fresh(random, 3, 1, E)));
        }
        try (KvCache cache = new ContiguousKvCache(9)) {
            cache.append(0, fresh(random, 2, 4, D), fresh(random, 2, 4, E));
            cache.advance(4);
            assertThrows(IllegalStateException.class, () -> cache.pad(1, 0));
        }
    }

    /// 200 sequences of lengths from 1 to 2048: what their blocks hold beyond them.
    @Test
    void littleIsWasted() {
        Random random = new Random(1);
        BlockPool pool = new BlockPool(200 * 2048 / PagedKvCache.BLOCK_SIZE, PagedKvCache.BLOCK_SIZE);
        long positions = 0;
        for (int i = 0; i < 200; i++) {
            int length = 1 + random.nextInt(2048);
            new BlockTable(pool).write(0, length);
            positions += length;
        }
        double wasted = 1 - (double) positions / ((long) pool.used() * pool.blockSize());
        assertTrue(wasted < 0.04, wasted + " is wasted");
        assertTrue(wasted > 0.01, wasted + " is too good to be true");
    }

    private static int[] ids(int from, int n) {
        return IntStream.range(from, from + n).toArray();
    }

    /// Whole blocks only, never the last token, and of several rows what all of them have.
    @Test
    void aMemoryKnowsWhatItHasSeen() {
        Generator random = new Generator(1);
        try (PagedMemory memory = new PagedMemory(new BlockPool(10, 4))) {
            Tensor k = fresh(random, 1, 10, D);
            Tensor v = fresh(random, 1, 10, E);
            try (KvCache first = new PagedKvCache(20, memory)) {
                assertEquals(0, first.reuse(List.of(ids(0, 10))));
                first.append(0, k, v);
                first.advance(10);
                first.remember(0, ids(0, 10));
            }
            assertEquals(2, memory.pool().used(), "two whole blocks; the third was nobody's after the end");
            for (int[] expected : new int[][] {{10, 8}, {9, 8}, {8, 7}, {5, 4}, {4, 3}, {3, 0}}) {
                try (KvCache again = new PagedKvCache(20, memory)) {
                    assertEquals(expected[1], again.reuse(List.of(ids(0, expected[0]))));
                }
            }
            try (KvCache other = new PagedKvCache(20, memory)) {
                assertEquals(0, other.reuse(List.of(ids(4, 9))), "the same tokens at another place");
            }
            try (KvCache both = new PagedKvCache(20, memory)) {
                both.pad(0, 5);
                assertEquals(8, both.reuse(List.of(ids(0, 13), ids(0, 8))), "8 of one, 5 + 7 of the other");
                assertEquals(8, both.length());
                Tensor k2 = fresh(random, 2, 5, D);
                Tensor v2 = fresh(random, 2, 5, E);
                KvCache.KeysValues all = both.append(0, k2, v2);
                assertArrayEquals(k.slice(2, 0, 8).toFloats(), all.keys().slice(0, 0, 1).slice(2, 0, 8).toFloats());
                assertArrayEquals(v.slice(2, 0, 3).toFloats(), all.values().slice(0, 1, 2).slice(2, 5, 8).toFloats());
                assertArrayEquals(k2.slice(0, 1, 2).toFloats(), all.keys().slice(0, 1, 2).slice(2, 8, 13).toFloats());
            }
            assertEquals(2, memory.pool().used());
            try (KvCache wrong = new PagedKvCache(20, memory)) {
                String m = assertThrows(IllegalArgumentException.class,
                        () -> wrong.append(0, fresh(random, 1, 1, D + 2), fresh(random, 1, 1, E))).getMessage();
                assertTrue(m.contains("is it another model's?"), m);
            }
        }
    }

    /// Nobody's blocks are given up for those who need them, the least recently used first and ends before beginnings.
    @Test
    void whatWasUsedLongestAgoIsForgottenFirst() {
        Generator random = new Generator(1);
        try (PagedMemory memory = new PagedMemory(new BlockPool(6, 4))) {
            for (int start : new int[] {0, 100}) {
                try (KvCache cache = new PagedKvCache(20, memory)) {
                    cache.append(0, fresh(random, 1, 12, D), fresh(random, 1, 12, E));
                    cache.advance(12);
                    cache.remember(0, ids(start, 12));
                }
            }
            assertEquals(6, memory.pool().used());
            try (KvCache again = new PagedKvCache(20, memory)) {
                assertEquals(11, again.reuse(List.of(ids(0, 12)))); // now the other is the oldest
            }
            try (KvCache needs = new PagedKvCache(20, memory)) {
                needs.append(0, fresh(random, 1, 8, D), fresh(random, 1, 8, E));
            }
            try (KvCache kept = new PagedKvCache(20, memory)) {
                assertEquals(11, kept.reuse(List.of(ids(0, 12))));
            }
            try (KvCache left = new PagedKvCache(20, memory)) {
                assertEquals(4, left.reuse(List.of(ids(100, 12))), "its beginning is what is left of it");
            }
            try (KvCache large = new PagedKvCache(40, memory)) {
                assertThrows(IllegalStateException.class,
                        () -> large.append(0, fresh(random, 1, 25, D), fresh(random, 1, 25, E)));
                large.append(0, fresh(random, 1, 24, D), fresh(random, 1, 24, E));
            }
        }
    }

    private static Tensor attention(Tensor q, KvCache.KeysValues all) {
        return Functional.attention(q, all.keys(), all.values(), Optional.empty(), true, 0.4);
    }

    /// A step that failed half way is repeated.
    @ParameterizedTest
    @EnumSource(KvCache.Kind.class)
    void whatWasNotAdvancedIsOverwritten(KvCache.Kind kind) {
        Generator random = new Generator(1);
        try (KvCache cache = kind.open(40, 3)) {
            Tensor k = fresh(random, 3, 18, D);
            Tensor v = fresh(random, 3, 18, E);
            cache.append(0, k, v);
            cache.advance(18);
            cache.append(0, fresh(random, 3, 20, D), fresh(random, 3, 20, E)); // another block
            Tensor k2 = fresh(random, 3, 2, D);
            Tensor v2 = fresh(random, 3, 2, E);
            same(new KvCache.KeysValues(Functional.concat(List.of(k, k2), 2), Functional.concat(List.of(v, v2), 2)),
                    cache.append(0, k2, v2));
        }
    }

    @ParameterizedTest
    @EnumSource(KvCache.Kind.class)
    void whatDoesNotFitIsRefused(KvCache.Kind kind) {
        Generator random = new Generator(1);
        try (KvCache cache = kind.open(20, 2)) {
            assertThrows(IndexOutOfBoundsException.class, () -> cache.reorder(0));
            cache.append(0, fresh(random, 2, 19, D), fresh(random, 2, 19, E));
            cache.advance(19);
            String full = assertThrows(IllegalStateException.class,
                    () -> cache.append(0, fresh(random, 2, 2, D), fresh(random, 2, 2, E))).getMessage();
            assertEquals("the cache holds 20 positions and 19 are taken: there is no room for 2 more", full);
            String other = assertThrows(IllegalArgumentException.class,
                    () -> cache.append(0, fresh(random, 3, 1, D), fresh(random, 3, 1, E))).getMessage();
            assertEquals("the cache holds 2 sequences, keys (3, 2, 1, 6) are of 3", other);
            assertThrows(IndexOutOfBoundsException.class, () -> cache.reorder(1, 2));
            assertThrows(IndexOutOfBoundsException.class, () -> cache.reorder(-1));
            cache.append(0, fresh(random, 2, 1, D), fresh(random, 2, 1, E));
        }
    }

    /// A prompt of 37 positions for 5 rows is kept once; each row then needs one block of its own.
    @Test
    void rowsShareAPromptsBlocks() {
        Generator random = new Generator(1);
        try (PagedKvCache cache = new PagedKvCache(64, new BlockPool(20, 16))) {
            cache.append(0, fresh(random, 1, 37, D), fresh(random, 1, 37, E));
            cache.advance(37);
            cache.reorder(0, 0, 0, 0, 0);
            assertEquals(3, cache.pool().used());
            assertEquals(5, cache.pool().references(0));
            cache.append(0, fresh(random, 5, 1, D), fresh(random, 5, 1, E));
            cache.advance(1);
            assertEquals(2 + 5, cache.pool().used(), "two full blocks for all, the third of each its own");
            cache.reorder(3, 3, 3, 3, 3);
            assertEquals(3, cache.pool().used());
            cache.truncate(32);
            assertEquals(2, cache.pool().used());
        }
    }

    @Test
    void promptsThatBeginAlikeShareBlocks() {
        Generator random = new Generator(1);
        Tensor k = fresh(random, 2, 21, D);
        Tensor v = fresh(random, 2, 21, E);
        BlockPool pool = new BlockPool(20, 4);
        try (PagedKvCache first = new PagedKvCache(64, pool)) {
            first.append(0, k, v);
            first.advance(21);
            try (PagedKvCache second = first.fork(10)) { // two full blocks and half of the third
                assertEquals(10, second.length());
                assertEquals(12, pool.used());
                Tensor k2 = fresh(random, 2, 3, D);
                Tensor v2 = fresh(random, 2, 3, E);
                same(new KvCache.KeysValues(Functional.concat(List.of(k.slice(2, 0, 10), k2), 2),
                        Functional.concat(List.of(v.slice(2, 0, 10), v2), 2)), second.append(0, k2, v2));
                assertEquals(12 + 4, pool.used(), "a copy of the third and a fourth for each row");
            }
            assertEquals(12, pool.used());
            Tensor k3 = fresh(random, 2, 1, D);
            Tensor v3 = fresh(random, 2, 1, E);
            same(new KvCache.KeysValues(Functional.concat(List.of(k, k3), 2), Functional.concat(List.of(v, v3), 2)),
                    first.append(0, k3, v3));
        }
        assertEquals(0, pool.used());
    }

    @Test
    void anExhaustedPoolIsToldInALine() {
        Generator random = new Generator(1);
        try (KvCache cache = new PagedKvCache(64, new BlockPool(3, 4))) {
            String m = assertThrows(IllegalStateException.class,
                    () -> cache.append(0, fresh(random, 1, 13, D), fresh(random, 1, 13, E))).getMessage();
            assertTrue(m.startsWith("the block pool is exhausted: 4 more of its 3 blocks"), m);
        }
    }

    /// Reordering at every step, as beam search does, takes no more memory than appending.
    @ParameterizedTest
    @EnumSource(KvCache.Kind.class)
    void memoryIsBoundedAndGivenBack(KvCache.Kind kind) {
        Generator random = new Generator(1);
        long before = ModelMemory.allocatedBytes();
        try (KvCache cache = kind.open(300, 3)) {
            for (int i = 0; i < 300; i++) {
                try (Workspace _ = Workspace.open()) {
                    cache.append(0, fresh(random, 3, 1, D), fresh(random, 3, 1, E));
                    cache.advance(1);
                    cache.reorder(i % 3, (i + 1) % 3, (i + 1) % 3);
                }
            }
            long most = 3L * 4 * 3 * 300 * G * (D + E); // twice for doubling, and some for the copies of beams
            assertTrue(ModelMemory.allocatedBytes() - before < most, "" + (ModelMemory.allocatedBytes() - before));
        }
        assertEquals(before, ModelMemory.allocatedBytes());
    }

    @ParameterizedTest
    @EnumSource
    void rowsComeAndGoInTheSameMemory(KvCache.Kind kind) {
        Generator random = new Generator(1);
        try (KvCache cache = kind.open(64, 3); Workspace _ = Workspace.open()) {
            Tensor one = fresh(random, 1, 5, D);
            cache.append(0, one, fresh(random, 1, 5, E));
            cache.advance(5);
            cache.reorder(0, 0, 0);
            long before = ModelMemory.allocatedBytes();
            for (int i = 0; i < 50; i++) {
                cache.reorder(2);
                cache.reorder(0, 0, 0);
            }
            assertEquals(before, ModelMemory.allocatedBytes());
            KvCache.KeysValues all = cache.append(0, fresh(random, 3, 0, D), fresh(random, 3, 0, E));
            assertArrayEquals(one.toFloats(), all.keys().slice(0, 1, 2).toFloats());
            assertThrows(IllegalArgumentException.class, () -> cache.truncate(-3));
        }
    }

    @ParameterizedTest
    @EnumSource
    void refusesWhatItWouldCutGradientsOf(KvCache.Kind kind) {
        try (KvCache cache = kind.open(8, 1)) {
            Tensor keys = Tensor.zeros(1, G, 1, D).requireGrad();
            assertThrows(IllegalStateException.class, () -> cache.append(0, keys, Tensor.zeros(1, G, 1, E)));
        }
    }
}
