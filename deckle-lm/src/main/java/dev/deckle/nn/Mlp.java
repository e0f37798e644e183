package dev.deckle.nn;

import dev.deckle.tensor.Tensor;

/// The multilayer perceptron: two layers with a bend between them. [HandWrittenMlp] is the same without autograd.
///
/// - **Formula**: y = W_2 relu(W_1 x + b_1) + b_2
/// - **Shapes**: x (..., in), hidden (..., hidden), y (..., out)
/// - **Cost**: 2 hidden (in + out) operations a row forward, twice that backward
/// - **Source**: Rumelhart, Hinton and Williams 1986
/// - **PyTorch**: `nn.Sequential(nn.Linear, nn.ReLU, nn.Linear)`
/// - **Classic mistake**: no activation between the layers: two linear maps are one linear map
public final class Mlp {
    private final Linear fc1;
    private final Linear fc2;

    public Mlp(Weights w, int inputSize, int hiddenSize, int outputSize) {
        fc1 = new Linear(w.scope("fc1"), inputSize, hiddenSize, true);
        fc2 = new Linear(w.scope("fc2"), hiddenSize, outputSize, true);
    }

    public Tensor forward(Tensor x) {
        return fc2.forward(fc1.forward(x).relu());
    }
}
