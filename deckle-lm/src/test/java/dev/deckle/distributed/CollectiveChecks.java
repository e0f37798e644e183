package dev.deckle.distributed;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import java.util.zip.CRC32;

/// What every communicator must do, checked on each rank against the plain definition. Ranks as threads run it in the
/// tests of this module, processes under MPI in those of `deckle-mpi`, through [#main].
final class CollectiveChecks {
    private static final int[] LENGTHS = {0, 1, 7, 100, 1_000_003};
    private static final List<DType> SUMMED = List.of(DType.F32, DType.F64, DType.BF16, DType.I64);

    private final Communicator c;
    private final int rank;
    private final int n;
    private final CRC32 checksum = new CRC32();

    CollectiveChecks(Communicator c) {
        this.c = c;
        rank = c.rank();
        n = c.worldSize();
    }

    // ---- what ranks bring

    private static long mix(long x) { // the last steps of SplitMix64
        x = (x ^ x >>> 30) * 0xBF58476D1CE4E5B9L;
        x = (x ^ x >>> 27) * 0x94D049BB133111EBL;
        return x ^ x >>> 31;
    }

    /// Numbers between 2^-16 and 2^16 in size, so that the order in which they are added shows.
    private static double number(int of, long i) {
        long bits = mix((of + 1L) * 0x9E3779B97F4A7C15L + i);
        long exponent = 1023 - 16 + (bits >>> 52 & 31);
        return Double.longBitsToDouble(bits & 0x800F_FFFF_FFFF_FFFFL | exponent << 52);
    }

    private static void set(Tensor x, long i, int of) {
        switch (x.dtype()) {
            case I64 -> Native.setLong(x.address() + 8 * i, mix(of * 1_000_003L + i));
            case F64 -> setDouble(x, i, number(of, i));
            case F32 -> Native.setFloat(x.address() + 4 * i, (float) number(of, i));
            case BF16 -> Bf16.set(x.address() + 2 * i, (float) number(of, i));
            default -> throw new IllegalArgumentException(x.dtype() + " is not summed");
        }
    }

    private static void setDouble(Tensor x, long i, double value) {
        Native.ALL.set(ValueLayout.JAVA_DOUBLE, x.address() + 8 * i, value);
    }

    private Tensor mine(DType t, int length) {
        Tensor x = Tensor.empty(t, Shape.of(length));
        for (int i = 0; i < length; i++) {
            set(x, i, rank);
        }
        return x;
    }

    /// The definition: what the ranks bring, added in their order in the type of the sum, rounded once.
    private Tensor sum(DType t, int length) {
        Tensor y = Tensor.empty(t, Shape.of(length));
        Tensor one = Tensor.empty(t, Shape.of(length));
        for (int i = 0; i < length; i++) {
            double f64 = 0;
            float f32 = 0;
            long i64 = 0;
            for (int r = 0; r < n; r++) {
                set(one, i, r);
                switch (t) {
                    case F64 -> f64 += Native.ALL.get(ValueLayout.JAVA_DOUBLE, one.address() + 8L * i);
                    case F32 -> f32 += Native.getFloat(one.address() + 4L * i);
                    case BF16 -> f32 += Bf16.get(one.address() + 2L * i);
                    default -> i64 += Native.getLong(one.address() + 8L * i);
                }
            }
            switch (t) {
                case F64 -> setDouble(y, i, f64);
                case F32 -> Native.setFloat(y.address() + 4L * i, f32);
                case BF16 -> Bf16.set(y.address() + 2L * i, f32);
                default -> Native.setLong(y.address() + 8L * i, i64);
            }
        }
        return y;
    }

    private void same(String what, Tensor x, Tensor expected, long from, long to) {
        long w = x.dtype().bytes();
        if (!Native.equal(x.address() + from * w, expected.address() + from * w, (to - from) * w)) {
            throw new AssertionError(what + " of " + x.numel() + " " + x.dtype() + " on rank " + rank + " of " + n
                    + " is wrong between " + from + " and " + to);
        }
        checksum.update(Native.ALL.asSlice(x.address() + from * w, (to - from) * w).asByteBuffer());
    }

    private void expect(boolean yes, String what) {
        if (!yes) {
            throw new AssertionError("rank " + rank + " of " + n + ": " + what);
        }
    }

    // ---- the checks

