package dev.deckle.models;

import com.google.gson.JsonObject;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Map;

/// A model that predicts the next token at each position from the tokens up to it. What training, scoring and
/// generation need of a model, whatever its family and its kind of attention.
public interface CausalLm extends AutoCloseable {
    /// ids (B, T) I64 to logits (B, T, vocab_size).
    default Tensor forward(Tensor ids, Pass pass) {
        return head(hidden(ids, pass));
    }

    /// The last hidden states (B, T, hidden_size), before the head: for when only some positions need logits.
    Tensor hidden(Tensor ids, Pass pass);

    /// Hidden states (..., hidden_size) to logits (..., vocab_size).
    Tensor head(Tensor hidden);

    /// The sum of `-log p(target)` over the positions of hidden states (..., hidden_size): targets I64, one a position;
    /// those that are `ignored` do not count. A model whose logits are hidden states times a matrix never holds them
    /// all, which in a model with a large vocabulary are more than all else.
    default Tensor lossSum(Tensor hidden, Tensor targets, long ignored) {
        Tensor logits = head(hidden);
        return Functional.crossEntropy(logits.reshape(-1, logits.dim(-1)), targets.reshape(-1), ignored).sum();
    }

    /// What every model has, whatever it computes.
    ///
    /// @param configJson its `config.json`
    /// @param parameters by the names of the checkpoint
    /// @param memory where they live
    /// @param maxPositionEmbeddings the longest sequence it can take
    /// @param fixedPositions how many positions keep their rotation whatever the length is; a longer prompt must go
    ///     through the model at once
    /// @param windows how many positions the attention of each layer sees; 0 for all
    record State(
            JsonObject configJson, Map<String, Tensor> parameters, ModelMemory memory, int vocabSize,
            int maxPositionEmbeddings, int fixedPositions, List<Integer> windows) {}

    State state();

    /// Parameters by the names of the checkpoint.
    default Map<String, Tensor> parameters() {
        return state().parameters;
    }

    /// The model's `config.json`.
    default JsonObject configJson() {
        return state().configJson;
    }

    default int vocabSize() {
        return state().vocabSize;
    }

    /// The longest sequence it can take.
    default int maxPositionEmbeddings() {
        return state().maxPositionEmbeddings;
    }

    /// How many positions the attention of each layer sees, the newest; 0 for all. A cache need not keep more.
    default List<Integer> windows() {
        return state().windows;
    }

    /// An empty cache that fits it.
    ///
    /// @param capacity positions that a sequence can have
    /// @param sequences how many there are at most
    default KvCache cache(KvCache.Kind kind, int capacity, int sequences) {
        return kind.open(capacity, sequences, windows());
    }

    /// How many numbers it learns; a tied head counts once.
    default long parameterCount() {
        return parameters().values().stream().mapToLong(Tensor::numel).sum();
    }

    /// For a computation that runs while another thread may close the model, which then waits.
    ///
    /// @throws IllegalStateException if it is closed
    default ModelMemory.Lease lease() {
        return state().memory.lease();
    }

    /// Gives the memory of the parameters back.
    @Override
    default void close() {
        state().memory.close();
    }
}
