package dev.deckle.reward;

import com.google.gson.JsonElement;
import dev.deckle.io.Shown;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Team;
import dev.deckle.reward.RewardFunction.Sample;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;

/// Several functions with weights, called so that whatever one of them does the run goes on.
///
/// The functions run one after the other, each on a daemon thread with a time limit a batch. What throws, hangs, gives
/// the wrong number of rewards or an infinite one gives no reward, and is counted: see [Verdict]. A call that overruns
/// is interrupted and has a second to give what it has; one that does not end is left behind, and from the third such
/// on the function is not called again until one of them ends.
///
/// Nothing confines the functions: they see copies of the samples, but the process is theirs as well. A batch that took
/// longer than the limit on one machine may not on another, so only functions that keep the time keep a run
/// reproducible.
public final class RewardPanel implements AutoCloseable {
    /// The time that a function has for a batch, unless another is given.
    public static final Duration TIME_LIMIT = Duration.ofSeconds(30);
    private static final long GRACE_MILLIS = 1000;
    private static final int MOST_LEFT_BEHIND = 3;

    /// @param weight finite; 0 watches without judging
    public record Weighted(RewardFunction function, double weight) {
        public Weighted {
            if (!Double.isFinite(weight)) {
                throw new IllegalArgumentException("a reward's weight must be finite, not " + weight);
            }
        }
    }

    /// What was found.
    ///
    /// @param total the weighted sum of the rewards that there are, a sample; NaN where no function gave one
    /// @param byFunction by name, in order: one reward a sample, NaN for none
    /// @param failures by name, only of those that failed: at how many samples, by exceptions, timeouts, wrong lengths
    ///        or infinite rewards; a NaN that a function gave by itself is no failure
    public record Verdict(double[] total, Map<String, double[]> byFunction, Map<String, Long> failures) {
        /// How many samples have no reward at all, which is worth a warning.
        public int unjudged() {
            return (int) Arrays.stream(total).filter(Double::isNaN).count();
        }
    }

    private record Member(String name, RewardFunction function, double weight, List<Thread> leftBehind) {}

    private final List<Member> members = new ArrayList<>();
    private final Map<String, String> messages = Collections.synchronizedMap(new LinkedHashMap<>());
    private final Duration limit;
    private boolean closed;

    public RewardPanel(List<Weighted> functions) {
        this(functions, TIME_LIMIT);
    }

    /// @param limit the time that each function has for a batch
    public RewardPanel(List<Weighted> functions, Duration limit) {
        if (functions.isEmpty()) {
            throw new IllegalArgumentException("at least one reward is needed");
        }
        if (!limit.isPositive()) {
            throw new IllegalArgumentException("the time limit of rewards must be above 0, not " + limit);
        }
        this.limit = limit;
        Set<String> names = new HashSet<>();
        for (Weighted w : functions) {
            String name = nameOf(w.function);
            String unique = name;
            for (int i = 2; !names.add(unique); i++) {
                unique = name + "_" + i;
            }
            members.add(new Member(unique, w.function, w.weight, new ArrayList<>()));
        }
    }

    /// The functions' names as the metrics have them, in order: a name that comes twice gets `_2`.
    public List<String> names() {
        return members.stream().map(Member::name).toList();
    }

    /// How each function failed first, by name; empty while none has.
    public Map<String, String> firstFailures() {
        synchronized (messages) {
            return new LinkedHashMap<>(messages);
        }
    }

    /// Judges a batch. Never fails for what a function does; an interrupt of the caller waits until it has ended.
    public synchronized Verdict judge(List<Sample> samples) {
        if (closed) {
            throw new IllegalStateException("the rewards are closed");
        }
        double[] total = new double[samples.size()];
        Arrays.fill(total, Double.NaN);
        Map<String, double[]> byFunction = new LinkedHashMap<>();
        Map<String, Long> failures = new LinkedHashMap<>();
        for (Member m : members) {
            Outcome outcome = samples.isEmpty() ? Outcome.none(0, "") : call(m, samples);
            byFunction.put(m.name, outcome.rewards());
            if (outcome.failed() > 0) {
                failures.put(m.name, outcome.failed());
                messages.putIfAbsent(m.name, outcome.message());
            }
            for (int i = 0; i < total.length; i++) {
                double reward = outcome.rewards()[i];
                if (!Double.isNaN(reward)) {
                    total[i] = (Double.isNaN(total[i]) ? 0 : total[i]) + m.weight * reward;
                }
            }
        }
        for (int i = 0; i < total.length; i++) {
            if (Float.isInfinite((float) total[i])) { // finite rewards, but what a weight makes of them
                total[i] = Double.NaN;
            }
        }
        return new Verdict(total, byFunction, failures);
    }