    /// Every verb against its definition; a checksum of the results.
    long verbs() {
        for (int length : LENGTHS) {
            Shard own = Shard.of(length, rank, n);
            for (DType t : SUMMED) {
                Tensor expected = sum(t, length);
                Tensor x = mine(t, length);
                c.allReduce(x).await();
                same("all_reduce", x, expected, 0, length);

                x = mine(t, length);
                c.reduceScatter(x).await();
                same("reduce_scatter", x, expected, own.from(), own.to());
                Tensor untouched = mine(t, length);
                same("reduce_scatter, the rest", x, untouched, 0, own.from());
                same("reduce_scatter, the rest", x, untouched, own.to(), length);
            }
            for (DType t : DType.values()) {
                Tensor x = raw(t, length, rank);
                c.allGather(x).await();
                Tensor expected = Tensor.empty(t, Shape.of(length));
                for (int r = 0; r < n; r++) {
                    Shard s = Shard.of(length, r, n);
                    fill(expected, s.from(), s.to(), r);
                }
                same("all_gather", x, expected, 0, length);
                for (int root = 0; root < n; root += Math.max(1, n - 1)) {
                    Tensor y = raw(t, length, rank);
                    c.broadcast(y, root).await();
                    same("broadcast from " + root, y, raw(t, length, root), 0, length);
                }
            }
        }
        bytes();
        return checksum.getValue();
    }

    /// Bytes that may be no number at all.
    private static Tensor raw(DType t, int length, int of) {
        Tensor x = Tensor.empty(t, Shape.of(length));
        fill(x, 0, length, of);
        return x;
    }

    private static void fill(Tensor x, long from, long to, int of) {
        int w = x.dtype().bytes();
        for (long b = from * w; b < to * w; b++) {
            Native.ALL.set(ValueLayout.JAVA_BYTE, x.address() + b,
                    (byte) ((b + of * 7_919L) * 0x9E3779B97F4A7C15L >> 56));
        }
    }

    /// So much that it goes in pieces, which differ from each other.
    void large() {
        Tensor x = mine(DType.F64, 5_000_011);
        c.allReduce(x).await();
        same("all_reduce", x, sum(DType.F64, 5_000_011), 0, x.numel());
        Tensor y = raw(DType.F64, 5_000_011, rank);
        c.broadcast(y, n - 1).await();
        same("broadcast", y, raw(DType.F64, 5_000_011, n - 1), 0, y.numel());
    }

    /// Unequal lengths, none among them.
    private void bytes() {
        byte[][] all = c.allGather("x".repeat(rank * rank * 1000).concat("y".repeat(rank % 2))
                .getBytes(StandardCharsets.UTF_8));
        expect(all.length == n, all.length + " byte arrays");
        for (int r = 0; r < n; r++) {
            String said = new String(all[r], StandardCharsets.UTF_8);
            expect(said.equals("x".repeat(r * r * 1000) + "y".repeat(r % 2)), "the bytes of rank " + r);
        }
    }

