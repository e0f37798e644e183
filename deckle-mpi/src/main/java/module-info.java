/// Ranks that are processes, on one machine or several: Open MPI, called through the foreign function interface.
module dev.deckle.mpi {
    requires transitive dev.deckle.lm;

    exports dev.deckle.mpi;
}