    private Outcome call(Member m, List<Sample> samples) {
        m.leftBehind.removeIf(thread -> !thread.isAlive());
        if (m.leftBehind.size() >= MOST_LEFT_BEHIND) {
            return Outcome.none(samples.size(), MOST_LEFT_BEHIND + " earlier calls have not ended");
        }
        List<Sample> copies = samples.stream().map(RewardPanel::copy).toList();
        CompletableFuture<Outcome> answer = new CompletableFuture<>();
        AtomicBoolean over = new AtomicBoolean();
        Thread thread = start(m, () -> {
            try {
                answer.complete(Outcome.of(m.function, copies, over::get));
            } catch (Throwable e) { // out of memory while telling of it, for one
                answer.complete(Outcome.none(copies.size(), e.getClass().getSimpleName()));
            }
        });
        Outcome outcome = await(answer, limit.toNanos());
        if (outcome == null) {
            over.set(true);
            thread.interrupt();
            outcome = await(answer, TimeUnit.MILLISECONDS.toNanos(GRACE_MILLIS));
        }
        if (outcome == null) {
            m.leftBehind.add(thread);
            outcome = Outcome.none(copies.size(), "");
        }
        return outcome.failed() > 0 && outcome.message().isEmpty()
                ? new Outcome(outcome.rewards(), outcome.failed(), "no rewards within " + seconds(limit))
                : outcome;
    }

    /// A reward that computes with tensors does so with the caller's kernels and workers, which the caller does not use
    /// while it waits.
    private static Thread start(Member m, Runnable work) {
        Door door = Door.current();
        Team team = Team.shared();
        return Thread.ofPlatform().daemon().name("deckle-reward-" + m.name).start(() -> door.during(() -> {
            Team.during(team, work);
            return null;
        }));
    }

    /// The outcome, or null where the time is over before it comes.
    private static Outcome await(CompletableFuture<Outcome> answer, long nanos) {
        long end = System.nanoTime() + nanos;
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return answer.get(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS);
                } catch (InterruptedException _) {
                    interrupted = true; // the same rewards whether or not somebody is in a hurry
                } catch (TimeoutException _) {
                    return null;
                } catch (ExecutionException e) {
                    throw new AssertionError(e); // it is never completed by an exception
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static Sample copy(Sample s) {
        Map<String, JsonElement> columns = new LinkedHashMap<>();
        s.columns().forEach((name, value) -> columns.put(name, value.deepCopy()));
        return new Sample(s.prompt(), s.completion(), s.promptIds().clone(), s.completionIds().clone(), columns);
    }

    /// A user's name is a key of metrics: on one line, not empty.
    private static String nameOf(RewardFunction function) {
        String name;
        try {
            name = function.name();
        } catch (RuntimeException | LinkageError _) {
            name = function.getClass().getSimpleName();
        }
        return name == null || name.isBlank() ? "reward" : Shown.brief(name.strip());
    }

    static String seconds(Duration time) {
        return time.toMillis() % 1000 == 0 ? time.toSeconds() + " s" : time.toMillis() + " ms";
    }

    /// Closes the functions; one that fails or hangs at that is left alone.
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        for (Member m : members) {
            CompletableFuture<Outcome> done = new CompletableFuture<>();
            start(m, () -> {
                try {
                    m.function.close();
                    done.complete(Outcome.none(0, ""));
                } catch (Throwable e) {
                    done.complete(Outcome.none(0, "at its end, " + Outcome.said(e)));
                }
            });
            Outcome outcome = await(done, TimeUnit.MILLISECONDS.toNanos(GRACE_MILLIS));
            String message = outcome == null ? "does not end" : outcome.message();
            if (!message.isEmpty()) {
                messages.putIfAbsent(m.name, message);
            }
        }
    }
}
