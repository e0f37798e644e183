package dev.deckle.nn;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// The gated feed-forward network: one projection decides how much of the other passes.
///
/// - **Formula**: y = W_down (silu(W_gate x) * W_up x)
/// - **Shapes**: x (..., hidden), inside (..., intermediate), y (..., hidden); [#width(int)] gives the intermediate
///   size of as many parameters as a two-layer network of 4 hidden has
/// - **Cost**: 6 hidden intermediate operations a row forward
/// - **Source**: Shazeer 2020
/// - **PyTorch**: Hugging Face's `LlamaMLP`
/// - **Classic mistake**: silu on the up projection in place of the gate, or keeping 4 hidden with three matrices,
///   which is half as many parameters again
public final class SwiGluMlp {
    private final Linear gateProj;
    private final Linear upProj;
    private final Linear downProj;
    private final Optional<UnaryOperator<Tensor>> activation; // silu if there is none

    public SwiGluMlp(Weights w, int hiddenSize, int intermediateSize, boolean bias, Init init) {
        this(w, hiddenSize, intermediateSize, bias, init, Optional.empty());
    }

    /// With another activation than silu: GEGLU and its kin.
    public SwiGluMlp(
            Weights w, int hiddenSize, int intermediateSize, boolean bias, Init init,
            Optional<UnaryOperator<Tensor>> activation) {
        this.activation = activation;
        gateProj = new Linear(w.scope("gate_proj"), hiddenSize, intermediateSize, bias, init);
        upProj = new Linear(w.scope("up_proj"), hiddenSize, intermediateSize, bias, init);
        downProj = new Linear(w.scope("down_proj"), intermediateSize, hiddenSize, bias, init);
    }

    /// With PyTorch's initial values and biases.
    public SwiGluMlp(Weights w, int hiddenSize, int intermediateSize) {
        activation = Optional.empty();
        gateProj = new Linear(w.scope("gate_proj"), hiddenSize, intermediateSize, true);
        upProj = new Linear(w.scope("up_proj"), hiddenSize, intermediateSize, true);
        downProj = new Linear(w.scope("down_proj"), intermediateSize, hiddenSize, true);
    }

    /// 4 hidden times 2/3, rounded up to a multiple of 8.
    public static int width(int hiddenSize) {
        return (8 * hiddenSize / 3 + 7) / 8 * 8;
    }

    public Tensor forward(Tensor x) {
        Tensor gate = gateProj.forward(x);
        Tensor up = upProj.forward(x);
        return downProj.forward(activation.map(f -> f.apply(gate).mul(up))
                .orElseGet(() -> Functional.swiglu(gate, up, inside(gate))));
    }

    /// The type of what goes from two products to the third: BF16 where they would round it in both directions.
    private DType inside(Tensor gate) {
        return downProj.takesHalves() && gateProj.takesHalvesBack() && upProj.takesHalvesBack()
                ? DType.BF16
                : gate.dtype();
    }

    /// Whether x may be of BF16, see [Linear#takesHalves].
    public boolean takesHalves() {
        return gateProj.takesHalves() && upProj.takesHalves();
    }
}
