package dev.deckle.distributed;

import dev.deckle.kernel.Native;
import dev.deckle.tensor.DType;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Ranks that are threads of one process. Nothing is sent: each rank shows the others where its tensor lies, takes what
/// it needs from there, and goes on when nobody reads any more.
///
/// No two ranks touch the same bytes. In a reduce-scatter a rank writes its own cut, which it alone reads of the others
/// too; in an all-gather it reads the others' own cuts and writes all but its own.
final class ThreadTransport implements Transport {
    /// Where the ranks meet. A collective begins when all have entered, and ends when all have left.
    static final class World {
        private final ReentrantLock lock = new ReentrantLock();
        private final Condition changed = lock.newCondition();
        private final long[] addresses;
        private final String[] calls;
        private int arrived;
        private int inside; // ranks that may be reading the memory of others
        private long generation;
        private RankFailure failure;

        World(int size) {
            addresses = new long[size];
            calls = new String[size];
        }

        /// Waits for all. What `addresses` and `calls` hold then stays until all have left.
        void enter(int rank, String call, long address) {
            lock.lock();
            try {
                addresses[rank] = address;
                calls[rank] = call;
                if (failure == null && ++arrived == calls.length) {
                    arrived = 0;
                    inside = calls.length;
                    generation++;
                    changed.signalAll();
                    return;
                }
                long mine = generation;
                while (generation == mine) {
                    if (failure != null) {
                        throw failure;
                    }
                    changed.awaitUninterruptibly();
                }
            } finally {
                lock.unlock();
            }
        }

        /// Waits for all that have entered. They all come, and soon: what they do inside waits for nobody.
        void leave() {
            lock.lock();
            try {
                if (--inside == 0) {
                    changed.signalAll();
                }
                while (inside > 0) {
                    changed.awaitUninterruptibly();
                }
            } finally {
                lock.unlock();
            }
        }

        void fail(RankFailure first) {
            lock.lock();
            try {
                if (failure == null) {
                    failure = first;
                    changed.signalAll();
                }
            } finally {
                lock.unlock();
            }
        }

        /// The first failure, or null.
        RankFailure failure() {
            lock.lock();
            try {
                return failure;
            } finally {
                lock.unlock();
            }
        }
    }

    private final World world;
    private final int rank;

    ThreadTransport(World world, int rank) {
        this.world = world;
        this.rank = rank;
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int worldSize() {
        return world.calls.length;
    }

    @Override
    public void reduceScatter(String call, long x, long[] cuts, DType dtype, Sums sums) {
        together(call, x, () -> {
            long[] sources = world.addresses.clone();
            for (int r = 0; r < sources.length; r++) {
                sources[r] += cuts[rank];
            }
            sums.add(dtype, sources, x + cuts[rank], (cuts[rank + 1] - cuts[rank]) / dtype.bytes());
        });
    }

    @Override
    public void allGather(String call, long x, long[] cuts) {
        together(call, x, () -> {
            for (int r = 0; r < worldSize(); r++) {
                if (r != rank) {
                    Native.copy(world.addresses[r] + cuts[r], x + cuts[r], cuts[r + 1] - cuts[r]);
                }
            }
        });
    }

    @Override
    public void broadcast(String call, long x, long bytes, int root) {
        together(call, x, () -> {
            if (rank != root) {
                Native.copy(world.addresses[root], x, bytes);
            }
        });
    }

    @Override
    public void barrier() {
        together(Verb.BARRIER.label(), 0, () -> {});
    }

    private void together(String call, long x, Runnable body) {
        world.enter(rank, call, x);
        try {
            agree();
            body.run();
        } finally {
            world.leave();
        }
    }

    /// Here, unlike between processes, it costs nothing to find out that ranks ask for different things.
    private void agree() {
        for (int r = 1; r < worldSize(); r++) {
            if (!world.calls[r].equals(world.calls[0])) {
                throw new IllegalStateException("the ranks do not ask for the same: rank 0 for " + world.calls[0]
                        + ", rank " + r + " for " + world.calls[r]);
            }
        }
    }

    @Override
    public void abort(RankFailure failure) {
        world.fail(failure);
    }

    /// Who still waits for this rank, or will, waits in vain.
    @Override
    public void close() {
        world.fail(new RankFailure(rank, "it closed its communicator, and other ranks went on"));
    }
}
