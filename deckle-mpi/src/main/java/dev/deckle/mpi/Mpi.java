package dev.deckle.mpi;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.QueuedCommunicator;
import dev.deckle.distributed.RankFailure;
import dev.deckle.distributed.SoloCommunicator;
import dev.deckle.distributed.Timeline;

/// Ranks that are processes, started by Open MPI's `mpirun -n N ./deckle ...`.
///
/// **Failure.** A rank that calls [Communicator#abort(String)] is heard by those that wait: they get a [RankFailure]
/// and end by themselves. Who has not heard within three seconds, because it computes, is ended by `MPI_Abort` when the
/// failing process exits. As soon as a process exits with a code other than 0, `mpirun` sends SIGTERM to the others and
/// adds a notice of its own to stderr ("Primary job terminated normally, but 1 process returned a non-zero exit code",
/// then "mpirun detected that one or more processes exited with non-zero status"); `mpirun -q` leaves that out.
/// So every process that has failed stays for half a second after its last line, while the others say theirs.
///
/// **Killed.** Where a process is killed nothing reaches the others but `mpirun`'s SIGTERM, upon which a JVM runs its
/// shutdown hooks and exits with 143. It is `mpirun` that names the rank: "mpirun noticed that process rank 1 with PID
/// ... on node ... exited on signal 9 (Killed)", and that exits with 137.
///
/// **Ctrl-C.** `mpirun` waits a second, sends SIGTERM to all, waits another and kills them. A step and its checkpoint
/// may take longer: `mpirun --mca odls_base_sigkill_timeout 10` makes it ten, both times. SIGTERM to the process of
/// rank 0 alone ends the run at once and in order: it decides for all, and nobody is in a hurry.
///
/// **Binding.** With two processes or fewer `mpirun` binds each to one core, with more to a socket; a process then sees
/// that many processors. `--bind-to none` gives all of them to each.
public final class Mpi {
    private Mpi() {}

    /// Whether this process was started by Open MPI's `mpirun`. This and the next ones are known before MPI is started.
    public static boolean launched() {
        return System.getenv("OMPI_COMM_WORLD_SIZE") != null;
    }

    public static int rank() {
        return number("OMPI_COMM_WORLD_RANK", 0);
    }

    public static int size() {
        return number("OMPI_COMM_WORLD_SIZE", 1);
    }

    /// How many of the ranks are on this machine.
    public static int localSize() {
        return number("OMPI_COMM_WORLD_LOCAL_SIZE", 1);
    }

    private static int number(String variable, int otherwise) {
        String value = System.getenv(variable);
        return value == null ? otherwise : Integer.parseInt(value);
    }

    /// All processes of this run. MPI can be started once in the life of a process; a run of one rank does without it.
    ///
    /// @throws IllegalStateException in one line, if Open MPI's library is not there or does not start
    public static Communicator world(Timeline timeline) {
        return size() == 1
                ? new SoloCommunicator()
                : new QueuedCommunicator(new MpiTransport(LibMpi.open(), rank(), size()), timeline);
    }
}
