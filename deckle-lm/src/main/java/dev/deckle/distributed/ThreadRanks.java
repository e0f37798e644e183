package dev.deckle.distributed;

import dev.deckle.distributed.ThreadTransport.World;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Team;
import java.util.function.Consumer;
import java.util.function.IntFunction;

/// Ranks as threads of this process.
///
/// Each has a [Team] of its own, so that the ranks compute side by side: the threads of the shared one, divided by the
/// number of ranks. One rank is no thread: it runs where it is called, with the shared team.
public final class ThreadRanks {
    private ThreadRanks() {}

    /// Runs `body` once a rank and returns when all have ended. Where one fails the others get a [RankFailure] from
    /// what they wait for, and the failure that came first is thrown here, once.
    public static void run(int worldSize, Consumer<Communicator> body) {
        run(worldSize, _ -> Timeline.off(), body);
    }

    /// The same with a timeline for each rank, in which its communication is recorded.
    public static void run(int worldSize, IntFunction<Timeline> timelines, Consumer<Communicator> body) {
        if (worldSize < 1) {
            throw new IllegalArgumentException("there must be at least one rank, not " + worldSize);
        }
        if (worldSize == 1) {
            try (Communicator solo = new SoloCommunicator()) {
                body.accept(solo);
            }
            return;
        }
        World world = new World(worldSize);
        Throwable[] failures = new Throwable[worldSize];
        Thread[] threads = new Thread[worldSize];
        Door door = Door.current();
        int each = Math.max(1, Team.shared().threads() / worldSize);
        for (int rank = 0; rank < worldSize; rank++) {
            int r = rank;
            threads[r] = Thread.ofPlatform().name("deckle-rank-" + r).start(() -> door.during(() -> {
                try (Team team = new Team(each)) {
                    Team.during(team, () -> failures[r] = run(new ThreadTransport(world, r), timelines.apply(r), body));
                }
                return null;
            }));
        }
        join(threads);
        rethrow(world.failure(), failures);
    }

    /// How it failed, or null.
    private static Throwable run(Transport transport, Timeline timeline, Consumer<Communicator> body) {
        try (Communicator c = new QueuedCommunicator(transport, timeline)) {
            try {
                body.accept(c);
                return null;
            } catch (Throwable e) { // whatever it is: the others must hear of it, and the caller too
                c.abort(QueuedCommunicator.reason(e));
                return e;
            }
        }
    }

    /// An interrupt is meant for the ranks: they hear of it and decide.
    private static void join(Thread[] threads) {
        boolean interrupted = false;
        for (Thread t : threads) {
            while (t.isAlive()) {
                try {
                    t.join();
                } catch (InterruptedException _) {
                    interrupted = true;
                    for (Thread each : threads) {
                        each.interrupt();
                    }
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /// The rank that the others were told of has the failure that caused theirs.
    private static void rethrow(RankFailure told, Throwable[] failures) {
        Throwable first = told == null ? null : failures[told.rank()];
        for (int r = 0; r < failures.length && first == null; r++) {
            first = failures[r];
        }
        switch (first) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            // the body cannot declare it, but code that is generated or not in Java can throw it
            case Throwable e -> throw new IllegalStateException(QueuedCommunicator.reason(e), e);
        }
    }
}
