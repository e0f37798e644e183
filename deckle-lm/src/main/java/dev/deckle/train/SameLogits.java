package dev.deckle.train;

import dev.deckle.distributed.Communicator;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;

/// A model whose logits are those of the first rank: hosts with other processors round differently, and ranks that draw
/// different tokens would soon wait for each other in vain.
public record SameLogits(CausalLm model, Communicator ranks) implements CausalLm {
    @Override
    public Tensor hidden(Tensor ids, Pass pass) {
        return model.hidden(ids, pass);
    }

    @Override
    public Tensor head(Tensor hidden) {
        Tensor logits = model.head(hidden);
        ranks.broadcast(logits.reshape(-1), 0).await();
        return logits;
    }

    @Override
    public State state() {
        return model.state();
    }
}
