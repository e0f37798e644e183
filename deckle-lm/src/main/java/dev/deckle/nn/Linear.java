package dev.deckle.nn;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Optional;

/// An affine map of the last dimension.
///
/// - **Formula**: y = x W^T + b
/// - **Shapes**: x (..., in), W (out, in), b (out), y (..., out)
/// - **Cost**: 2 in out operations a row forward, twice that backward
/// - **Source**: Rosenblatt 1958
/// - **PyTorch**: `nn.Linear`, with its initialisation: the same seed gives the same layer
/// - **Classic mistake**: storing W as (in, out), which a checkpoint's (out, in) then fits only where the two are equal
public final class Linear {
    private final Tensor weight; // (out, in), or (in, out) where `transposed`
    private final boolean transposed;
    private final Optional<Tensor> bias; // (out)
    private final Optional<LoraAdapter> adapter;

    public Linear(Weights w, int in, int out, boolean bias, Init init) {
        weight = w.get("weight", init, out, in);
        transposed = false;
        this.bias = bias ? Optional.of(w.get("bias", Init.zeros(), out)) : Optional.empty();
        adapter = w.adapter(in, out);
    }

    /// With PyTorch's initial values: both uniform with bound 1 / sqrt(in), the weight drawn first.
    public Linear(Weights w, int in, int out, boolean bias) {
        weight = w.get("weight", Init.kaimingUniform(Math.sqrt(5)), out, in);
        transposed = false;
        this.bias = bias ? Optional.of(w.get("bias", Init.uniform(1 / Math.sqrt(in)), out)) : Optional.empty();
        adapter = w.adapter(in, out);
    }

    /// A layer that uses a weight which is already there, such as a tied head.
    public Linear(Tensor weight) {
        this(weight, Optional.empty(), false, Optional.empty());
    }

    private Linear(Tensor weight, Optional<Tensor> bias, boolean transposed, Optional<LoraAdapter> adapter) {
        this.weight = weight;
        this.bias = bias;
        this.transposed = transposed;
        this.adapter = adapter;
    }

    /// A layer with a bias whose weight lies as (in, out): Hugging Face's `Conv1D` of GPT-2.
    public static Linear transposed(Weights w, int in, int out, Init init) {
        return new Linear(w.wide("weight", init, in, out), Optional.of(w.get("bias", Init.zeros(), out)), true,
                w.adapter(in, out));
    }

    /// A layer without a bias whose weight is also asked for by itself, and F32 for that ([Weights#wide]).
    static Linear wide(Weights w, int in, int out, Init init) {
        return new Linear(w.wide("weight", init, out, in), Optional.empty(), false, w.adapter(in, out));
    }

    public Tensor forward(Tensor x) {
        Tensor y = Functional.linear(x, transposed ? weight.t() : weight, bias);
        return adapter.isPresent() && !Lora.isOff() ? adapter.get().addTo(y, x) : y;
    }

    /// The sum of the cross entropies of the rows of y as logits: x (N, in), targets (N) I64, result (). Where y is no
    /// more than x W^T, it is never held whole.
    public Tensor crossEntropySum(Tensor x, Tensor targets, long ignoreIndex) {
        boolean plain = bias.isEmpty() && (adapter.isEmpty() || Lora.isOff());
        return plain
                ? Functional.linearCrossEntropy(x, transposed ? weight.t() : weight, targets, ignoreIndex)
                : Functional.crossEntropy(forward(x), targets, ignoreIndex).sum();
    }

    /// Whether x is rounded to BF16 before it is multiplied, because the weights are of it.
    boolean rounds() {
        return weight.dtype() == DType.BF16;
    }

    /// Whether that is all that is done with x: then it may as well be of BF16.
    boolean takesHalves() {
        return rounds() && adapter.isEmpty();
    }

    /// Whether the same is true of the gradient of y.
    boolean takesHalvesBack() {
        return takesHalves() && bias.isEmpty();
    }

    /// The matrix (out, in) that x is multiplied by, its adapter included.
    Tensor weight() {
        Tensor w = transposed ? weight.t() : weight;
        return adapter.isPresent() && !Lora.isOff() ? adapter.get().mergedInto(w) : w;
    }
}
