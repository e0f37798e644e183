package dev.deckle.align;

import dev.deckle.distributed.Communicator;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Where batches of rollouts come from: groups of completions of the same prompt, in order.
interface RolloutSource {
    /// Before anything else: what it has to do with.
    default void connect(Communicator ranks, Partition partition) {}

    /// A batch (0, 1, ...) of all ranks, the same on each of them.
    List<Row.Rollout> batch(long index) throws IOException;

    /// What is told of the batch that came last, beside its rewards.
    default Map<String, Number> metrics() {
        return Map.of();
    }

    /// Whether the model draws them when they are asked for.
    default boolean drawnNow() {
        return false;
    }

    /// Some of a batch for a person to read.
    default Optional<String> sample(List<Row.Rollout> batch) {
        return Optional.empty();
    }

    /// Recorded ones, as many a batch.
    static RolloutSource recorded(List<Row.Rollout> rows, int each) {
        return index -> {
            long from = index * each % (rows.size() / each * (long) each);
            return rows.subList((int) from, (int) from + each);
        };
    }
}
