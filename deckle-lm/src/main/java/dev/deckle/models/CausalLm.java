package dev.deckle.models;

import com.google.gson.JsonObject;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Map;

/// A model that predicts the next token at each position from the tokens up to it. What training, scoring and
/// generation need of a model, whatever its family and its kind of attention.
public interface CausalLm extends AutoCloseable {
    /// ids (B, T) I64 to logits (B, T, vocab_size).
    Tensor forward(Tensor ids, Pass pass);

    /// The last hidden states (B, T, hidden_size), before the head: for when only some positions need logits.
    Tensor hidden(Tensor ids, Pass pass);

    /// Hidden states (..., hidden_size) to logits (..., vocab_size).
    Tensor head(Tensor hidden);

    /// Parameters by the names of the checkpoint.
    Map<String, Tensor> parameters();

    /// The model's `config.json`.
    JsonObject configJson();

    int vocabSize();

    /// The longest sequence it can take.
    int maxPositionEmbeddings();

    /// How many positions each layer's attention looks back on, itself counted; 0 is all of them, and so is a layer
    /// that is not in the list. A cache need not keep more.
    default List<Integer> windows() {
        return List.of();
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

    /// Gives the memory of the parameters back.
    @Override
    void close();
}
