package dev.deckle.align;

import dev.deckle.models.SequenceClassifier;
import dev.deckle.nn.Linear;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;
import java.util.function.Supplier;

/// Says what is still to be had from each token on.
sealed interface Critic {
    /// (B, T), of what each token was drawn from.
    ///
    /// @param hidden the actor's last hidden states (B, T, hidden_size)
    Tensor values(Padded batch, Supplier<Tensor> hidden);

    /// A model of its own, as large as the actor.
    record Own(SequenceClassifier model) implements Critic {
        @Override
        public Tensor values(Padded batch, Supplier<Tensor> hidden) {
            return model.forward(batch.inputs(), Pass.evaluate()).squeeze(-1);
        }
    }

    /// A head on the actor's trunk, which then learns from both losses: cheaper, and each is in the other's way.
    ///
    /// @param score hidden_size to 1
    record Shared(Linear score) implements Critic {
        @Override
        public Tensor values(Padded batch, Supplier<Tensor> hidden) {
            return score.forward(hidden.get()).squeeze(-1);
        }
    }
}
