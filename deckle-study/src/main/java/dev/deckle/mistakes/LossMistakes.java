package dev.deckle.mistakes;

import dev.deckle.parity.Component;
import dev.deckle.parity.Config;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/// Cross entropy and its kin by the formulas, with a one-hot target written out.
public final class LossMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        SOFTMAX_TWICE("probabilities are passed where logits are expected: the loss is flat and hardly learns"),
        CLASSES_LAST("softmax over the last dimension: in (N, C, d) classes are the second"),
        MEAN_OVER_EXAMPLES("a weighted mean divides by the sum of the weights, not by the number of examples"),
        MEAN_COUNTS_IGNORED("ignored targets add nothing but are counted: the loss falls with the padding"),
        OWN_SHARE_FORGOTTEN("smoothing by e/(C-1) for the others alone: the right class gets 1 - e, without e/C"),
        SMOOTHING_ON_TOP("e/C is added for every class but nothing taken from the right one: targets sum to 1 + e"),
        LOG_OF_CLAMPED("log(p + 1e-8) stops at 18.4 and learns no more: log-softmax needs no such guard"),
        SIGN_FORGOTTEN("log-likelihood in place of its negative: the loss is driven down to the worst"),
        WEIGHTS_SUMMED("the sum over the weights' sum, as PyTorch's weight= does; the notebook divides by N"),
        WEIGHT_OF_THE_GUESS("weighted by the predicted class, not the true one: argmax in place of the target"),
        UNWEIGHTED("the weights are stored and never used"),
        RIGHT_IN_PLACE_OF_WRONG("p^gamma in place of (1 - p)^gamma: what is right already gets the attention"),
        DETACHED_FACTOR("the factor comes from a detached softmax: the same value, half of the gradient"),
        GAMMA_AS_A_FACTOR("gamma (1 - p) in place of (1 - p)^gamma: * where ** was meant"),
        ALPHA_OUT_OF_THE_LOSS("alpha is left out: it looks like a mere constant"),
        CLASSES_NOT_COUNTED("n / count without the number of classes: weights C times too large"),
        SHARES("count / n: frequent classes weigh more, the fraction upside down"),
        SCALED_TO_ONE("weights divided by their sum: their ratios are right, the size of the loss is not"),
        CLASSES_PRESENT_ONLY("unique() skips a class that does not occur, and every later weight moves down a place");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private LossMistakes() {}

    /// The mean surprise of logits (N, C) at targets (N).
    public static Tensor crossEntropy(Tensor logits, long[] targets, double smoothing, Slip slip) {
        return crossEntropy(logits, Tensor.of(targets), Optional.empty(), -100, smoothing, "mean", slip);
    }

    /// logits (N, C, ...), target (N, ...), weight (C); reduction none, sum or mean.
    public static Tensor crossEntropy(
            Tensor logits, Tensor target, Optional<Tensor> weight, long ignore, double smoothing, String reduction,
            Slip slip) {
        int dim = slip == Slip.CLASSES_LAST ? logits.rank() - 1 : 1;
        int c = logits.dim(1);
        Tensor z = slip == Slip.SOFTMAX_TWICE ? softmax(logits, 1) : logits;
        Tensor logp = logSoftmax(z, dim, slip); // (N, C, ...)
        Tensor one = oneHot(target, logits); // 0 for every class where the target is ignored
        Tensor counts = one.sum(1, true); // (N, 1, ...): 1, or 0 where ignored
        Tensor truth = switch (slip) {
            case OWN_SHARE_FORGOTTEN -> one.mul(1 - smoothing).add(counts.sub(one).mul(smoothing / (c - 1)));
            case SMOOTHING_ON_TOP -> one.add(counts.mul(smoothing / c));
            default -> one.mul(1 - smoothing).add(counts.mul(smoothing / c));
        };
        Tensor w = weight.map(v -> forClasses(v, logits)).orElse(Tensor.ones(1).to(logits.dtype()));
        Tensor losses = logp.mul(truth).mul(w).sum(1, false); // (N, ...)
        losses = slip == Slip.SIGN_FORGOTTEN ? losses : losses.neg();
        return switch (reduction) {
            case "none" -> losses;
            case "sum" -> losses.sum();
            case "mean" -> switch (slip) {
                case MEAN_OVER_EXAMPLES -> losses.sum().div(counts.sum());
                case MEAN_COUNTS_IGNORED -> losses.mean();
                default -> losses.sum().div(one.mul(w).sum());
            };
            default -> throw Config.unknown("reduction", reduction);
        };
    }

    /// The notebook's: logits (N, C), the sum of weighted losses over N.
    public static Tensor weightedCrossEntropy(
            Tensor logits, Tensor target, Tensor weight, String reduction, Slip slip) {
        Tensor losses = crossEntropy(logits, target, Optional.empty(), -100, 0, "none", slip); // (N)
        Tensor guess = logits.argmax(1);
        Tensor w = weight.gather(0, slip == Slip.WEIGHT_OF_THE_GUESS ? guess : target);
        Tensor weighted = slip == Slip.UNWEIGHTED ? losses : losses.mul(w);
        return switch (reduction) {
            case "none" -> weighted;
            case "sum" -> weighted.sum();
            default -> slip == Slip.WEIGHTS_SUMMED ? weighted.sum().div(w.sum()) : weighted.mean();
        };
    }

    /// logits (N, C), targets (N): the losses (N).
    public static Tensor focal(Tensor logits, Tensor target, double alpha, double gamma, Slip slip) {
        Tensor logp = logSoftmax(logits, 1, slip).mul(oneHot(target, logits)).sum(1, false); // (N)
        Tensor p = (slip == Slip.DETACHED_FACTOR ? logp.detach() : logp).exp();
        Tensor g = Tensor.full(logits.dtype(), gamma);
        Tensor factor = switch (slip) {
            case RIGHT_IN_PLACE_OF_WRONG -> p.pow(g);
            case GAMMA_AS_A_FACTOR -> p.affine(-1, 1).mul(gamma);
            default -> p.affine(-1, 1).pow(g);
        };
        return factor.mul(logp).mul(slip == Slip.ALPHA_OUT_OF_THE_LOSS ? -1 : -alpha);
    }

    /// n / (C count), 0 for a class that does not occur; or 1 / count where `inverse`.
    public static double[] classWeights(long[] labels, int classes, boolean inverse, Slip slip) {
        double[] count = new double[classes];
        for (long label : labels) {
            count[(int) label]++;
        }
        if (slip == Slip.CLASSES_PRESENT_ONLY) {
            count = Arrays.stream(count).filter(n -> n > 0).toArray();
        }
        double[] w = new double[count.length];
        double sum = 0;
        for (int c = 0; c < w.length; c++) {
            double balanced = count[c] == 0 ? 0 : labels.length / (count.length * count[c]);
            w[c] = switch (slip) {
                case SHARES -> count[c] / labels.length;
                case CLASSES_NOT_COUNTED -> labels.length / count[c];
                default -> inverse ? 1 / (count[c] + 1e-8) : balanced;
            };
            sum += w[c];
        }
        for (int c = 0; c < w.length && slip == Slip.SCALED_TO_ONE; c++) {
            w[c] /= sum;
        }
        return w;
    }

    private static Tensor softmax(Tensor z, int dim) {
        return ActivationMistakes.softmax(z, dim, ActivationMistakes.Slip.NONE);
    }

    private static Tensor logSoftmax(Tensor z, int dim, Slip slip) {
        if (slip == Slip.LOG_OF_CLAMPED) {
            return softmax(z, dim).add(1e-8).log();
        }
        Tensor below = z.sub(z.max(dim, true).detach());
        return below.sub(below.exp().sum(dim, true).log());
    }

    /// (N, ...) to (N, C, ...): 1 at the class, all 0 where the target is no class.
    private static Tensor oneHot(Tensor target, Tensor logits) {
        int[] shape = IntStream.range(0, logits.rank()).map(i -> i == 1 ? logits.dim(1) : 1).toArray();
        Tensor classes = Tensor.arange(logits.dim(1)).reshape(shape);
        return target.unsqueeze(1).eq(classes).to(logits.dtype());
    }

    private static Tensor forClasses(Tensor weight, Tensor logits) {
        return weight.reshape(IntStream.range(0, logits.rank()).map(i -> i == 1 ? weight.dim(0) : 1).toArray());
    }

    static List<Exercise> exercises() {
        Tensor sure = Tensor.of(new double[] {30, 0}, 1, 2); // and wrong
        long[] labels = {0, 2, 2, 0, 2, 3}; // class 1 does not occur
        return List.of(
                Exercise.of("cross-entropy").golden("cross_entropy", LossMistakes::crossEntropy, Slip.NONE,
                        List.of(Slip.SOFTMAX_TWICE, Slip.CLASSES_LAST, Slip.MEAN_OVER_EXAMPLES,
                                Slip.MEAN_COUNTS_IGNORED, Slip.OWN_SHARE_FORGOTTEN, Slip.SMOOTHING_ON_TOP,
                                Slip.SIGN_FORGOTTEN))
                        .numbers(() -> new double[] {30 + Math.log1p(Math.exp(-30))},
                                s -> crossEntropy(sure, new long[] {1}, 0, s).toDoubles(), Slip.NONE,
                                List.of(Slip.LOG_OF_CLAMPED)),
                Exercise.of("weighted-cross-entropy").golden("weighted_cross_entropy", LossMistakes::weighted,
                        Slip.NONE, List.of(Slip.WEIGHTS_SUMMED, Slip.WEIGHT_OF_THE_GUESS, Slip.UNWEIGHTED,
                                Slip.SIGN_FORGOTTEN)),
                Exercise.of("focal-loss").golden("focal_loss", LossMistakes::focal, Slip.NONE,
                        List.of(Slip.RIGHT_IN_PLACE_OF_WRONG, Slip.DETACHED_FACTOR, Slip.GAMMA_AS_A_FACTOR,
                                Slip.ALPHA_OUT_OF_THE_LOSS)),
                Exercise.of("class-weights").golden("class_weights", LossMistakes::classWeights, Slip.NONE,
                        List.of(Slip.CLASSES_NOT_COUNTED, Slip.SHARES, Slip.SCALED_TO_ONE))
                        .numbers(() -> new double[] {6 / (4 * 2.0), 0, 6 / (4 * 3.0), 6 / (4 * 1.0)},
                                s -> classWeights(labels, 4, false, s), Slip.NONE,
                                List.of(Slip.CLASSES_PRESENT_ONLY)));
    }

    private static Component crossEntropy(Slip slip) {
        return r -> Map.of("y", crossEntropy(r.input("logits"), r.input("target"), r.findBuffer("weight"),
                (long) r.config().real("ignore_index", -100), r.config().real("label_smoothing", 0),
                r.config().text("reduction", "mean"), slip));
    }

    private static Component weighted(Slip slip) {
        return r -> Map.of("y", weightedCrossEntropy(r.input("logits"), r.input("target"), r.buffer("class_weights"),
                r.config().text("reduction", "mean"), slip));
    }

    private static Component focal(Slip slip) {
        return r -> {
            Tensor losses = focal(r.input("logits"), r.input("target"), r.config().real("alpha"),
                    r.config().real("gamma"), slip);
            return Map.of("y", switch (r.config().text("reduction", "mean")) {
                case "none" -> losses;
                case "sum" -> losses.sum();
                default -> losses.mean();
            });
        };
    }

    private static Component classWeights(Slip slip) {
        return r -> {
            boolean inverse = r.config().text("method", "balanced").equals("inverse");
            double[] w = classWeights(r.input("labels").toLongs(), r.config().integer("num_classes"), inverse, slip);
            return Map.of("y", Tensor.of(w).to(DType.F32));
        };
    }
}
