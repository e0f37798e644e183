package dev.deckle.align;

import dev.deckle.distributed.Communicator;
import dev.deckle.tokenizer.Tokenizer;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.util.Arrays;
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

    /// What makes text of them, where that is known.
    default Optional<Tokenizer> tokenizer() {
        return Optional.empty();
    }

    /// Recorded ones, at least as many as a batch has: batch after batch and again from the first. What is no whole
    /// batch at the end is left out.
    ///
    /// @throws IllegalArgumentException in one line, where a group mixes prompts
    static RolloutSource recorded(List<Row.Rollout> rows, AlignOptions options) {
        int each = options.batch_size;
        int batches = rows.size() / each;
        int group = options.group_size;
        for (int i = 0; i < batches * each; i++) { // an advantage is measured against one's own prompt only
            if (!Arrays.equals(rows.get(i).prompt(), rows.get(i / group * group).prompt())) {
                throw new IllegalArgumentException("--group-size " + group + ": rollout " + (i + 1) + " of "
                        + options.rollouts + " has another prompt than the first of its group");
            }
        }
        return index -> {
            int from = (int) (index % batches) * each;
            return rows.subList(from, from + each);
        };
    }
}
