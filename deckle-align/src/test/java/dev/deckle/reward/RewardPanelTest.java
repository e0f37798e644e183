package dev.deckle.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonPrimitive;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Team;
import dev.deckle.reward.RewardFunction.Sample;
import dev.deckle.reward.RewardPanel.Verdict;
import dev.deckle.reward.RewardPanel.Weighted;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(120)
class RewardPanelTest {
    private static final double NONE = Double.NaN;
    private static final List<Sample> THREE = Samples.completions("a", "bb", "ccc");

    private record Named(String name, RewardFunction function) implements RewardFunction {
        @Override
        public double[] rewards(List<Sample> samples) {
            return function.rewards(samples);
        }
    }

    private static RewardFunction giving(double... rewards) {
        return new Named("giving", _ -> rewards);
    }

    private static RewardFunction length() {
        return new Named("length", samples -> samples.stream().mapToDouble(s -> s.completion().length()).toArray());
    }

    private static RewardPanel panel(RewardFunction... functions) {
        return new RewardPanel(Arrays.stream(functions).map(f -> new Weighted(f, 1)).toList());
    }

    @Test
    void theTotalIsTheWeightedSumOfWhatThereIs() {
        try (var panel = new RewardPanel(List.of(
                new Weighted(giving(1, 2, NONE), 0.5), new Weighted(giving(NONE, -3, NONE), -2)))) {
            Verdict v = panel.judge(THREE);
            assertArrayEquals(new double[] {0.5, 7, NONE}, v.total());
            assertEquals(List.of("giving", "giving_2"), List.copyOf(v.byFunction().keySet()));
            assertArrayEquals(new double[] {1, 2, NONE}, v.byFunction().get("giving"));
            assertArrayEquals(new double[] {NONE, -3, NONE}, v.byFunction().get("giving_2"));
            assertEquals(Map.of(), v.failures());
            assertEquals(1, v.unjudged());
            assertEquals(Map.of(), panel.firstFailures());
        }
    }

    @Test
    void aWeightOfZeroOnlyWatches() {
        try (var panel = new RewardPanel(List.of(new Weighted(giving(5, NONE, 6), 0)))) {
            assertArrayEquals(new double[] {0, NONE, 0}, panel.judge(THREE).total());
        }
    }

    @Test
    void onlyTheSampleThatItCannotBearGoesWithout() {
        RewardFunction f = new Named("picky", samples -> samples.stream().mapToDouble(s -> {
            if (s.completion().equals("bb")) {
                throw new IllegalStateException("not\nbb");
            }
            return s.completion().length();
        }).toArray());
        try (var panel = panel(f, length())) {
            Verdict v = panel.judge(THREE);
            assertArrayEquals(new double[] {1, NONE, 3}, v.byFunction().get("picky"));
            assertArrayEquals(new double[] {2, 2, 6}, v.total());
            assertEquals(Map.of("picky", 1L), v.failures());
            assertTrue(panel.firstFailures().get("picky").startsWith("IllegalStateException: not bb"),
                    panel.firstFailures().get("picky"));
        }
    }

    @Test
    void errorsAreFailuresToo() {
        List<RewardFunction> hostile = List.of(
                new Named("error", _ -> {
                    throw new NoClassDefFoundError("com/acme/Missing");
                }),
                new Named("recursive", RewardPanelTest::endlessly),
                new Named("null", _ -> null),
                new Named("short", samples -> new double[samples.size() - 1]),
                new Named("long", samples -> new double[samples.size() + 1]));
        try (var panel = panel(hostile.toArray(RewardFunction[]::new))) {
            Verdict v = panel.judge(THREE);
            assertEquals(3, v.unjudged());
            assertEquals(Map.of("error", 3L, "recursive", 3L, "null", 3L, "short", 3L, "long", 3L), v.failures());
            Map<String, String> said = panel.firstFailures();
            assertTrue(said.get("error").contains("com/acme/Missing"), said.get("error"));
            assertTrue(said.get("recursive").contains("StackOverflowError"), said.get("recursive"));
            assertEquals("null in place of rewards", said.get("null"));
            assertEquals("2 rewards for 3 samples", said.get("short"));
            assertEquals("4 rewards for 3 samples", said.get("long"));
        }
    }

