package dev.deckle.align;

import dev.deckle.models.CausalLm;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;

/// What a model thinks of a batch.
///
/// @param logprobs (B, T) of the tokens that count, 0 elsewhere
/// @param logits (B, T, vocab), divided by the temperature
/// @param hidden (B, T, hidden_size), the last hidden states
record Policy(Tensor logprobs, Tensor logits, Tensor hidden) {
    /// @param temperature that the tokens are drawn at: what is learned is the distribution that they come from
    static Policy of(CausalLm model, Padded batch, Pass pass, double temperature) {
        Tensor hidden = model.hidden(batch.inputs(), pass.packed(batch.lengths())); // (B, T, hidden)
        Tensor logits = model.head(hidden); // (B, T, V)
        Tensor scaled = temperature == 1 ? logits : logits.div(temperature);
        Tensor losses = Functional.crossEntropy(scaled.reshape(-1, scaled.dim(-1)), batch.targets(), Padded.IGNORED);
        return new Policy(losses.neg().reshape(batch.mask().shape()), scaled, hidden);
    }

    /// The sum of the entropies of the distributions at the tokens that count, in nats.
    double entropySum(Padded batch) {
        Tensor logp = logits.detach().logSoftmax(-1); // (B, T, V)
        return -logp.exp().mul(logp).sum(-1, false).mul(batch.mask()).sum().item();
    }
}
