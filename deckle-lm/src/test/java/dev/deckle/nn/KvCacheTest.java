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
