package dev.deckle.nn;

import dev.deckle.autograd.NoGrad;
import dev.deckle.tensor.Tensor;
import java.util.stream.IntStream;

/// Brings each channel to mean 0 and variance 1 over the batch, then scales and shifts it. In training with the
/// statistics of the batch, which it also mixes into running ones; in evaluation with the running ones, so that an
/// example's result does not depend on its neighbours.
///
/// The notebook mixes the biased variance into the running one. PyTorch mixes in the unbiased one, n / (n - 1) times as
/// large, while it normalises with the biased one; [Variance] chooses.
///
/// - **Formula**: y = (x - mean) / sqrt(var + eps) weight + bias; running = (1 - momentum) running + momentum batch
/// - **Shapes**: x (N, C), (N, C, L) or (N, C, H, W); weight, bias, running_mean, running_var (C)
/// - **Cost**: two passes over the batch
/// - **Source**: Ioffe and Szegedy 2015
/// - **PyTorch**: `nn.BatchNorm1d`, `nn.BatchNorm2d`
/// - **Classic mistake**: normalising with the unbiased variance, or with the batch's statistics in evaluation
public final class BatchNorm {
    /// Which variance of the batch the running one takes up.
    public enum Variance {
        /// The sum of squares over n - 1, as PyTorch does.
        UNBIASED,
        /// Over n, as the notebook does.
        BIASED
    }

    private final Tensor weight; // (C)
    private final Tensor bias; // (C)
    private final Tensor runningMean; // (C)
    private final Tensor runningVar; // (C)
    private final double eps;
    private final double momentum;
    private final Variance running;

    public BatchNorm(Weights w, int channels, double eps, double momentum, Variance running) {
        weight = w.get("weight", Init.ones(), channels);
        bias = w.get("bias", Init.zeros(), channels);
        runningMean = w.buffer("running_mean", Init.zeros(), channels);
        runningVar = w.buffer("running_var", Init.ones(), channels);
        this.eps = eps;
        this.momentum = momentum;
        this.running = running;
    }

    /// Training where `pass` says so (it brings a random stream), else evaluation.
    ///
    /// @throws IllegalArgumentException if x has not C channels, or in training only one number a channel
    public Tensor forward(Tensor x, Pass pass) {
        int c = weight.dim(0);
        if (x.rank() < 2 || x.dim(1) != c) {
            throw new IllegalArgumentException("batch_norm: x has shape " + x.shape() + ", expected (N, " + c
                    + ", ...)");
        }
        int[] order = IntStream.range(0, x.rank()).map(i -> i == 0 ? 1 : i == 1 ? 0 : i).toArray();
        Tensor channels = x.permute(order).reshape(c, -1); // (N, C, ...) -> (C, n)
        Tensor mean;
        Tensor var;
        if (pass.random().isPresent()) {
            mean = channels.mean(1, true); // (C, 1)
            var = channels.sub(mean).square().mean(1, true);
            update(mean.detach(), var.detach(), channels.dim(1));
        } else {
            mean = runningMean.reshape(c, 1);
            var = runningVar.reshape(c, 1);
        }
        Tensor norm = channels.sub(mean).mul(var.add(eps).rsqrt()); // (C, n)
        Tensor y = norm.mul(weight.reshape(c, 1)).add(bias.reshape(c, 1));
        int[] swapped = x.shape().toArray();
        swapped[0] = c;
        swapped[1] = x.dim(0);
        return y.reshape(swapped).permute(order); // (C, n) -> (N, C, ...)
    }

    private void update(Tensor mean, Tensor var, int n) {
        if (n < 2) {
            throw new IllegalArgumentException("batch_norm: a batch with one number a channel has no variance to learn "
                    + "from; more are expected in training");
        }
        try (NoGrad _ = NoGrad.open()) {
            double unbiased = running == Variance.UNBIASED ? n / (n - 1.0) : 1;
            mix(runningMean, mean);
            mix(runningVar, var.mul(unbiased));
        }
    }

    private void mix(Tensor into, Tensor batch) {
        into.mul(1 - momentum).add(batch.reshape(-1).mul(momentum)).copyInto(into);
    }
}
