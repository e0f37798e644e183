package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;

/// The gated feed-forward network (Shazeer 2020): down(silu(gate(x)) * up(x)). Hugging Face's `LlamaMLP`.
public final class SwiGluMlp {
    private final Linear gateProj;
    private final Linear upProj;
    private final Linear downProj;

    public SwiGluMlp(Weights w, int hiddenSize, int intermediateSize, boolean bias, Init init) {
        gateProj = new Linear(w.scope("gate_proj"), hiddenSize, intermediateSize, bias, init);
        upProj = new Linear(w.scope("up_proj"), hiddenSize, intermediateSize, bias, init);
        downProj = new Linear(w.scope("down_proj"), intermediateSize, hiddenSize, bias, init);
    }

    public Tensor forward(Tensor x) {
        return downProj.forward(Functional.swiglu(gateProj.forward(x), upProj.forward(x)));
    }
}
