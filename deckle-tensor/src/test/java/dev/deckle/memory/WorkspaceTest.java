package dev.deckle.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

@SuppressWarnings("try") // closes scopes by hand, wrongly, on purpose
class WorkspaceTest {
    @Test
    void aTensorIsReadableUntilItsStepCloses() {
        Tensor inside;
        Tensor kept;
        try (Workspace _ = Workspace.open()) {
            inside = Tensor.of(new float[] {1, 2, 3});
            kept = inside.keep();
            assertArrayEquals(new double[] {1, 2, 3}, inside.toDoubles());
        }
        var e = assertThrows(IllegalStateException.class, inside::toDoubles);
        assertTrue(e.getMessage().contains("keep()"), e.getMessage());
        assertThrows(IllegalStateException.class, () -> inside.slice(0, 0, 1).toDoubles());
        assertThrows(IllegalStateException.class, () -> inside.add(1));
        assertArrayEquals(new double[] {1, 2, 3}, kept.toDoubles());
    }

    @Test
    void scopesNest() {
        Tensor fromInner;
        try (Workspace outer = Workspace.open()) {
            Tensor a = Tensor.ones(4);
            try (Workspace inner = Workspace.open()) {
                Tensor b = a.add(1);
                fromInner = b.keep();
                assertTrue(inner.usedBytes() > 0);
                assertThrows(IllegalStateException.class, outer::close);
            }
            assertEquals(8, fromInner.sum().item());
        }
        assertThrows(IllegalStateException.class, fromInner::sum);
    }

    /// What is inside counts outside, as long as it is there.
    @Test
    void theMostAtOnceIsThatOfAllScopes() {
        try (Workspace outer = Workspace.open()) {
            Tensor.zeros(16);
            for (int i = 1; i <= 3; i++) {
                try (Workspace inner = Workspace.open()) {
                    Tensor.zeros(32);
                    Tensor.zeros(48).keep();
                    try (Workspace _ = Workspace.open()) {
                        Tensor.zeros(64);
                    }
                    assertEquals(4 * (32 + 48), inner.usedBytes());
                    assertEquals(4 * (32 + 48 + 64), inner.peakBytes());
                    assertEquals(4 * (16 + i * 48 + 32 + 48), outer.usedBytes());
                }
                assertEquals(4 * (16 + i * 48), outer.usedBytes());
                assertEquals(4 * (16 + i * 48 + 32 + 48 + 64), outer.peakBytes());
            }
        }
    }

    @Test
    void anotherThreadMayNotCloseIt() throws InterruptedException {
        try (Workspace w = Workspace.open()) {
            Throwable[] thrown = new Throwable[1];
            Thread t = Thread.ofPlatform().start(() -> {
                try {
                    w.close();
                } catch (IllegalStateException e) {
                    thrown[0] = e;
                }
            });
            t.join();
            assertTrue(thrown[0] instanceof IllegalStateException);
        }
    }

    @Test
    void laterStepsTakeNoMoreMemory() {
        step();
        long reserved = Workspace.reservedBytes();
        long mark = Workspace.highWaterMark();
        for (int i = 0; i < 200; i++) {
            step();
        }
        assertEquals(reserved, Workspace.reservedBytes());
        assertEquals(mark, Workspace.highWaterMark());
        assertTrue(mark >= 3 * 4 * 1000 * 1000);
    }

    private static void step() {
        try (Workspace _ = Workspace.open()) {
            Tensor a = Tensor.zeros(1000, 1000);
            a.add(1).mul(a);
        }
    }

    @Test
    void releasedBlocksServeAgainAndNeverOverlap() {
        SplittableRandom random = new SplittableRandom(3);
        Blocks blocks = new Blocks();
        TreeMap<Long, Long> live = new TreeMap<>(); // address to size
        for (int i = 0; i < 20_000; i++) {
            if (random.nextInt(5) < 3 || live.isEmpty()) {
                long size = 1 + random.nextInt(random.nextBoolean() ? 100 : 400_000);
                long at = blocks.allocate(size);
                assertEquals(0, at % 64);
                var below = live.floorEntry(at);
                var above = live.ceilingEntry(at);
                assertTrue(below == null || below.getKey() + below.getValue() <= at);
                assertTrue(above == null || at + size <= above.getKey());
                live.put(at, size);
            } else {
                var e = live.ceilingEntry(random.nextLong(live.firstKey(), live.lastKey() + 1));
                blocks.free(e.getKey(), e.getValue());
                live.remove(e.getKey());
            }
            assertEquals(live.values().stream().mapToLong(Blocks::align).sum(), blocks.used(), "at " + i);
            if (i % 5000 == 4999) {
                long reserved = blocks.reserved();
                live.forEach(blocks::free);
                live.clear();
                long whole = Math.min(reserved, 32 << 20); // neighbours have joined: a whole region, or chunk, is free
                blocks.free(blocks.allocate(whole), whole);
                assertEquals(reserved, blocks.reserved());
            }
        }
        long reserved = blocks.reserved();
        blocks.reset();
        blocks.allocate(Math.min(reserved, 30 << 20)); // one block again
        assertEquals(reserved, blocks.reserved());
    }

    @Test
    void aClosedModelIsNotRead() {
        ModelMemory memory = new ModelMemory();
        Tensor t = Tensor.empty(memory, DType.F32, Shape.of(3));
        assertArrayEquals(new double[3], t.toDoubles());
        long all = ModelMemory.allocatedBytes();
        memory.close();
        assertEquals(all - memory.bytes(), ModelMemory.allocatedBytes());
        var e = assertThrows(IllegalStateException.class, t::toDoubles);
        assertTrue(e.getMessage().contains("closed"), e.getMessage());
    }
}
