package dev.deckle.mpi;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.deckle.distributed.RankFailure;
import dev.deckle.distributed.Sums;
import dev.deckle.distributed.Transport;
import dev.deckle.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;

/// Ranks that are processes. All calls of MPI come from one thread, and none of them blocks: the thread asks
/// (`MPI_Testall`) and sleeps in between, because it shares its core with the computation, and while it waits it
/// listens for a rank that has failed.
///
/// Pieces go from rank to rank by `MPI_Isend` and `MPI_Irecv`, not by MPI's own collectives. `MPI_Reduce_scatter` adds
/// in an order of its own; `MPI_Ialltoallv` and `MPI_Iallgatherv` have displacements of 31 bits, so that a tensor of
/// more than 2 GB does not fit. What is sent is the same: (N-1)/N of the tensor. A broadcast and a barrier are MPI's.
final class MpiTransport implements Transport {
    private static final int THREAD_FUNNELED = 1;
    private static final int ANY_SOURCE = -1;
    private static final int DATA = 0;
    private static final int ABORT = 1;
    private static final int HEARD = 2;
    private static final int CLOSE = 3;

    /// struct MPI_Status { int source, tag, error, cancelled; size_t count; }
    private static final long STATUS = 24;
    private static final long STATUS_ERROR = 8;

    /// A message about a failure: its length, then text. Small, so that it leaves without the receiver's help.
    private static final int MESSAGE = 1024;

    /// The most of one message: counts are ints.
    private static final long MOST = 16 << 20;

    /// Memory for what is received and not yet summed.
    private static final long ROOM = 16 << 20;

    /// How a wait goes: a moment of asking again and again, then with pauses of a thousandth of what it has waited.
    /// Where messages go piece by piece (TCP, or shared memory between containers) nothing moves unless it is asked:
    /// with pauses of 200 us from the start 64 MB through shared memory took 124 ms, with 20 us 46 ms. Where one
    /// process reads the other's memory it makes no difference. A long wait is for a rank that computes, and needs its
    /// core.
    private static final long SPIN_NANOS = 20_000;
    private static final long LEAST_PAUSE_NANOS = 20_000;
    private static final long MOST_PAUSE_NANOS = 200_000;

    /// How often a wait looks for failures.
    private static final long LISTEN_NANOS = 1_000_000;
    private static final long FAREWELL_NANOS = 3_000_000_000L;
    private static final long LINGER_MILLIS = 500;

    private final LibMpi mpi;
    private final int rank;
    private final int size;
    private final Arena arena = Arena.ofAuto();
    private final MemorySegment requests; // two sets, one on the way while the other is awaited
    private final MemorySegment statuses;
    private final MemorySegment flag = arena.allocate(8, 8);
    private final MemorySegment message = arena.allocate(MESSAGE, 8);
    private MemorySegment room; // what is received and not yet summed, again two sets
    private final int[] pending = new int[2];
    private long bytes; // MPI_BYTE
    private long data;
    private long control;
    private boolean running;
    private long call; // the number of the collective that is running, or was last
    private final long[] last; // of each rank: the number of its last collective, once it has closed
    private long listened; // when
    private volatile RankFailure failure;

