package dev.deckle.app;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.Timeline;
import dev.deckle.mpi.Mpi;
import dev.deckle.train.Launch;
import java.io.IOException;
import java.util.Optional;

/// A run whose ranks are threads of this process or, where `mpirun` started it, one of whose ranks this process is.
final class Processes {
    /// A run, told where its ranks are if they are processes.
    @FunctionalInterface
    interface Work {
        void run(Optional<Launch> elsewhere) throws IOException;
    }

    private Processes() {}

    /// How many ranks there are: `mpirun`'s processes, or what was asked for.
    static Integer count(Console console, Integer asked) {
        if (!Mpi.launched()) {
            return asked;
        }
        if (asked != null && asked != Mpi.size()) {
            console.log("mpirun started " + Mpi.size() + " processes, and these are the ranks: --ranks " + asked
                    + " is left aside");
        }
        return Mpi.size();
    }

    static void run(boolean traced, Work work) throws IOException {
        if (!Mpi.launched()) {
            work.run(Optional.empty());
            return;
        }
        Timeline timeline = traced ? new Timeline() : Timeline.off();
        try (Communicator world = Mpi.world(timeline)) {
            try {
                work.run(Optional.of(Launch.process(world, timeline, Errors::message)));
            } catch (IOException | RuntimeException | Error e) {
                world.abort(Errors.message(e)); // so that the others do not wait in vain
                throw e;
            }
        }
    }
}
