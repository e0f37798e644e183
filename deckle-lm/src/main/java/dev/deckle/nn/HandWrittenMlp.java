package dev.deckle.nn;

import java.util.random.RandomGenerator;

/// The multilayer perceptron on plain arrays, forward and backward written out: what autograd does for [Mlp], by hand.
///
/// - **Formula**: h = relu(x W1 + b1), y = h W2 + b2; given dy: dW2 = h^T dy, db2 = sum of dy over rows, dh = dy W2^T
///   where h > 0, dW1 = x^T dh, db1 = sum of dh, dx = dh W1^T
/// - **Shapes**: x (n, in), W1 (in, hidden), W2 (hidden, out), y (n, out); the weights are the transposes of [Mlp]'s
/// - **Cost**: 2 n hidden (in + out) operations forward, twice that backward
/// - **Source**: Rumelhart, Hinton and Williams 1986; weights start as Glorot and Bengio 2010
/// - **PyTorch**: `loss.backward()`; `nn.init.xavier_uniform_`
/// - **Classic mistake**: dh without the derivative of ReLU, which lets gradient through units that were off
public final class HandWrittenMlp {
    public final double[][] w1; // (in, hidden)
    public final double[] b1; // (hidden)
    public final double[][] w2; // (hidden, out)
    public final double[] b2; // (out)

    /// Derivatives by everything that [#backward] can know of, in the shapes of what they belong to.
    public record Gradients(double[][] w1, double[] b1, double[][] w2, double[] b2, double[][] x) {}

    private double[][] x; // the last input, (n, in)
    private double[][] h; // and its hidden values, (n, hidden)

    /// Weights uniform with bound sqrt(6 / (fan_in + fan_out)), biases 0.
    public HandWrittenMlp(int inputSize, int hiddenSize, int outputSize, RandomGenerator random) {
        w1 = xavier(inputSize, hiddenSize, random);
        b1 = new double[hiddenSize];
        w2 = xavier(hiddenSize, outputSize, random);
        b2 = new double[outputSize];
    }

    private static double[][] xavier(int in, int out, RandomGenerator random) {
        double bound = Math.sqrt(6.0 / (in + out));
        double[][] w = new double[in][out];
        for (double[] row : w) {
            for (int j = 0; j < out; j++) {
                row[j] = random.nextDouble(-bound, bound);
            }
        }
        return w;
    }

    /// x (n, in) to y (n, out).
    public double[][] forward(double[][] x) {
        this.x = x;
        h = affine(x, w1, b1);
        for (double[] row : h) {
            for (int j = 0; j < row.length; j++) {
                row[j] = Math.max(0, row[j]);
            }
        }
        return affine(h, w2, b2);
    }

    private static double[][] affine(double[][] x, double[][] w, double[] b) {
        double[][] y = new double[x.length][];
        for (int i = 0; i < x.length; i++) {
            y[i] = b.clone();
            for (int k = 0; k < w.length; k++) {
                for (int j = 0; j < b.length; j++) {
                    y[i][j] += x[i][k] * w[k][j];
                }
            }
        }
        return y;
    }

    /// The gradients after [#forward], given dy (n, out), the derivative of the loss by its result.
    public Gradients backward(double[][] dy) {
        double[][] dh = timesTransposed(dy, w2); // (n, hidden)
        for (int i = 0; i < dh.length; i++) {
            for (int j = 0; j < dh[i].length; j++) {
                dh[i][j] = h[i][j] > 0 ? dh[i][j] : 0; // the derivative of ReLU
            }
        }
        return new Gradients(transposedTimes(x, dh), columnSums(dh), transposedTimes(h, dy), columnSums(dy),
                timesTransposed(dh, w1));
    }

    /// a^T b: (n, p), (n, q) to (p, q).
    private static double[][] transposedTimes(double[][] a, double[][] b) {
        double[][] y = new double[a[0].length][b[0].length];
        for (int i = 0; i < a.length; i++) {
            for (int k = 0; k < y.length; k++) {
                for (int j = 0; j < y[k].length; j++) {
                    y[k][j] += a[i][k] * b[i][j];
                }
            }
        }
        return y;
    }

    /// g w^T: (n, q), (p, q) to (n, p).
    private static double[][] timesTransposed(double[][] g, double[][] w) {
        double[][] y = new double[g.length][w.length];
        for (int i = 0; i < g.length; i++) {
            for (int k = 0; k < w.length; k++) {
                for (int j = 0; j < w[k].length; j++) {
                    y[i][k] += g[i][j] * w[k][j];
                }
            }
        }
        return y;
    }

    private static double[] columnSums(double[][] g) {
        double[] sum = new double[g[0].length];
        for (double[] row : g) {
            for (int j = 0; j < sum.length; j++) {
                sum[j] += row[j];
            }
        }
        return sum;
    }
}
