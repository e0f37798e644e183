package dev.deckle.generate;

import dev.deckle.random.Generator;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/// Chooses the next token from logits, in the order of Hugging Face: repetition penalty, temperature, top-k, top-p,
/// min-p, then a draw.
///
/// @param temperature divides the logits; 0 always takes the largest
/// @param topK keeps the k largest and what equals the k-th; 0 keeps all
/// @param topP keeps the fewest, largest first, whose probabilities reach p; 1 keeps all
/// @param minP keeps those at least this fraction as probable as the largest; 0 keeps all
/// @param repetitionPenalty makes tokens that were there before less likely; 1 does nothing
public record Sampler(double temperature, int topK, double topP, double minP, double repetitionPenalty) {
    public Sampler {
        require(temperature >= 0 && temperature < Double.POSITIVE_INFINITY, "temperature", "at least 0", temperature);
        require(topK >= 0, "top-k", "at least 0", topK);
        require(topP > 0 && topP <= 1, "top-p", "above 0 and at most 1", topP);
        require(minP >= 0 && minP <= 1, "min-p", "from 0 to 1", minP);
        require(repetitionPenalty > 0 && repetitionPenalty < Double.POSITIVE_INFINITY, "repetition-penalty", "above 0",
                repetitionPenalty);
    }

    /// The most likely token, always.
    public static Sampler greedy() {
        return new Sampler(0, 0, 1, 0, 1);
    }

    private static void require(boolean holds, String name, String expected, double found) {
        if (!holds) {
            throw new IllegalArgumentException(name + " must be " + expected + ", not " + found);
        }
    }

    /// The next token.
    ///
    /// @param logits one for each token; changed on the way
    /// @param before the ids so far, for the penalty
    public int next(float[] logits, int[] before, Generator random) {
        penalise(logits, before);
        if (temperature == 0) {
            return argmax(logits);
        }
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) (logits[i] / temperature);
        }
        if (topK > 0 && topK < logits.length) {
            float[] sorted = logits.clone();
            Arrays.sort(sorted);
            float least = sorted[sorted.length - topK];
            drop(logits, i -> logits[i] < least);
        }
        double[] p = softmax(logits);
        if (topP < 1) {
            nucleus(logits, p);
            p = softmax(logits);
        }
        if (minP > 0) {
            double least = minP * Arrays.stream(p).max().orElse(0);
            double[] q = p;
            drop(logits, i -> q[i] < least);
            p = softmax(logits);
        }
        return draw(p, random);
    }

    private void penalise(float[] logits, int[] before) {
        if (repetitionPenalty == 1) {
            return;
        }
        for (int id : Arrays.stream(before).distinct().toArray()) {
            logits[id] = (float) (logits[id] < 0 ? logits[id] * repetitionPenalty : logits[id] / repetitionPenalty);
        }
    }

    /// From the least likely up, drops tokens while what is dropped stays within 1 - p: the token that crosses p is
    /// kept, and one always is.
    private void nucleus(float[] logits, double[] p) {
        int[] ascending = IntStream.range(0, p.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> p[i]))
                .mapToInt(i -> i)
                .toArray();
        float sum = 0;
        for (int i = 0; i < ascending.length - 1; i++) {
            sum += (float) p[ascending[i]];
            if (sum > (float) (1 - topP)) {
                break;
            }
            logits[ascending[i]] = Float.NEGATIVE_INFINITY;
        }
    }

    private static void drop(float[] logits, java.util.function.IntPredicate which) {
        for (int i = 0; i < logits.length; i++) {
            if (which.test(i)) {
                logits[i] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    private static double[] softmax(float[] logits) {
        double max = logits[argmax(logits)];
        double[] p = new double[logits.length];
        double sum = 0;
        for (int i = 0; i < p.length; i++) {
            p[i] = Math.exp(logits[i] - max);
            sum += p[i];
        }
        for (int i = 0; i < p.length; i++) {
            p[i] /= sum;
        }
        return p;
    }

    private static int draw(double[] p, Generator random) {
        double u = random.nextDouble();
        int last = 0;
        for (int i = 0; i < p.length; i++) {
            if (p[i] > 0) {
                last = i;
                u -= p[i];
                if (u < 0) {
                    break;
                }
            }
        }
        return last;
    }

    /// The first of the largest.
    static int argmax(float[] x) {
        int best = 0;
        for (int i = 1; i < x.length; i++) {
            if (x[i] > x[best]) {
                best = i;
            }
        }
        return best;
    }
}