    private static double[] endlessly(List<Sample> samples) {
        return endlessly(new ArrayList<>(samples));
    }

    @Test
    void infiniteIsNoReward() {
        try (var panel = panel(giving(Double.POSITIVE_INFINITY, -1e39, 2))) {
            Verdict v = panel.judge(THREE);
            assertArrayEquals(new double[] {NONE, NONE, 2}, v.total());
            assertEquals(Map.of("giving", 2L), v.failures());
            assertEquals("a reward of Infinity", panel.firstFailures().get("giving"));
        }
        try (var panel = new RewardPanel(List.of(new Weighted(giving(1e30, -1e30, 1), 1e30)))) {
            assertArrayEquals(new double[] {NONE, NONE, 1e30}, panel.judge(THREE).total());
        }
    }

    @Test
    void anEndlessLoopGivesNoRewardAndTheRestGoesOn() throws InterruptedException {
        AtomicInteger calls = new AtomicInteger();
        CountDownLatch free = new CountDownLatch(1);
        RewardFunction deaf = new Named("deaf", samples -> {
            calls.incrementAndGet();
            while (free.getCount() > 0) {
                Thread.onSpinWait(); // hears no interrupt
            }
            return new double[samples.size()];
        });
        try (var panel = new RewardPanel(List.of(new Weighted(deaf, 1), new Weighted(length(), 1)),
                Duration.ofMillis(150))) {
            for (int batch = 1; batch <= 4; batch++) {
                Verdict v = panel.judge(THREE);
                assertArrayEquals(new double[] {1, 2, 3}, v.total());
                assertEquals(Map.of("deaf", 3L), v.failures());
                assertEquals(Math.min(batch, 3), calls.get()); // no more than three left behind
            }
            assertEquals("no rewards within 150 ms", panel.firstFailures().get("deaf"));
            free.countDown();
            while (panel.judge(THREE).failures().containsKey("deaf")) {
                Thread.sleep(10); // until they have ended
            }
        }
    }

