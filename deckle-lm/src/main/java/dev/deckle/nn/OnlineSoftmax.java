package dev.deckle.nn;

import java.util.Arrays;

/// Softmax-weighted values of one query, one key at a time and without ever seeing all scores: the trick that
/// FlashAttention rests on. When a larger score comes, what was gathered so far is scaled down to the new maximum.
///
/// - **Formula**: m' = max(m, s); a = e^(m - m'); d = a d + e^(s - m'); o = a o + e^(s - m') v; at the end y = o / d
/// - **Shapes**: scores s are numbers, values v and the result (E)
/// - **Cost**: memory E + 2 numbers whatever the length; one exponential more a key than two passes would need
/// - **Source**: Milakov and Gimelshein 2018; Dao et al. 2022
/// - **PyTorch**: inside `F.scaled_dot_product_attention`
/// - **Classic mistake**: scaling d by e^(m - m') but not o, or dividing by d at every step
public final class OnlineSoftmax {
    private double max = Double.NEGATIVE_INFINITY;
    private double denominator;
    private final double[] numerator; // (E)

    public OnlineSoftmax(int width) {
        numerator = new double[width];
    }

    /// One more key, which fits the query by `score`, and its value.
    ///
    /// @throws IllegalArgumentException if the score is infinite upwards or NaN, or the value has another width
    public void accept(double score, double... value) {
        if (!(score < Double.POSITIVE_INFINITY) || value.length != numerator.length) {
            throw new IllegalArgumentException("online softmax takes scores below infinity and values of width "
                    + numerator.length + ", not " + score + " and width " + value.length);
        }
        OnlineSoftmax one = new OnlineSoftmax(value.length);
        if (score != Double.NEGATIVE_INFINITY) { // a masked key adds nothing
            one.max = score;
            one.denominator = 1;
            System.arraycopy(value, 0, one.numerator, 0, value.length);
        }
        merge(one);
    }

    /// Takes in what was gathered from other keys: blocks may be computed apart and in any order.
    public void merge(OnlineSoftmax other) {
        double larger = Math.max(max, other.max);
        if (larger == Double.NEGATIVE_INFINITY) {
            return; // nothing seen on either side: -infinity minus -infinity is not a number
        }
        double mine = Math.exp(max - larger);
        double theirs = Math.exp(other.max - larger);
        denominator = denominator * mine + other.denominator * theirs;
        for (int i = 0; i < numerator.length; i++) {
            numerator[i] = numerator[i] * mine + other.numerator[i] * theirs;
        }
        max = larger;
    }

    /// The weighted mean of the values (E); zeros if no key was seen.
    public double[] result() {
        double d = denominator == 0 ? 1 : denominator;
        return Arrays.stream(numerator).map(o -> o / d).toArray();
    }

    /// m, the largest score so far.
    public double max() {
        return max;
    }

    /// d, the sum of e^(s - m).
    public double denominator() {
        return denominator;
    }

    /// o, the sum of e^(s - m) v.
    public double[] numerator() {
        return numerator.clone();
    }

    /// log of the sum of e^s over all keys, as the backward pass keeps it.
    public double logSumExp() {
        return max + Math.log(denominator);
    }
}
