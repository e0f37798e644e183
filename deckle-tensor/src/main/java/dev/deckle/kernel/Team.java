package dev.deckle.kernel;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/// The worker team: the caller and `threads - 1` pooled daemons share the tasks of one loop at a time.
///
/// **Deterministic.** Callers cut work into tasks by its size, never by the thread count, and a task writes only its
/// own part of the result. Who runs which task may then differ from run to run without changing a bit.
///
/// **Sleeps when idle.** A worker that finds no loop spins for a few microseconds, because the next one is usually
/// near, and then parks. It never spins without bound: on a shared machine two spinners starve each other.
///
/// A loop started inside a task, or while another thread's loop is running, runs on its caller alone: same results, no
/// deadlock.
public final class Team implements AutoCloseable {
    /// One task of a loop. Scratch memory comes from [Scratch], which belongs to the thread.
    @FunctionalInterface
    public interface Body {
        void run(int task);
    }

    private static final long SPIN_NANOS = 30_000;
    private static final Team SERIAL = new Team(1);
    private static final ScopedValue<Team> MINE = ScopedValue.newInstance();
    private static volatile Team shared;

    private final Worker[] workers;
    private final ReentrantLock lock = new ReentrantLock();
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger running = new AtomicInteger();
    private final ThreadLocal<Boolean> inside = ThreadLocal.withInitial(() -> false);
    private volatile Body body;
    private volatile int tasks;
    private volatile int epoch;
    private volatile Throwable failure;
    private volatile boolean closed;

    /// A team of its own, mostly for tests; [#shared()] serves the library.
    public Team(int threads) {
        if (threads < 1) {
            throw new IllegalArgumentException("threads must be at least 1, not " + threads);
        }
        workers = new Worker[threads - 1];
    }

    /// One thread: the caller.
    public static Team serial() {
        return SERIAL;
    }

    /// Runs `work` on this thread with a team of its own in place of the process's: several threads that compute side
    /// by side, as the ranks of one process do, would otherwise take the one team from each other.
    public static void during(Team team, Runnable work) {
        ScopedValue.where(MINE, team).run(work);
    }

    /// The team of this thread ([#during]); else the process's, of `-Ddeckle.threads=N` or as many threads as
    /// processors.
    public static Team shared() {
        if (MINE.isBound()) {
            return MINE.get();
        }
        Team t = shared;
        if (t == null) {
            synchronized (Team.class) {
                if (shared == null) {
                    int all = Runtime.getRuntime().availableProcessors();
                    shared = new Team(Integer.getInteger("deckle.threads", all));
                }
                t = shared;
            }
        }
        return t;
    }

    /// Replaces the process's team by one of `threads`. Results do not change, only the time they take.
    public static synchronized void setThreads(int threads) {
        Team old = shared;
        shared = new Team(threads);
        if (old != null) {
            old.close();
        }
    }

    public int threads() {
        return workers.length + 1;
    }

    /// Runs `body` for each task in 0..tasks-1 and returns when all are done. No task begins before all those of lower
    /// numbers have, so that it may wait for something that they do. The first failure of a task is rethrown
    /// here after the others have ended.
    public void parallelFor(int tasks, Body body) {
        if (tasks <= 0) {
            return;
        }
        if (tasks == 1 || workers.length == 0 || inside.get() || !lock.tryLock()) {
            for (int i = 0; i < tasks; i++) {
                body.run(i);
            }
            return;
        }
        Throwable f;
        try {
            this.body = body;
            this.tasks = tasks;
            failure = null;
            next.set(0);
            running.set(workers.length);
            epoch++; // publishes all of the above
            for (int w = 0; w < workers.length; w++) {
                if (workers[w] == null) {
                    workers[w] = new Worker(w + 1, epoch - 1);
                    workers[w].thread.start();
                } else if (workers[w].parked) {
                    LockSupport.unpark(workers[w].thread);
                }
            }
            drain();
            for (int spins = 0; running.get() > 0; spins++) {
                if (spins < 2_000) {
                    Thread.onSpinWait();
                } else {
                    Thread.yield();
                }
            }
            this.body = null;
            f = failure; // before the next caller forgets it
        } finally {
            lock.unlock();
        }
        if (f instanceof RuntimeException e) {
            throw e;
        }
        if (f instanceof Error e) {
            throw e;
        }
    }

    private void drain() {
        inside.set(true);
        try {
            for (int task; (task = next.getAndIncrement()) < tasks;) {
                body.run(task);
            }
        } catch (RuntimeException | Error e) {
            failure = e;
            next.set(tasks); // nobody starts another
        } finally {
            inside.set(false);
        }
    }

    /// Ends its workers. It is not to be used afterwards.
    @Override
    public void close() {
        closed = true;
        for (Worker w : workers) {
            if (w != null) {
                LockSupport.unpark(w.thread);
            }
        }
    }

    private final class Worker implements Runnable {
        final Thread thread;
        volatile boolean parked;
        private int seen;

        Worker(int index, int seen) {
            this.seen = seen;
            thread = Thread.ofPlatform().daemon().name("deckle-worker-" + index).unstarted(this);
        }

        @Override
        public void run() {
            while (true) {
                long start = System.nanoTime();
                while (epoch == seen) {
                    Thread.onSpinWait();
                    if (System.nanoTime() - start > SPIN_NANOS) {
                        parked = true;
                        while (epoch == seen && !closed) {
                            LockSupport.park(Team.this);
                        }
                        parked = false;
                    }
                    if (closed && epoch == seen) {
                        return;
                    }
                }
                seen++;
                drain();
                running.decrementAndGet();
            }
        }
    }
}
