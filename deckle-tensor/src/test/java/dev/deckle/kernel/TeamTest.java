package dev.deckle.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TeamTest {
    @Test
    void everyTaskRunsOnce() {
        for (int threads : new int[] {1, 2, 3, 5}) {
            Team team = new Team(threads);
            for (int tasks : new int[] {0, 1, 2, 3, 100}) {
                for (int round = 0; round < 50; round++) {
                    AtomicIntegerArray ran = new AtomicIntegerArray(tasks);
                    team.parallelFor(tasks, ran::incrementAndGet);
                    for (int i = 0; i < tasks; i++) {
                        assertEquals(1, ran.get(i));
                    }
                }
            }
        }
    }

    @Test
    void loopsInsideLoopsRunOnTheirThread() {
        Team team = new Team(3);
        AtomicIntegerArray ran = new AtomicIntegerArray(20);
        team.parallelFor(4, i -> {
            Set<Thread> seen = ConcurrentHashMap.newKeySet();
            team.parallelFor(5, j -> {
                ran.incrementAndGet(i * 5 + j);
                seen.add(Thread.currentThread());
            });
            assertEquals(Set.of(Thread.currentThread()), seen);
        });
        for (int i = 0; i < 20; i++) {
            assertEquals(1, ran.get(i));
        }
    }

    @Test
    void aFailureReachesTheCallerAndTheTeamGoesOn() {
        Team team = new Team(2);
        for (int round = 0; round < 20; round++) {
            var e = assertThrows(IllegalStateException.class, () -> team.parallelFor(50, i -> {
                if (i == 17) {
                    throw new IllegalStateException("task 17");
                }
            }));
            assertEquals("task 17", e.getMessage());
            AtomicIntegerArray ran = new AtomicIntegerArray(10);
            team.parallelFor(10, ran::incrementAndGet);
            for (int i = 0; i < 10; i++) {
                assertEquals(1, ran.get(i));
            }
        }
    }

    @Test
    void twoCallersAtOnce() throws InterruptedException {
        Team team = new Team(2);
        AtomicIntegerArray ran = new AtomicIntegerArray(2);
        Thread[] callers = new Thread[2];
        for (int c = 0; c < 2; c++) {
            int me = c;
            callers[c] = Thread.ofPlatform().start(() -> {
                for (int round = 0; round < 500; round++) {
                    team.parallelFor(7, _ -> ran.incrementAndGet(me));
                }
            });
        }
        for (Thread t : callers) {
            t.join();
        }
        assertEquals(3500, ran.get(0));
        assertEquals(3500, ran.get(1));
    }

    @Test
    void idleWorkersSleep() throws InterruptedException {
        Team team = new Team(2);
        team.parallelFor(2, _ -> {});
        Thread worker = Thread.getAllStackTraces().keySet().stream()
                .filter(t -> t.getName().equals("deckle-worker-1") && t.isAlive())
                .findFirst()
                .orElseThrow();
        for (int i = 0; i < 5_000 && worker.getState() != Thread.State.WAITING; i++) {
            Thread.sleep(1);
        }
        assertEquals(Thread.State.WAITING, worker.getState());
        AtomicIntegerArray ran = new AtomicIntegerArray(1);
        team.parallelFor(8, _ -> ran.incrementAndGet(0));
        assertTrue(ran.get(0) == 8, "and they wake up");
    }
}
