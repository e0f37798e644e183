package dev.deckle.mistakes;

import dev.deckle.nn.Init;
import dev.deckle.nn.Weights;
import dev.deckle.parity.Component;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/// Normalisation by the formulas.
public final class NormMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        UNBIASED_VARIANCE("x.var() divides by n - 1 unless it is told otherwise: rows come out too small"),
        EPS_OUTSIDE_THE_ROOT("sqrt(var) + eps is much less than sqrt(var + eps) where a row hardly varies"),
        NO_ROOT("divided by the variance in place of its root: the standard deviation is one step further"),
        OVER_THE_BATCH("statistics over positions in place of the row: dim=0 or dim=1, as batch norm has it"),
        MEAN_SUBTRACTED("RMSNorm leaves the mean alone: it is layer norm from habit"),
        MEAN_NOT_SUBTRACTED("divided by the deviation but never centred: (x - mean) without brackets"),
        NO_MEAN_OF_SQUARES("the root of the sum, not of the mean, of squares: the norm of the row"),
        NO_SCALE_AND_SHIFT("gamma and beta are forgotten: at first they are 1 and 0, so nothing shows"),
        BATCH_STATISTICS_IN_EVALUATION("an example's result depends on its neighbours: training is never switched off"),
        RUNNING_MIXED_THE_OTHER_WAY("running = momentum running + (1 - momentum) batch: other libraries' momentum"),
        RUNNING_VARIANCE_NOT_KEPT("only the mean is mixed into the running one: evaluation scales by 1"),
        OVER_FIRST_DIMENSION_ONLY("in images each pixel gets statistics of its own: mean(0) in place of (0, 2, 3)");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private NormMistakes() {}

    /// Each row of x to mean 0 and variance 1, then scaled and shifted.
    public static Tensor layerNorm(Tensor x, Tensor gamma, Tensor beta, double eps, Slip slip) {
        int dim = slip == Slip.OVER_THE_BATCH ? 0 : x.rank() - 1;
        Tensor mean = x.mean(dim, true);
        Tensor centred = x.sub(mean);
        double n = slip == Slip.UNBIASED_VARIANCE ? x.dim(dim) - 1 : x.dim(dim);
        Tensor var = centred.square().sum(dim, true).div(n);
        Tensor numerator = slip == Slip.MEAN_NOT_SUBTRACTED ? x : centred;
        Tensor norm = numerator.div(deviation(var, eps, slip));
        return slip == Slip.NO_SCALE_AND_SHIFT ? norm : norm.mul(gamma).add(beta);
    }

    /// Each row of x to root mean square 1, then scaled.
    public static Tensor rmsNorm(Tensor x, Tensor gamma, double eps, Slip slip) {
        int dim = slip == Slip.OVER_THE_BATCH ? 0 : x.rank() - 1;
        Tensor from = slip == Slip.MEAN_SUBTRACTED ? x.sub(x.mean(dim, true)) : x;
        Tensor squares = from.square();
        Tensor mean = slip == Slip.NO_MEAN_OF_SQUARES ? squares.sum(dim, true) : squares.mean(dim, true);
        Tensor norm = from.div(deviation(mean, eps, slip));
        return slip == Slip.NO_SCALE_AND_SHIFT ? norm : norm.mul(gamma);
    }

    private static Tensor deviation(Tensor var, double eps, Slip slip) {
        return switch (slip) {
            case EPS_OUTSIDE_THE_ROOT -> var.sqrt().add(eps);
            case NO_ROOT -> var.add(eps);
            default -> var.add(eps).sqrt();
        };
    }

    static List<Exercise> exercises() {
        double[] flat = {1e-4, -2e-4, 3e-4, -1e-4}; // a row that hardly varies: eps decides
        Tensor x = Tensor.of(flat, 1, 4);
        Tensor one = Tensor.of(new double[] {1, 1, 1, 1});
        Tensor zero = Tensor.of(new double[] {0, 0, 0, 0});
        return List.of(
                Exercise.of("layer-norm").golden("layer_norm", NormMistakes::layerNorm, Slip.NONE,
                        List.of(Slip.UNBIASED_VARIANCE, Slip.NO_ROOT, Slip.OVER_THE_BATCH, Slip.MEAN_NOT_SUBTRACTED,
                                Slip.NO_SCALE_AND_SHIFT))
                        .numbers(() -> centredOver(flat, 1e-6), s -> layerNorm(x, one, zero, 1e-6, s).toDoubles(),
                                Slip.NONE, List.of(Slip.EPS_OUTSIDE_THE_ROOT)),
                Exercise.of("rms-norm").golden("rms_norm", NormMistakes::rmsNorm, Slip.NONE,
                        List.of(Slip.NO_ROOT, Slip.OVER_THE_BATCH, Slip.MEAN_SUBTRACTED, Slip.NO_MEAN_OF_SQUARES,
                                Slip.NO_SCALE_AND_SHIFT))
                        .numbers(() -> over(flat, 1e-6), s -> rmsNorm(x, one, 1e-6, s).toDoubles(), Slip.NONE,
                                List.of(Slip.EPS_OUTSIDE_THE_ROOT)),
                Exercise.of("batch-norm").golden("batch_norm", NormMistakes::batchNorm, Slip.NONE,
                        List.of(Slip.UNBIASED_VARIANCE, Slip.NO_ROOT, Slip.BATCH_STATISTICS_IN_EVALUATION,
                                Slip.RUNNING_MIXED_THE_OTHER_WAY, Slip.RUNNING_VARIANCE_NOT_KEPT,
                                Slip.OVER_FIRST_DIMENSION_ONLY)));
    }

    private static double[] centredOver(double[] row, double eps) {
        double mean = Arrays.stream(row).average().orElseThrow();
        return over(Arrays.stream(row).map(v -> v - mean).toArray(), eps);
    }

    private static double[] over(double[] row, double eps) {
        double squares = Arrays.stream(row).map(v -> v * v).average().orElseThrow();
        return Arrays.stream(row).map(v -> v / Math.sqrt(squares + eps)).toArray();
    }

    private static Component layerNorm(Slip slip) {
        return r -> {
            r.config().integer("hidden_size");
            return Map.of("y", layerNorm(r.input("x"), r.parameter("gamma"), r.parameter("beta"),
                    r.config().real("eps"), slip));
        };
    }

    private static Component rmsNorm(Slip slip) {
        return r -> {
            r.config().integer("hidden_size");
            return Map.of("y", rmsNorm(r.input("x"), r.parameter("gamma"), r.config().real("eps"), slip));
        };
    }

    /// x (N, C, ...): statistics over all dimensions but that of the channels.
    private static Component batchNorm(Slip slip) {
        return r -> {
            int c = r.config().integer("num_features");
            double eps = r.config().real("eps");
            double momentum = r.config().real("momentum");
            boolean training = r.config().flag("training", false) || slip == Slip.BATCH_STATISTICS_IN_EVALUATION;
            boolean unbiased = r.config().flag("unbiased_running_var", true);
            Weights w = r.weights(Map.of());
            Tensor gamma = w.get("gamma", Init.ones(), c);
            Tensor beta = w.get("beta", Init.zeros(), c);
            Tensor runningMean = w.buffer("running_mean", Init.zeros(), c);
            Tensor runningVar = w.buffer("running_var", Init.ones(), c);
            Tensor x = r.input("x");
            int[] perChannel = IntStream.range(0, x.rank()).map(i -> i == 1 ? c : 1).toArray(); // (1, C, 1, ...)
            Tensor mean = runningMean.reshape(perChannel);
            Tensor var = runningVar.reshape(perChannel);
            if (training) {
                double n = (double) x.numel() / c;
                mean = overBatch(x, slip);
                var = overBatch(x.sub(mean).square(), slip);
                if (slip != Slip.OVER_FIRST_DIMENSION_ONLY) {
                    double keep = slip == Slip.RUNNING_MIXED_THE_OTHER_WAY ? momentum : 1 - momentum;
                    mix(runningMean, mean, keep);
                    if (slip != Slip.RUNNING_VARIANCE_NOT_KEPT) {
                        mix(runningVar, var.mul(unbiased ? n / (n - 1) : 1), keep);
                    }
                }
                var = slip == Slip.UNBIASED_VARIANCE ? var.mul(n / (n - 1)) : var;
            }
            Tensor norm = x.sub(mean).div(deviation(var, eps, slip));
            return Map.of("y", norm.mul(gamma.reshape(perChannel)).add(beta.reshape(perChannel)));
        };
    }

    private static Tensor overBatch(Tensor x, Slip slip) {
        Tensor mean = x.mean(0, true);
        for (int i = 2; i < x.rank() && slip != Slip.OVER_FIRST_DIMENSION_ONLY; i++) {
            mean = mean.mean(i, true);
        }
        return mean;
    }

    private static void mix(Tensor running, Tensor batch, double keep) {
        running.detach().mul(keep).add(batch.detach().reshape(-1).mul(1 - keep)).copyInto(running);
    }
}