    /// Works that are all on the way before the first is awaited, and awaited in another order.
    void inFlight() {
        for (int round = 0; round < 5; round++) {
            List<Tensor> tensors = new ArrayList<>();
            List<Work> works = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                Tensor x = mine(SUMMED.get(i % SUMMED.size()), 1000 + 37 * i);
                tensors.add(x);
                works.add(c.allReduce(x));
            }
            works.get(19).await();
            for (int i = 0; i < 20; i++) {
                expect(works.get(i).isDone(), "work " + i + " is done when a later one is");
                works.get(i).await();
                Tensor x = tensors.get(i);
                same("all_reduce in flight", x, sum(x.dtype(), 1000 + 37 * i), 0, x.numel());
            }
        }
    }

    /// A thousand collectives of all kinds, in a random order that all ranks share, at paces that they do not.
    void delays() {
        Random order = new Random(5);
        Random pace = new Random(rank);
        Tensor expected = sum(DType.F32, 100);
        Tensor x = Tensor.empty(DType.F32, Shape.of(100));
        for (int i = 0; i < 1000; i++) {
            if (pace.nextInt(20) == 0) {
                LockSupport.parkNanos(pace.nextInt(3_000_000));
            }
            for (int j = 0; j < 100; j++) {
                set(x, j, rank);
            }
            switch (order.nextInt(4)) {
                case 0 -> {
                    c.allReduce(x).await();
                    same("all_reduce with delays", x, expected, 0, 100);
                }
                case 1 -> {
                    c.reduceScatter(x).await();
                    c.allGather(x).await();
                    same("reduce_scatter and all_gather with delays", x, expected, 0, 100);
                }
                case 2 -> c.broadcast(x, order.nextInt(n)).await();
                default -> c.barrier().await();
            }
        }
    }

    /// Counts as they are documented, for a length that ranks do not divide.
    void counts() {
        Traffic before = c.traffic();
        Tensor x = Tensor.zeros(DType.BF16, Shape.of(1001));
        long others = 2 * (1001 - Shard.of(1001, rank, n).size());
        long own = 2 * Shard.of(1001, rank, n).size() * (n - 1);
        c.allReduce(x).await();
        c.reduceScatter(x).await();
        c.allGather(x).await();
        c.allGather(x).await();
        c.broadcast(x, n - 1).await();
        c.barrier().await();
        c.allGather(new byte[100]);
        Traffic t = c.traffic().since(before);
        long root = rank == n - 1 ? 2002L * (n - 1) : 0;
        counted(t, Verb.ALL_REDUCE, 1, 2002, others + own);
        counted(t, Verb.REDUCE_SCATTER, 1, 1001, others);
        counted(t, Verb.ALL_GATHER, 2, 2002, 2 * own);
        counted(t, Verb.BROADCAST, 1, 1001, root);
        counted(t, Verb.BARRIER, 1, 0, 0);
        expect(t.total().equals(new Traffic.Count(6, 6006, 2 * others + 3 * own + root)), "total " + t.total());
    }

    private void counted(Traffic t, Verb verb, long calls, long elements, long bytes) {
        Traffic.Count expected = new Traffic.Count(calls, elements, bytes);
        expect(t.counts().get(verb).equals(expected), verb + " " + t.counts().get(verb) + ", not " + expected);
    }

    /// The rank `failing` throws amid collectives, the others wait for what never comes.
    void failing(int failing) {
        Tensor x = mine(DType.F32, 100_000);
        c.allReduce(x).await();
        if (rank == failing) {
            throw new IllegalArgumentException("the tape tore");
        }
        List<Work> works = new ArrayList<>(List.of(c.allReduce(x), c.barrier()));
        RankFailure seen = null;
        for (Work w : works) {
            try {
                w.await();
                throw new AssertionError("rank " + rank + " got what rank " + failing + " never gave");
            } catch (RankFailure e) {
                seen = e;
            }
        }
        expect(seen.rank() == failing, "the failure names rank " + seen.rank());
        expect(seen.getMessage().equals("rank " + failing + " ended: the tape tore"), seen.getMessage());
        try {
            c.barrier();
            throw new AssertionError("a communicator that failed goes on");
        } catch (RankFailure e) {
            expect(e.rank() == failing, "later calls name rank " + e.rank());
        }
        throw seen;
    }

    // ---- as a program

    /// `threads N CHECK...` or, under mpirun, `mpi CHECK...`: a line a rank and check, exit code 1 if one fails. The
    /// checks are the methods above, `failing=RANK`, and what is tried on processes only: `late=RANK`, `early=RANK`,
    /// `killed=RANK` and `lengths`, where each rank has another.
    public static void main(String[] args) throws ReflectiveOperationException {
        if (args[0].equals("threads")) {
            ThreadRanks.run(Integer.parseInt(args[1]), c -> new CollectiveChecks(c).run(args, 2));
            return;
        }
        Communicator c;
        try { // the module above is not seen from here
            c = (Communicator) Class.forName("dev.deckle.mpi.Mpi").getMethod("world", Timeline.class)
                    .invoke(null, Timeline.off());
        } catch (InvocationTargetException e) {
            System.out.println(e.getCause().getMessage());
            System.exit(1);
            return;
        }
        try {
            new CollectiveChecks(c).run(args, 1);
            c.close();
        } catch (RuntimeException | Error e) {
            c.abort(e.getMessage());
            c.close();
            System.out.println("rank " + c.rank() + " fails: " + e.getMessage());
            System.exit(1);
        }
    }

    private void run(String[] checks, int from) {
        for (String check : List.of(checks).subList(from, checks.length)) {
            String[] words = check.split("=");
            String result = switch (words[0]) {
                case "verbs" -> "checksum " + Long.toHexString(verbs());
                case "inFlight" -> {
                    inFlight();
                    yield "checksum " + Long.toHexString(checksum.getValue());
                }
                case "large" -> {
                    large();
                    yield "checksum " + Long.toHexString(checksum.getValue());
                }
                case "delays" -> {
                    delays();
                    yield "done";
                }
                case "counts" -> {
                    counts();
                    yield "done";
                }
                case "failing" -> {
                    failing(Integer.parseInt(words[1]));
                    yield "goes on";
                }
                case "late" -> {
                    late(Integer.parseInt(words[1]));
                    yield "goes on";
                }
                case "early" -> {
                    if (rank != Integer.parseInt(words[1])) {
                        c.barrier().await();
                    }
                    yield "goes on";
                }
                case "lengths" -> {
                    c.allGather(Tensor.zeros(100 + 100 * rank)).await();
                    c.barrier().await();
                    yield "goes on";
                }
                case "killed" -> {
                    killed(Integer.parseInt(words[1]));
                    yield "goes on";
                }
                default -> throw new IllegalArgumentException(check);
            };
            System.out.println("rank " + rank + " of " + n + ", " + check + ": " + result);
        }
    }

    /// One rank fails while the others compute and never come to hear of it.
    private void late(int failing) {
        c.barrier().await();
        if (rank == failing) {
            throw new IllegalArgumentException("the tape tore");
        }
        LockSupport.parkNanos(120_000_000_000L);
    }

    /// One process is killed while the others wait for it.
    private void killed(int failing) {
        c.barrier().await();
        if (rank == failing) {
            try {
                new ProcessBuilder("kill", "-9", "" + ProcessHandle.current().pid()).start().waitFor();
            } catch (IOException | InterruptedException e) {
                throw new AssertionError(e);
            }
        }
        c.barrier().await();
    }
}
