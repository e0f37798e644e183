package dev.deckle.align;

import dev.deckle.models.CausalLm;
import dev.deckle.nn.Lora;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;

/// A model with its adapter switched off, which is the model that the adapter began on: the reference, without a copy
/// of it. It reads the parameters of the model, so where ranks divide these it runs within [dev.deckle.zero.Partition].
record Unadapted(CausalLm model) implements CausalLm {
    @Override
    public Tensor hidden(Tensor ids, Pass pass) {
        return Lora.off(() -> model.hidden(ids, pass));
    }

    @Override
    public Tensor head(Tensor hidden) {
        return Lora.off(() -> model.head(hidden));
    }

    @Override
    public State state() {
        return model.state();
    }
}
