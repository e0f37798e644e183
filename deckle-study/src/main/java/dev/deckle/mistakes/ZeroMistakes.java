package dev.deckle.mistakes;

import java.util.Arrays;
import java.util.List;

/// Training divided among ranks: shards of parameters and momentum, gradients summed over the ranks. Ranks are rows of
/// arrays here, and a loss is (w · x - t)^2 for each of the examples, of which every rank has as many.
public final class ZeroMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        LOSS_WITHOUT_PARAMETERS("the loss is the mean of the inputs, as in the notebook: no gradient reaches a weight"),
        REMAINDER_DROPPED("shards of len / ranks numbers: what the ranks do not divide belongs to nobody and never "
                + "learns"),
        OWN_SHARD_REPEATED("all_gather as cat([shard] * ranks), as in the notebook: every part becomes the same one"),
        NOT_SENT("a rank updates its shard and keeps it: from then on the ranks compute with different weights"),
        NOT_REDUCED("stage 1 updates its shard from its own gradient: it only ever learns from its own examples"),
        AVERAGED_TWICE("each rank divides by the examples of all, and the sum is divided by the ranks once more"),
        SUM_OF_MEANS("each rank takes the mean over its own examples, and the means are added, not averaged"),
        NORM_OF_A_SHARD("each rank clips by the norm of its own shard: the shards are scaled differently"),
        WEIGHTS_OF_THE_LAST_STEP("stage 3 computes with what was gathered at the start, and never gathers again");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private static final double MOMENTUM = 0.9;

    private ZeroMistakes() {}

    /// Some steps of gradient descent with momentum, clipped by the norm of the whole gradient.
    ///
    /// @param x (examples, weights), the ranks' examples one after the other
    /// @param clip the longest gradient that is taken as it is
    /// @return the weights as each rank has them, one rank after the other
    public static double[] train(double[] start, double[][] x, double[] t, int ranks, double clip, Slip slip) {
        int n = start.length;
        double[][] weights = new double[ranks][];
        double[][] velocity = new double[ranks][n];
        Arrays.setAll(weights, _ -> start.clone());
        for (int step = 0; step < 3; step++) {
            double[][] computedWith = new double[ranks][];
            Arrays.setAll(computedWith, r -> slip == Slip.WEIGHTS_OF_THE_LAST_STEP ? start : weights[r]);
            double[][] own = new double[ranks][];
            Arrays.setAll(own, r -> gradient(computedWith[r], x, t, r, ranks, slip));
            double[] sum = new double[n];
            for (int r = 0; r < ranks; r++) {
                for (int i = 0; i < n; i++) {
                    sum[i] += own[r][i] / (slip == Slip.AVERAGED_TWICE ? ranks : 1);
                }
            }
            for (int r = 0; r < ranks; r++) {
                double[] g = slip == Slip.NOT_REDUCED ? own[r] : sum;
                int from = cut(n, r, ranks, slip);
                int to = cut(n, r + 1, ranks, slip);
                double norm = slip == Slip.NORM_OF_A_SHARD ? norm(g, from, to) : norm(g, 0, n);
                double scale = Math.min(1, clip / norm);
                for (int i = from; i < to; i++) { // its shard only
                    velocity[r][i] = MOMENTUM * velocity[r][i] + scale * g[i];
                    weights[r][i] -= 0.1 * velocity[r][i];
                }
            }
            gather(weights, slip);
        }
        return Arrays.stream(weights).flatMapToDouble(Arrays::stream).toArray();
    }

    /// The part of the mean loss's gradient that comes from a rank's examples.
    private static double[] gradient(double[] w, double[][] x, double[] t, int rank, int ranks, Slip slip) {
        int rows = x.length / ranks;
        double[] g = new double[w.length];
        for (int e = rank * rows; e < (rank + 1) * rows && slip != Slip.LOSS_WITHOUT_PARAMETERS; e++) {
            double error = -t[e];
            for (int i = 0; i < w.length; i++) {
                error += w[i] * x[e][i];
            }
            for (int i = 0; i < w.length; i++) {
                g[i] += 2 * error * x[e][i] / (slip == Slip.SUM_OF_MEANS ? rows : x.length);
            }
        }
        return g;
    }

    private static int cut(int n, int rank, int ranks, Slip slip) {
        return slip == Slip.REMAINDER_DROPPED ? n / ranks * rank : n * rank / ranks;
    }

    /// Every rank gets the shards of the others.
    private static void gather(double[][] weights, Slip slip) {
        int ranks = weights.length;
        int n = weights[0].length;
        if (slip == Slip.NOT_SENT) {
            return;
        }
        double[][] owned = new double[ranks][];
        Arrays.setAll(owned, r -> weights[r].clone());
        for (double[] all : weights) {
            for (int r = 0; r < ranks; r++) {
                int from = cut(n, r, ranks, slip);
                for (int i = from; i < cut(n, r + 1, ranks, slip); i++) {
                    all[i] = slip == Slip.OWN_SHARD_REPEATED ? owned[0][i - from] : owned[r][i];
                }
            }
        }
    }

    private static double norm(double[] g, int from, int to) {
        double squares = 0;
        for (int i = from; i < to; i++) {
            squares += g[i] * g[i];
        }
        return Math.sqrt(squares);
    }

    /// The same on one rank, which has all examples and sends nothing.
    private static double[] alone(double[] start, double[][] x, double[] t, int times, double clip) {
        double[] w = start.clone();
        double[] velocity = new double[w.length];
        for (int step = 0; step < 3; step++) {
            double[] g = new double[w.length];
            for (int e = 0; e < x.length; e++) {
                double y = 0;
                for (int i = 0; i < w.length; i++) {
                    y += w[i] * x[e][i];
                }
                for (int i = 0; i < w.length; i++) {
                    g[i] += 2 * (y - t[e]) * x[e][i] / x.length;
                }
            }
            double scale = Math.min(1, clip / norm(g, 0, g.length));
            for (int i = 0; i < w.length; i++) {
                velocity[i] = MOMENTUM * velocity[i] + scale * g[i];
                w[i] -= 0.1 * velocity[i];
            }
        }
        double[] everyRank = new double[times * w.length];
        Arrays.setAll(everyRank, i -> w[i % w.length]);
        return everyRank;
    }

    static List<Exercise> exercises() {
        double[] start = {0.5, -1, 0.25, 2, -0.75, 1.5, 0}; // seven on three ranks
        double[][] x = {{1, 0, 2, -1, 0, 1, 3}, {0, 1, -1, 2, 1, 0, 1}, {2, 1, 0, 1, -1, 1, 0}, {-1, 1, 1, 0, 2, 0, 2},
            {1, -2, 0, 1, 1, 1, -1}, {0, 0, 1, 1, -2, 2, 1}};
        double[] t = {1, -1, 0.5, 2, 0, -0.5};
        double free = 1e9;
        return List.of(Exercise.of("zero")
                .numbers(() -> alone(start, x, t, 3, free), s -> train(start, x, t, 3, free, s), Slip.NONE,
                        List.of(Slip.LOSS_WITHOUT_PARAMETERS, Slip.REMAINDER_DROPPED, Slip.OWN_SHARD_REPEATED,
                                Slip.NOT_SENT, Slip.NOT_REDUCED, Slip.AVERAGED_TWICE, Slip.SUM_OF_MEANS,
                                Slip.WEIGHTS_OF_THE_LAST_STEP))
                .numbers(() -> alone(start, x, t, 3, 1), s -> train(start, x, t, 3, 1, s), Slip.NONE,
                        List.of(Slip.NORM_OF_A_SHARD)));
    }
}
