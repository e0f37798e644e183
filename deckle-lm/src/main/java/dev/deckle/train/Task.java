package dev.deckle.train;

import com.google.gson.JsonObject;
import dev.deckle.distributed.Communicator;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/// What a [Loop] trains a model for, on one rank: where losses come from, and what is told about them. Ranks keep
/// together: each is asked the same things in the same order.
///
/// What it gives is a function of the step, the seed and the weights alone; whatever else it remembers it saves with
/// each checkpoint.
public interface Task {
    /// A part of a step's loss.
    ///
    /// @param loss computes it, a single number
    /// @param scale what it counts in the step's loss, which is the sum over all parts and ranks
    record MicroBatch(Supplier<Tensor> loss, double scale) {}

    /// Before anything else: what it has to do with.
    void connect(Communicator ranks, Partition partition);

    /// This rank's parts of the loss of a step (0, 1, ...); as many on each rank. They are computed in this order, each
    /// once.
    List<MicroBatch> microBatches(long step) throws IOException;

    /// What is told of the step that was made last, beside its loss: the same on every rank.
    ///
    /// @param seconds how long it took
    Map<String, Number> metrics(long step, double seconds);

    /// Measures the model on what it does not learn from.
    ///
    /// @param last of the run
    default Map<String, Number> evaluate(boolean last) {
        return Map.of();
    }

    /// Something for a person to read.
    ///
    /// @param text for the terminal
    /// @param rows the same for `samples.jsonl`, if that is kept
    record Sample(String text, List<JsonObject> rows) {}

    /// Something for a person to read, on the first rank.
    default Optional<Sample> sample(long step) {
        return Optional.empty();
    }

    /// Whether the model that comes out is of F32 throughout, whatever its layers compute with: nothing that it has
    /// learned is rounded away. Else it has the types that it was opened with.
    default boolean savesMasters() {
        return false;
    }

    /// Of all data: a run goes on with the same only.
    long checksum();

    /// Writes what it remembers into a checkpoint that is being made, on the first rank.
    default void save(Path checkpoint) throws IOException {}

    /// Reads it again, on every rank.
    default void restore(Path checkpoint) throws IOException {}
}
