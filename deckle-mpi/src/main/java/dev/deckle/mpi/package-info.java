/// The communicator between processes that `mpirun` started.
package dev.deckle.mpi;
