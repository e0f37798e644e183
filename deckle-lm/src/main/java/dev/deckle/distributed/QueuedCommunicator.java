package dev.deckle.distributed;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;

/// A communicator whose collectives run one after another on a background thread of their own, so that they overlap
/// with what the caller computes. A [Transport] carries the bytes; the checks, the counts, the order of sums and the
/// trace are the same for all.
///
/// One thread and one queue give all ranks the same order of collectives for free, and MPI a single thread that ever
/// calls it. Several threads would need tags for each collective and would take the cores from the computation.
public final class QueuedCommunicator implements Communicator {
    private static final String LANE = Timeline.COMMUNICATION;

    private final Transport transport;
    private final Timeline timeline;
    private final Sums sums = new Sums(Door.current());
    private final ExecutorService queue;
    private Traffic traffic = Traffic.NONE;
    private volatile RankFailure failure;
    private volatile boolean closed;

    /// Opens the transport on the thread that it will have.
    public QueuedCommunicator(Transport transport, Timeline timeline) {
        this.transport = transport;
        this.timeline = timeline;
        queue = Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon()
                .name("deckle-rank-" + transport.rank() + "-communication").factory());
        try {
            enqueue(transport::open).await();
        } catch (RuntimeException | Error e) {
            queue.shutdown();
            throw e;
        }
    }

    @Override
    public int rank() {
        return transport.rank();
    }

    @Override
    public int worldSize() {
        return transport.worldSize();
    }

    // ---- the verbs

    @Override
    public Work allReduce(Tensor x) {
        long[] cuts = cuts(x);
        return collective(Verb.ALL_REDUCE, x, 2 * x.numel(), scattered(x, cuts) + gathered(cuts), (call, address) -> {
            transport.reduceScatter(call, address, cuts, x.dtype(), sums);
            transport.allGather(call, address, cuts);
        });
    }

    @Override
    public Work reduceScatter(Tensor x) {
        long[] cuts = cuts(x);
        return collective(Verb.REDUCE_SCATTER, x, x.numel(), scattered(x, cuts), (call, address) -> transport
                .reduceScatter(call, address, cuts, x.dtype(), sums));
    }

    @Override
    public Work allGather(Tensor x) {
        long[] cuts = cuts(x);
        return collective(Verb.ALL_GATHER, x, x.numel(), gathered(cuts), (call, address) -> transport.allGather(call,
                address, cuts));
    }

    @Override
    public Work broadcast(Tensor x, int root) {
        Buffers.checkRoot(root, worldSize());
        long sent = rank() == root ? x.bytes() * (worldSize() - 1) : 0;
        return collective(Verb.BROADCAST, x, x.numel(), sent, (call, address) -> transport.broadcast(
                call + " from rank " + root, address, x.bytes(), root));
    }

    @Override
    public Work barrier() {
        refuse();
        count(Verb.BARRIER, 0, 0);
        return enqueue(Verb.BARRIER.label(), 0, transport::barrier);
    }

    @Override
    public byte[][] allGather(byte[] mine) {
        refuse();
        byte[][] all = new byte[worldSize()][];
        enqueue("all_gather of bytes", mine.length, () -> gather(mine, all)).await();
        return all;
    }

    /// First the lengths, then everything behind one another.
    private void gather(byte[] mine, byte[][] all) {
        int n = all.length;
        long[] cuts = new long[n + 1];
        Arrays.setAll(cuts, r -> 8L * r);
        try (Arena arena = Arena.ofConfined()) {
            long lengths = arena.allocate(8L * n, 64).address();
            Native.setLong(lengths + 8L * rank(), mine.length);
            transport.allGather("all_gather of lengths", lengths, cuts);
            for (int r = 0; r < n; r++) {
                cuts[r + 1] = cuts[r] + Native.getLong(lengths + 8L * r);
            }
            MemorySegment bytes = arena.allocate(Math.max(1, cuts[n]), 64);
            MemorySegment.copy(mine, 0, bytes, ValueLayout.JAVA_BYTE, cuts[rank()], mine.length);
            transport.allGather("all_gather of bytes", bytes.address(), cuts);
            for (int r = 0; r < n; r++) {
                all[r] = bytes.asSlice(cuts[r], cuts[r + 1] - cuts[r]).toArray(ValueLayout.JAVA_BYTE);
            }
        }
    }

    // ---- what they send

    /// Where the shards of x begin and end, in bytes.
    private long[] cuts(Tensor x) {
        long[] cuts = new long[worldSize() + 1];
        for (int r = 0; r < worldSize(); r++) {
            cuts[r + 1] = Shard.of(x.numel(), r, worldSize()).to() * x.dtype().bytes();
        }
        return cuts;
    }

    private long own(long[] cuts) {
        return cuts[rank() + 1] - cuts[rank()];
    }

    private long scattered(Tensor x, long[] cuts) {
        return x.bytes() - own(cuts);
    }

    private long gathered(long[] cuts) {
        return own(cuts) * (worldSize() - 1);
    }

    private synchronized void count(Verb verb, long elements, long bytes) {
        traffic = traffic.plus(verb, elements, bytes);
    }

    @Override
    public synchronized Traffic traffic() {
        return traffic;
    }

    // ---- the queue

    private interface Body {
        /// `call` says what is done to the memory at `address`, so that ranks can compare.
        void run(String call, long address);
    }

    private Work collective(Verb verb, Tensor x, long elements, long sent, Body body) {
        refuse();
        Buffers.check(verb, x);
        count(verb, elements, sent);
        return enqueue(verb.label(), sent, () -> {
            body.run(verb.label() + " of " + x.numel() + " " + x.dtype(), x.address());
            Reference.reachabilityFence(x);
        });
    }

    private Queued enqueue(String name, long bytes, Runnable body) {
        return enqueue(() -> {
            if (failure != null) {
                throw failure;
            }
            try (var _ = timeline.open(LANE, name, bytes)) {
                body.run();
            } catch (RuntimeException | Error e) {
                failed(e);
                throw e;
            }
        });
    }

    private Queued enqueue(Runnable body) {
        var task = new FutureTask<Void>(body, null);
        queue.execute(task);
        return new Queued(task);
    }

    private record Queued(FutureTask<Void> task) implements Work {
        @Override
        public void await() {
            boolean interrupted = false;
            try {
                while (true) {
                    try {
                        task.get();
                        return;
                    } catch (InterruptedException _) {
                        interrupted = true;
                    }
                }
            } catch (ExecutionException e) {
                switch (e.getCause()) {
                    case RuntimeException cause -> throw cause;
                    case Error cause -> throw cause;
                    case Throwable cause -> throw new IllegalStateException(cause);
                }
            } finally {
                if (interrupted) {
                    Thread.currentThread().interrupt();
                }
            }
        }

        @Override
        public boolean isDone() {
            return task.isDone();
        }
    }

    // ---- the end

    private void refuse() {
        if (failure != null) {
            throw failure;
        }
        if (closed) {
            throw new IllegalStateException("this communicator is closed");
        }
    }

    /// On the communication thread: what went wrong here is told to the others, unless it came from them.
    private void failed(Throwable e) {
        if (e instanceof RankFailure f) {
            end(f);
        } else if (end(new RankFailure(rank(), reason(e)))) {
            transport.abort(failure);
            transport.farewell();
        }
    }

    static String reason(Throwable e) {
        return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    }

    /// Whether this is the failure that counts: the first.
    private synchronized boolean end(RankFailure first) {
        if (failure != null) {
            return false;
        }
        failure = first;
        return true;
    }

    @Override
    public void abort(String why) {
        if (!closed && end(new RankFailure(rank(), why))) {
            transport.abort(failure);
            enqueue(transport::farewell);
        }
        drain();
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        Work last = failure == null ? enqueue("close", 0, transport::close) : null; // behind what is in flight
        closed = true;
        drain();
        if (last != null) {
            last.await();
        }
    }

    /// Nothing more is taken, and what was is done.
    private void drain() {
        queue.shutdown();
        boolean interrupted = false;
        while (true) {
            try {
                if (queue.awaitTermination(1, TimeUnit.MINUTES)) {
                    break;
                }
            } catch (InterruptedException _) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
