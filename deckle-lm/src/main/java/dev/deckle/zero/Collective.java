package dev.deckle.zero;

import dev.deckle.distributed.Shard;
import dev.deckle.distributed.Traffic;
import dev.deckle.distributed.Verb;
import dev.deckle.tensor.DType;

/// One of a step's collectives.
///
/// @param numel of the whole tensor
public record Collective(Verb verb, long numel, DType dtype) {
    /// What [Traffic] says of so many of them on a rank.
    Traffic.Count count(int rank, int ranks, long times) {
        long own = Shard.of(numel, rank, ranks).size() * dtype.bytes();
        long scattered = numel * dtype.bytes() - own;
        long gathered = own * (ranks - 1);
        return switch (verb) {
            case ALL_REDUCE -> new Traffic.Count(times, times * 2 * numel, times * (scattered + gathered));
            case REDUCE_SCATTER -> new Traffic.Count(times, times * numel, times * scattered);
            case ALL_GATHER -> new Traffic.Count(times, times * numel, times * gathered);
            case BROADCAST, BARRIER -> throw new IllegalStateException(verb + " is no part of a step");
        };
    }

    /// How long it takes on a ring: N - 1 rounds, in each of which every rank sends the next one an N-th of the tensor;
    /// an all-reduce goes round twice (Patarasuk and Yuan 2009).
    ///
    /// @param bandwidth bytes a second that a rank can send while it receives as much
    /// @param latency seconds of a message of no bytes
    double seconds(int ranks, double bandwidth, double latency) {
        double round = latency + (double) numel * dtype.bytes() / ranks / bandwidth;
        return (verb == Verb.ALL_REDUCE ? 2 : 1) * (ranks - 1) * round;
    }
}
