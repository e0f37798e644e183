package dev.deckle.distributed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(300)
class ThreadRanksTest {
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 7})
    void everyVerbIsItsDefinition(int ranks) {
        ThreadRanks.run(ranks, c -> new CollectiveChecks(c).verbs());
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void everyBackendGivesTheSame(int ranks) {
        Door.only("scalar").during(() -> {
            ThreadRanks.run(ranks, c -> {
                assertEquals("scalar", Door.current().backends().getFirst().name());
                new CollectiveChecks(c).inFlight();
            });
            return null;
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 7})
    void worksInFlight(int ranks) {
        ThreadRanks.run(ranks, c -> new CollectiveChecks(c).inFlight());
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 7})
    void ranksThatAreLate(int ranks) {
        ThreadRanks.run(ranks, c -> new CollectiveChecks(c).delays());
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 7})
    void counts(int ranks) {
        ThreadRanks.run(ranks, c -> new CollectiveChecks(c).counts());
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 7})
    void theFailureThatCameFirstIsThrown(int ranks) {
        for (int failing = 0; failing < ranks; failing++) {
            int f = failing;
            AtomicInteger told = new AtomicInteger();
            var e = assertThrows(IllegalArgumentException.class, () -> ThreadRanks.run(ranks, c -> {
                try {
                    new CollectiveChecks(c).failing(f);
                } catch (RankFailure failure) {
                    told.incrementAndGet();
                    throw failure;
                }
            }));
            assertEquals("the tape tore", e.getMessage());
            assertEquals(ranks - 1, told.get());
        }
    }

    @Test
    void aWrappedConsequenceIsStillOne() {
        var e = assertThrows(IllegalArgumentException.class, () -> ThreadRanks.run(3, c -> {
            try {
                new CollectiveChecks(c).failing(2);
            } catch (RankFailure failure) {
                throw new IllegalStateException("step 3 failed", failure);
            }
        }));
        assertEquals("the tape tore", e.getMessage());
    }

    @Test
    void whatNoRankExpectsIsThrownToo() {
        assertThrows(StackOverflowError.class, () -> ThreadRanks.run(2, c -> {
            if (c.rank() == 1) {
                throw new StackOverflowError();
            }
            c.barrier().await();
        }));
    }

    @Test
    void aRankThatEndsEarlyIsNamed() {
        var e = assertThrows(RankFailure.class, () -> ThreadRanks.run(3, c -> {
            if (c.rank() != 1) {
                c.barrier().await();
            }
        }));
        assertEquals(1, e.rank());
        assertTrue(e.getMessage().startsWith("rank 1 ended: it closed its communicator"), e.getMessage());
    }

    @Test
    void ranksThatAskForDifferentThings() {
        var e = assertThrows(RankFailure.class, () -> ThreadRanks.run(2, c -> {
            try {
                c.allReduce(Tensor.zeros(3 + c.rank())).await();
            } catch (IllegalStateException different) {
                assertEquals("the ranks do not ask for the same: rank 0 for all_reduce of 3 F32, rank 1 for "
                        + "all_reduce of 4 F32", different.getMessage());
                throw new RankFailure(9, different.getMessage());
            }
        }));
        assertEquals(9, e.rank());
    }

    @Test
    void eachRankHasAThreadAndATeamOfItsOwn() throws InterruptedException {
        Team shared = Team.shared();
        Set<Team> teams = ConcurrentHashMap.newKeySet();
        Set<String> names = ConcurrentHashMap.newKeySet();
        ThreadRanks.run(3, c -> {
            teams.add(Team.shared());
            names.add(Thread.currentThread().getName() + " of " + c.worldSize());
            assertNotSame(shared, Team.shared());
            assertEquals(Math.max(1, shared.threads() / 3), Team.shared().threads());
        });
        assertEquals(3, teams.size());
        assertEquals(Set.of("deckle-rank-0 of 3", "deckle-rank-1 of 3", "deckle-rank-2 of 3"), names);
        for (Thread t : Thread.getAllStackTraces().keySet()) {
            if (t.getName().startsWith("deckle-rank-")) {
                t.join(); // it has been told to end: else the test runs out of time here
            }
        }
    }

    @Test
    void oneRankIsNoThread() {
        Thread caller = Thread.currentThread();
        Team shared = Team.shared();
        ThreadRanks.run(1, c -> {
            assertSame(caller, Thread.currentThread());
            assertSame(shared, Team.shared());
            Tensor x = Tensor.of(new float[] {1, -0f, 3});
            Work w = c.allReduce(x);
            assertTrue(w.isDone());
            w.await();
            assertEquals("[1.0, -0.0, 3.0]", Arrays.toString(x.toFloats()));
            assertEquals(new Traffic.Count(0, 0, 0), c.traffic().total());
            assertThrows(IllegalArgumentException.class, () -> c.broadcast(x, 1));
            assertThrows(IllegalArgumentException.class, () -> c.allReduce(Tensor.zeros(2, 2)));
            c.abort("enough");
            var e = assertThrows(RankFailure.class, c::barrier);
            assertEquals("rank 0 ended: enough", e.getMessage());
        });
        assertThrows(IllegalArgumentException.class, () -> ThreadRanks.run(0, _ -> {}));
    }

    @Test
    void aFailureOfTheOnlyRankIsItsOwn() {
        var thrown = new IllegalArgumentException("no");
        assertSame(thrown, assertThrows(IllegalArgumentException.class, () -> ThreadRanks.run(1, _ -> {
            throw thrown;
        })));
    }

    @Test
    void whatIsNoBufferIsRefusedWithoutHarm() {
        ThreadRanks.run(2, c -> {
            assertSays("all_reduce takes a tensor of one dimension, not of shape (2, 3): reshape it to (6)", () -> c
                    .allReduce(Tensor.zeros(2, 3)));
            assertSays("all_gather takes a contiguous tensor, and this one's elements are 0 apart", () -> c.allGather(
                    Tensor.zeros(1).expand(Shape.of(4))));
            assertSays("reduce_scatter sums [F64, F32, BF16, I64], not F16", () -> c.reduceScatter(Tensor.zeros(
                    DType.F16, Shape.of(3))));
            assertSays("broadcast from rank 2: there are ranks 0 to 1", () -> c.broadcast(Tensor.zeros(3), 2));
            Tensor x = Tensor.ones(3);
            c.allReduce(x).await();
            assertEquals(2, x.at(2));
            assertEquals(1, c.traffic().total().calls());
        });
    }

    private static void assertSays(String message, Runnable refused) {
        assertEquals(message, assertThrows(IllegalArgumentException.class, refused::run).getMessage());
    }

    @Test
    void aClosedOneRefuses() {
        ThreadRanks.run(2, c -> {
            Tensor x = Tensor.ones(1000);
            Work w = c.allReduce(x);
            c.close();
            assertTrue(w.isDone(), "close waits for what is in flight");
            w.await();
            assertEquals(2, x.at(999));
            var e = assertThrows(IllegalStateException.class, () -> c.allReduce(x));
            assertEquals("this communicator is closed", e.getMessage());
        });
    }

    @Test
    void anInterruptDoesNotLeaveATensorInUse() {
        CountDownLatch waiting = new CountDownLatch(1);
        Thread[] first = new Thread[1];
        ThreadRanks.run(2, c -> {
            Tensor x = Tensor.ones(10);
            if (c.rank() == 0) {
                first[0] = Thread.currentThread();
                waiting.countDown();
                Work w = c.allReduce(x);
                w.await();
                assertTrue(Thread.interrupted());
                assertEquals(2, x.at(9));
            } else {
                try {
                    waiting.await();
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
                first[0].interrupt();
                c.allReduce(x).await();
                assertFalse(Thread.interrupted());
            }
        });
    }
}
