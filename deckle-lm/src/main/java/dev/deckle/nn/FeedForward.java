package dev.deckle.nn;

import dev.deckle.tensor.Tensor;
import java.util.function.UnaryOperator;

/// The two-layer feed-forward network of a transformer block: wider, bent, back, dropout last.
///
/// - **Formula**: y = dropout(W_down f(W_up x + b_up) + b_down), f = ReLU, GELU or GELU by tanh
/// - **Shapes**: x (..., hidden), inside (..., intermediate), usually 4 hidden; y (..., hidden)
/// - **Cost**: 4 hidden intermediate operations a row forward
/// - **Source**: Vaswani et al. 2017, section 3.3 (ReLU); Radford et al. 2018 (GELU)
/// - **PyTorch**: `nn.Sequential(nn.Linear, nn.ReLU, nn.Linear, nn.Dropout)`
/// - **Classic mistake**: an activation after the second layer too: with ReLU the block can then only add, never take
///   away
public final class FeedForward {
    private final Linear upProj;
    private final Linear downProj;
    private final UnaryOperator<Tensor> activation;
    private final Dropout dropout;

    /// @param activation such as `Tensor::gelu`
    public FeedForward(
            Weights w, int hiddenSize, int intermediateSize, UnaryOperator<Tensor> activation, Dropout dropout) {
        upProj = new Linear(w.scope("up_proj"), hiddenSize, intermediateSize, true);
        downProj = new Linear(w.scope("down_proj"), intermediateSize, hiddenSize, true);
        this.activation = activation;
        this.dropout = dropout;
    }

    public Tensor forward(Tensor x, Pass pass) {
        return dropout.forward(downProj.forward(activation.apply(upProj.forward(x))), pass);
    }
}
