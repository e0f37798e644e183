package dev.deckle.optim;

import java.util.function.DoubleUnaryOperator;

/// Downhill in small steps, on one number: the whole of training in three lines.
///
/// - **Formula**: x -= lr f'(x)
/// - **Shapes**: a number
/// - **Cost**: one derivative a step
/// - **Source**: Cauchy 1847
/// - **PyTorch**: `torch.optim.SGD(lr)`
/// - **Classic mistake**: a rate above 2 / f'', with which every step lands further away than the last
public record GradientDescent(double lr) {
    /// Every x from the start on: `steps` + 1 of them.
    public double[] path(DoubleUnaryOperator derivative, double start, int steps) {
        double[] x = new double[steps + 1];
        x[0] = start;
        for (int i = 0; i < steps; i++) {
            x[i + 1] = x[i] - lr * derivative.applyAsDouble(x[i]);
        }
        return x;
    }
}
