package dev.deckle.generate;

import dev.deckle.random.Generator;
import java.util.Arrays;
import java.util.function.IntPredicate;

/// Chooses the next token from logits, in the order of Hugging Face: repetition penalty, temperature, top-k, top-p,
/// min-p, then a draw. Each of the three filters can be called alone: it hides tokens by setting their logits to
/// -Infinity.
///
/// - **Formula**: p = softmax(logits / temperature) over what the filters leave. Top-k leaves logits of at least the
///   k-th largest; top-p drops from the least likely up while the sum of what is dropped is at most 1 - p; min-p leaves
///   probabilities of at least min-p times the largest.
/// - **Shapes**: logits (vocab), of one sequence.
/// - **Cost**: O(vocab), with O(vocab log k) at worst for top-k and O(vocab log vocab) for the sort of top-p.
/// - **Source**: Fan et al. 2018, Hierarchical Neural Story Generation (top-k); Holtzman et al. 2020, The Curious Case
///   of Neural Text Degeneration (top-p); Nguyen et al. 2024, Turning Up the Heat (min-p); Keskar et al. 2019, CTRL
///   (repetition penalty).
/// - **PyTorch**: transformers' `TopKLogitsWarper`, `TopPLogitsWarper`, `MinPLogitsWarper`,
///   `RepetitionPenaltyLogitsProcessor`; then `torch.multinomial`. A top-k beyond the vocabulary keeps all.
/// - **Classic mistake**: dropping the token that crosses p: with p = 0.5 and a token of probability 0.6 nothing is
///   left. And filtering before the temperature, which changes what p and min-p mean.
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

    private static void require(boolean holds, String name, String expected, Number found) {
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
        return choose(logits, random);
    }

    /// Makes the tokens that were there before less likely; for logits or log-probabilities.
    public void penalise(float[] logits, int... before) {
        if (repetitionPenalty == 1) {
            return;
        }
        for (int id : Arrays.stream(before).distinct().toArray()) {
            logits[id] = (float) (logits[id] < 0 ? logits[id] * repetitionPenalty : logits[id] / repetitionPenalty);
        }
    }

    /// The next token from logits that are penalised already; they are changed on the way.
    int choose(float[] logits, Generator random) {
        if (temperature == 0) {
            return argmax(logits);
        }
        filter(logits);
        return draw(softmax(logits), random);
    }

    /// What a draw draws from, as logits: the temperature, then the filters.
    public void filter(float[] logits) {
        for (int i = 0; i < logits.length && temperature != 1; i++) {
            logits[i] = (float) (logits[i] / temperature);
        }
        if (topK > 0) {
            keepTopK(logits, topK);
        }
        if (topP < 1) {
            keepTopP(logits, topP);
        }
        if (minP > 0) {
            keepMinP(logits, minP);
        }
    }

    /// Hides all tokens but the k with the largest logits and those that equal the k-th.
    ///
    /// @param k at least 1; from the vocabulary's size on all are kept
    public static void keepTopK(float[] logits, int k) {
        require(k >= 1, "top-k", "at least 1", k);
        TopK top = new TopK(Math.min(k, logits.length));
        top.pushAll(logits);
        double least = top.least();
        drop(logits, i -> logits[i] < least);
    }

    /// Hides the least likely tokens, as long as all that are hidden have at most 1 - p together: the token that
    /// crosses p is kept, and one always is. Of equally likely ones the first goes first.
    ///
    /// @param topP above 0 and at most 1
    public static void keepTopP(float[] logits, double topP) {
        require(topP > 0 && topP <= 1, "top-p", "above 0 and at most 1", topP);
        double[] p = softmax(logits);
        int[] ascending = ascending(logits);
        float sum = 0;
        for (int i = 0; i < ascending.length - 1; i++) {
            sum += (float) p[ascending[i]];
            if (sum > (float) (1 - topP)) {
                break;
            }
            logits[ascending[i]] = Float.NEGATIVE_INFINITY;
        }
    }

    /// The places of numbers in the order of their size, of equal ones the first first. A number and its place are
    /// sorted together as one long: a float's bits, with those of negative ones turned around, are in its order.
    private static int[] ascending(float[] x) {
        long[] keys = new long[x.length];
        for (int i = 0; i < x.length; i++) {
            int bits = Float.floatToIntBits(x[i] + 0.0f); // no negative zero
            keys[i] = (long) (bits ^ bits >> 31 & Integer.MAX_VALUE) << 32 | i;
        }
        Arrays.sort(keys);
        int[] places = new int[x.length];
        for (int i = 0; i < x.length; i++) {
            places[i] = (int) keys[i];
        }
        return places;
    }

    /// Hides the tokens that are less than `minP` times as likely as the likeliest.
    ///
    /// @param minP from 0 to 1
    public static void keepMinP(float[] logits, double minP) {
        require(minP >= 0 && minP <= 1, "min-p", "from 0 to 1", minP);
        double[] p = softmax(logits);
        double least = minP * Arrays.stream(p).max().orElse(0);
        drop(logits, i -> p[i] < least);
    }

    private static void drop(float[] logits, IntPredicate which) {
        for (int i = 0; i < logits.length; i++) {
            if (which.test(i)) {
                logits[i] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    /// The probabilities that logits stand for.
    public static double[] softmax(float[] logits) {
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