    MpiTransport(LibMpi mpi, int rank, int size) {
        this.mpi = mpi;
        this.rank = rank;
        this.size = size;
        requests = arena.allocate(8L * 2 * 2 * size, 8);
        statuses = arena.allocate(STATUS * 2 * size, 8);
        last = new long[size];
        Arrays.fill(last, Long.MAX_VALUE);
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int worldSize() {
        return size;
    }

    // ---- start and end

    @Override
    public void open() {
        bytes = mpi.object("ompi_mpi_byte");
        long world = mpi.object("ompi_mpi_comm_world");
        mpi.call("MPI_Init_thread", 0, 0, THREAD_FUNNELED, flag.address());
        running = true;
        mpi.call("MPI_Comm_set_errhandler", world, mpi.object("ompi_mpi_errors_return"));
        mpi.call("MPI_Comm_dup", world, flag.address());
        data = flag.get(JAVA_LONG, 0);
        mpi.call("MPI_Comm_dup", world, flag.address());
        control = flag.get(JAVA_LONG, 0);
    }

    /// All say that they are done, and how far they came, before MPI ends: so a rank that ends too early is noticed.
    @Override
    public void close() {
        MemorySegment said = arena.allocate(8, 8);
        said.set(JAVA_LONG, 0, call);
        last[rank] = call;
        tell(CLOSE, said);
        while (Arrays.stream(last).anyMatch(l -> l == Long.MAX_VALUE)) {
            listen();
            if (message(HEARD) >= 0) { // this rank came too early, and has been noticed
                linger(false);
                return;
            }
            LockSupport.parkNanos(this, MOST_PAUSE_NANOS);
        }
        mpi.call("MPI_Finalize");
        running = false;
    }

    // ---- the collectives

    @Override
    public void reduceScatter(String name, long x, long[] cuts, DType dtype, Sums sums) {
        call++;
        long each = ROOM / 2 / (size - 1) / 64 * 64;
        if (room == null) {
            room = arena.allocate(2 * each * (size - 1), 64);
        }
        long pieces = pieces(cuts, each);
        long[] sources = new long[size];
        for (long k = 0; k <= pieces; k++) {
            if (k < pieces) {
                scatter(x, cuts, k * each, each, (int) (k & 1));
            }
            if (k > 0) { // sum the piece before, while this one is on its way
                int set = (int) (k - 1 & 1);
                await(set);
                long at = (k - 1) * each;
                long own = piece(cuts, rank, at, each);
                Arrays.setAll(sources, r -> r == rank ? x + cuts[rank] + at : received(set, r, each));
                sums.add(dtype, sources, x + cuts[rank] + at, own / dtype.bytes());
            }
        }
    }

    private long received(int set, int from, long each) {
        int slot = Math.floorMod(from - rank - 1, size); // none for this rank itself
        return room.address() + (set * (size - 1L) + slot) * each;
    }

    private void scatter(long x, long[] cuts, long at, long each, int set) {
        long own = piece(cuts, rank, at, each);
        for (int step = 1; step < size; step++) { // each begins with another partner
            int from = Math.floorMod(rank - step, size);
            int to = Math.floorMod(rank + step, size);
            receive(received(set, from, each), own, from, set);
            send(x + cuts[to] + at, piece(cuts, to, at, each), to, set);
        }
    }

    @Override
    public void allGather(String name, long x, long[] cuts) {
        call++;
        long pieces = pieces(cuts, MOST);
        for (long k = 0; k < pieces; k++) {
            long at = k * MOST;
            for (int step = 1; step < size; step++) {
                int from = Math.floorMod(rank - step, size);
                int to = Math.floorMod(rank + step, size);
                receive(x + cuts[from] + at, piece(cuts, from, at, MOST), from, 0);
                send(x + cuts[rank] + at, piece(cuts, rank, at, MOST), to, 0);
            }
            await(0);
        }
    }

    /// How many pieces of `each` bytes the largest cut has.
    private static long pieces(long[] cuts, long each) {
        long most = 0;
        for (int r = 0; r + 1 < cuts.length; r++) {
            most = Math.max(most, cuts[r + 1] - cuts[r]);
        }
        return (most + each - 1) / each;
    }

    /// The bytes of a cut from `at` on, `each` at most.
    private static long piece(long[] cuts, int of, long at, long each) {
        return Math.clamp(cuts[of + 1] - cuts[of] - at, 0, each);
    }

    @Override
    public void broadcast(String name, long x, long length, int root) {
        call++;
        for (long at = 0; at < length; at += MOST) {
            mpi.call("MPI_Ibcast", x + at, Math.min(MOST, length - at), bytes, root, data, next(0));
            await(0);
        }
    }

    @Override
    public void barrier() {
        call++;
        mpi.call("MPI_Ibarrier", data, next(0));
        await(0);
    }

    // ---- what is on the way

    private void send(long address, long length, int to, int set) {
        if (length > 0) {
            mpi.call("MPI_Isend", address, length, bytes, to, DATA, data, next(set));
        }
    }

    private void receive(long address, long length, int from, int set) {
        if (length > 0) {
            mpi.call("MPI_Irecv", address, length, bytes, from, DATA, data, next(set));
        }
    }

    private long request(int set, int i) {
        return requests.address() + 8L * (set * 2L * size + i);
    }

    private long next(int set) {
        return request(set, pending[set]++);
    }

    /// Until all of a set have arrived.
    private void await(int set) {
        int n = pending[set];
        pending[set] = 0;
        long start = System.nanoTime();
        while (!arrived(set, n)) {
            if (failure != null) {
                throw failure;
            }
            long now = System.nanoTime();
            if (now - listened > LISTEN_NANOS) {
                listened = now;
                listen();
            }
            if (now - start < SPIN_NANOS) {
                Thread.onSpinWait();
            } else {
                LockSupport.parkNanos(this, Math.clamp((now - start) / 1000, LEAST_PAUSE_NANOS, MOST_PAUSE_NANOS));
            }
        }
    }

    private boolean arrived(int set, int n) {
        int code = mpi.raw("MPI_Testall", n, request(set, 0), flag.address(), statuses.address());
        for (int i = 0; code != 0 && i < n; i++) { // the code says no more than that one of them has failed
            mpi.check("communication failed", statuses.get(JAVA_INT, STATUS * i + STATUS_ERROR));
        }
        mpi.check("MPI_Testall", code);
        return flag.get(JAVA_INT, 0) != 0;
    }

    // ---- failures

    @Override
    public void abort(RankFailure first) {
        failure = first;
    }

    /// Throws if a rank has failed, or closed before what is running now; it is told that this one has heard.
    private void listen() {
        int from = message(ABORT);
        if (from >= 0) {
            int length = message.get(JAVA_INT, 0);
            fail(from, new String(message.asSlice(4, length).toArray(JAVA_BYTE), StandardCharsets.UTF_8));
        }
        while ((from = message(CLOSE)) >= 0) {
            last[from] = message.get(JAVA_LONG, 0);
        }
        for (int r = 0; r < size; r++) {
            if (last[r] < call) {
                fail(r, "it closed its communicator, and other ranks went on");
            }
        }
    }

    private void fail(int from, String why) {
        failure = new RankFailure(from, why);
        linger(false);
        mpi.call("MPI_Isend", message.address(), 0, bytes, from, HEARD, control, request(0, 0));
        throw failure;
    }

    /// The rank that has sent a message of this kind, or -1.
    private int message(int tag) {
        mpi.call("MPI_Iprobe", ANY_SOURCE, tag, control, flag.address(), statuses.address());
        if (flag.get(JAVA_INT, 0) == 0) {
            return -1;
        }
        int from = statuses.get(JAVA_INT, 0);
        mpi.call("MPI_Recv", message.address(), MESSAGE, bytes, from, tag, control, statuses.address());
        return from;
    }

    @Override
    public void farewell() {
        if (!running) {
            return;
        }
        MemorySegment said = arena.allocate(MESSAGE, 8);
        byte[] why = failure.why().getBytes(StandardCharsets.UTF_8);
        int length = Math.min(why.length, MESSAGE - 4);
        said.set(JAVA_INT, 0, length);
        MemorySegment.copy(why, 0, said, JAVA_BYTE, 4, length);
        tell(ABORT, said);
        int missing = size - 1;
        long start = System.nanoTime();
        try {
            while (missing > 0 && System.nanoTime() - start < FAREWELL_NANOS) {
                // who failed at the same time has heard as well
                if (message(HEARD) >= 0 || message(ABORT) >= 0) {
                    missing--;
                }
                LockSupport.parkNanos(this, MOST_PAUSE_NANOS);
            }
        } finally {
            linger(missing > 0);
        }
    }

    /// The same to all others. What is said is so short that it leaves without the receiver's help, and stays
    /// unchanged.
    private void tell(int tag, MemorySegment said) {
        for (int to = 0; to < size; to++) {
            if (to != rank) {
                mpi.call("MPI_Isend", said.address(), said.byteSize(), bytes, to, tag, control, request(0, to));
            }
        }
    }

    /// The process stays a little when it has said its last line, because its end is the end of the others.
    private void linger(boolean kill) {
        Thread hook = new Thread(() -> {
            try {
                Thread.sleep(LINGER_MILLIS);
            } catch (InterruptedException _) {
                // then now
            }
            if (kill) {
                mpi.raw("MPI_Abort", mpi.object("ompi_mpi_comm_world"), 1);
            }
        });
        try {
            Runtime.getRuntime().addShutdownHook(hook);
        } catch (IllegalStateException _) {
            // mpirun's SIGTERM came before: the process is ending, and so are the others
        }
    }
}
