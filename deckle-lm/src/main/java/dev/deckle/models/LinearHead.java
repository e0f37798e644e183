package dev.deckle.models;

import dev.deckle.nn.Linear;
import dev.deckle.tensor.Tensor;

/// A model whose logits are its hidden states times a matrix, and nothing more.
interface LinearHead extends CausalLm {
    /// (vocab_size, hidden_size), often tied to the embedding.
    Linear lmHead();

    @Override
    default Tensor head(Tensor hidden) {
        return lmHead().forward(hidden);
    }

    @Override
    default Tensor lossSum(Tensor hidden, Tensor targets, long ignored) {
        return lmHead().crossEntropySum(hidden.reshape(-1, hidden.dim(-1)), targets.reshape(-1), ignored);
    }
}