    @Test
    void whoIsInterruptedIsNotAskedAgain() {
        AtomicInteger calls = new AtomicInteger();
        RewardFunction sleeper = new Named("sleeper", _ -> {
            calls.incrementAndGet();
            try {
                Thread.sleep(Duration.ofHours(1));
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            return null;
        });
        try (var panel = new RewardPanel(List.of(new Weighted(sleeper, 1)), Duration.ofMillis(50))) {
            assertEquals(Map.of("sleeper", 3L), panel.judge(THREE).failures());
            assertEquals("no rewards within 50 ms", panel.firstFailures().get("sleeper"));
            assertEquals(1, calls.get());
        }
    }

    @Test
    void anInterruptOfTheCallerWaits() {
        try (var panel = panel(length())) {
            Thread.currentThread().interrupt();
            assertArrayEquals(new double[] {1, 2, 3}, panel.judge(THREE).total());
            assertTrue(Thread.interrupted());
        }
    }

    @Test
    void eachGetsCopies() {
        Sample given = Samples.of("p", "c", "{\"answer\": [1]}");
        RewardFunction vandal = new Named("vandal", samples -> {
            Sample s = samples.getFirst();
            s.promptIds()[0] = -1;
            s.completionIds()[0] = -1;
            s.columns().get("answer").getAsJsonArray().add(2);
            s.columns().put("more", new JsonPrimitive(1));
            return new double[1];
        });
        AtomicReference<Sample> seen = new AtomicReference<>();
        RewardFunction witness = new Named("witness", samples -> {
            seen.set(samples.getFirst());
            return new double[1];
        });
        try (var panel = panel(vandal, witness)) {
            panel.judge(List.of(given));
        }
        for (Sample s : List.of(given, seen.get())) {
            assertArrayEquals(new int[] {1, 2}, s.promptIds());
            assertArrayEquals(new int[] {3, 4, 5}, s.completionIds());
            assertEquals("{answer=[1]}", s.columns().toString());
        }
        assertNotSame(given, seen.get());
    }

    @Test
    void whatItReturnedIsItsOwn() {
        double[] mine = {1, 2, 3};
        try (var panel = panel(giving(mine))) {
            Verdict v = panel.judge(THREE);
            mine[0] = 9;
            assertArrayEquals(new double[] {1, 2, 3}, v.byFunction().get("giving"));
        }
    }

    @Test
    void itRunsOnAnotherThreadWithTheCallersKernels() {
        AtomicReference<Thread> thread = new AtomicReference<>();
        AtomicReference<Door> door = new AtomicReference<>();
        AtomicReference<Team> team = new AtomicReference<>();
        Door mine = Door.only("scalar");
        try (Team own = new Team(2); var panel = panel(new Named("watch", samples -> {
            thread.set(Thread.currentThread());
            door.set(Door.current());
            team.set(Team.shared());
            return new double[samples.size()];
        }))) {
            mine.during(() -> {
                Team.during(own, () -> panel.judge(THREE));
                return null;
            });
            assertSame(mine, door.get());
            assertSame(own, team.get());
            assertNotSame(Thread.currentThread(), thread.get());
            assertTrue(thread.get().isDaemon());
        }
    }

    @Test
    void noSamplesNoCall() {
        AtomicInteger calls = new AtomicInteger();
        try (var panel = panel(new Named("f", _ -> {
            calls.incrementAndGet();
            return null;
        }))) {
            Verdict v = panel.judge(List.of());
            assertEquals(0, v.total().length);
            assertEquals(0, v.byFunction().get("f").length);
            assertEquals(Map.of(), v.failures());
            assertEquals(0, calls.get());
        }
    }

    @Test
    void closingIsSafe() {
        AtomicInteger closed = new AtomicInteger();
        RewardFunction hanging = new RewardFunction() {
            @Override
            public double[] rewards(List<Sample> samples) {
                return new double[samples.size()];
            }

            @Override
            public void close() {
                while (true) {
                    Thread.yield();
                }
            }
        };
        RewardFunction throwing = new RewardFunction() {
            @Override
            public double[] rewards(List<Sample> samples) {
                return new double[samples.size()];
            }

            @Override
            public String name() {
                throw new IllegalStateException("no name");
            }

            @Override
            public void close() {
                closed.incrementAndGet();
                throw new IllegalStateException("no end");
            }
        };
        RewardPanel panel = panel(hanging, throwing);
        assertEquals(List.of("reward", "reward_2"), panel.names());
        panel.close();
        panel.close();
        assertEquals(1, closed.get());
        assertEquals("does not end", panel.firstFailures().get("reward"));
        assertTrue(panel.firstFailures().get("reward_2").contains("no end"), panel.firstFailures().toString());
        assertThrows(IllegalStateException.class, () -> panel.judge(THREE));
    }

    @Test
    void namesAreFitForMetrics() {
        try (var panel = panel(s -> new double[s.size()], new Named(null, _ -> null), new Named(" a\nb ", _ -> null),
                new SoftLength(3), new SoftLength(4), new SoftLength(5))) {
            assertEquals(List.of("reward", "reward_2", "a\\u000ab", "length", "length_2", "length_3"), panel.names());
        }
        RewardFunction plain = new Plain();
        assertEquals("Plain", plain.name());
    }

    private static final class Plain implements RewardFunction {
        @Override
        public double[] rewards(List<Sample> samples) {
            return new double[samples.size()];
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY})
    void weightsAreFinite(double weight) {
        assertThrows(IllegalArgumentException.class, () -> new Weighted(new Plain(), weight));
    }

    @Test
    void itNeedsFunctionsAndTime() {
        assertThrows(IllegalArgumentException.class, () -> new RewardPanel(List.of()));
        assertThrows(IllegalArgumentException.class,
                () -> new RewardPanel(List.of(new Weighted(new Plain(), 1)), Duration.ZERO));
        assertFalse(RewardPanel.TIME_LIMIT.isNegative());
    }
}
