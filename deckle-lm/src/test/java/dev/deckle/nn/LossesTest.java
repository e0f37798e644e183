package dev.deckle.nn;

import static dev.deckle.nn.Numbers.assertClose;
import static dev.deckle.nn.Numbers.assertGradients;
import static dev.deckle.nn.Numbers.assertRefused;
import static dev.deckle.nn.Numbers.leaf;
import static dev.deckle.nn.Numbers.randn;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Cross entropy and its kin against their definitions on plain arrays.
class LossesTest {
    private static final int N = 4;
    private static final int C = 5;
    private static final int L = 3;
    private static final double[] WEIGHTS = {0.5, 2, 0, 1.5, 3};

    /// log softmax over the classes of z (M, C).
    private static double[][] logProbabilities(double[][] z) {
        return Arrays.stream(z).map(row -> {
            double sum = Arrays.stream(row).map(Math::exp).sum();
            return Arrays.stream(row).map(v -> v - Math.log(sum)).toArray();
        }).toArray(double[][]::new);
    }

    /// Rows of x (N, C, L) with the classes last: (N L, C).
    private static double[][] rows(Tensor x) {
        double[][] rows = new double[N * L][C];
        for (int m = 0; m < N * L; m++) {
            for (int c = 0; c < C; c++) {
                rows[m][c] = x.at(m / L, c, m % L);
            }
        }
        return rows;
    }

    private static double[] reduced(double[] losses, double weights, CrossEntropy.Reduction reduction) {
        double sum = Arrays.stream(losses).sum();
        return switch (reduction) {
            case NONE -> losses;
            case SUM -> new double[] {sum};
            case MEAN -> new double[] {sum / weights};
            case MEAN_OVER_EXAMPLES -> new double[] {sum / losses.length};
        };
    }

    @ParameterizedTest
    @EnumSource
    void everyCombinationWithIndices(CrossEntropy.Reduction reduction) {
        Tensor z = leaf(1, N, C, L);
        long[] y = {0, 4, 3, 1, 1, 2, 4, 0, 3, 3, 0, 1};
        double[][] logp = logProbabilities(rows(z));
        for (boolean weighted : new boolean[] {false, true}) {
            for (double smoothing : new double[] {0, 0.3, 1}) {
                for (long ignore : new long[] {-100, 3}) {
                    double[] losses = new double[y.length];
                    double weights = 0;
                    for (int m = 0; m < y.length; m++) {
                        if (y[m] == ignore) {
                            continue;
                        }
                        weights += weighted ? WEIGHTS[(int) y[m]] : 1;
                        for (int c = 0; c < C; c++) {
                            double truth = smoothing / C + (c == y[m] ? 1 - smoothing : 0);
                            losses[m] -= truth * (weighted ? WEIGHTS[c] : 1) * logp[m][c];
                        }
                    }
                    var loss = new CrossEntropy(weighted ? Optional.of(Tensor.of(WEIGHTS)) : Optional.empty(), ignore,
                            smoothing, reduction);
                    Tensor target = Tensor.of(y, N, L);
                    Tensor found = loss.forward(z, target);
                    assertClose(reduced(losses, weights, reduction), found, 1e-12);
                    assertEquals(reduction == CrossEntropy.Reduction.NONE ? Shape.of(N, L) : Shape.SCALAR,
                            found.shape());
                    assertGradients(() -> loss.forward(z, target), List.of(z));
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyCombinationWithProbabilities(CrossEntropy.Reduction reduction) {
        Tensor z = leaf(1, N, C, L);
        Tensor target = randn(2, N, C, L).softmax(1);
        double[][] logp = logProbabilities(rows(z));
        double[][] t = rows(target);
        for (boolean weighted : new boolean[] {false, true}) {
            for (double smoothing : new double[] {0, 0.3}) {
                double[] losses = new double[N * L];
                for (int m = 0; m < losses.length; m++) {
                    for (int c = 0; c < C; c++) {
                        double truth = t[m][c] * (1 - smoothing) + smoothing / C;
                        losses[m] -= truth * (weighted ? WEIGHTS[c] : 1) * logp[m][c];
                    }
                }
                var loss = new CrossEntropy(weighted ? Optional.of(Tensor.of(WEIGHTS)) : Optional.empty(), -100,
                        smoothing, reduction);
                assertClose(reduced(losses, N * L, reduction), loss.forward(z, target), 1e-12);
                assertGradients(() -> loss.forward(z, target), List.of(z));
            }
        }
    }

    @Test
    void theShapesOfExamples() {
        Tensor z = randn(1, N, C);
        Tensor y = Tensor.of(new long[] {0, 4, 2, 2});
        double[][] logp = logProbabilities(new double[][] {z.select(0, 0).toDoubles(), z.select(0, 1).toDoubles(),
            z.select(0, 2).toDoubles(), z.select(0, 3).toDoubles()});
        double expected = -(logp[0][0] + logp[1][4] + logp[2][2] + logp[3][2]) / N;
        assertEquals(expected, CrossEntropy.mean().forward(z, y).item(), 1e-12);
        Tensor image = z.reshape(N, C, 1, 1).expand(N, C, 2, 3);
        Tensor labels = y.reshape(N, 1, 1).expand(N, 2, 3);
        assertEquals(expected, CrossEntropy.mean().forward(image, labels).item(), 1e-12);
    }

    @Test
    void aMeanOverNothingIsNoNumber() {
        Tensor z = randn(1, 2, C);
        Tensor ignored = Tensor.of(new long[] {-100, -100});
        assertTrue(Double.isNaN(CrossEntropy.mean().forward(z, ignored).item()));
        var sum = new CrossEntropy(Optional.empty(), -100, 0.1, CrossEntropy.Reduction.SUM);
        assertEquals(0, sum.forward(z, ignored).item());
        var weightless = new CrossEntropy(Optional.of(Tensor.of(WEIGHTS)), -100, 0, CrossEntropy.Reduction.MEAN);
        assertTrue(Double.isNaN(weightless.forward(z, Tensor.of(new long[] {2, 2})).item())); // both weigh 0
    }

    @Test
    void largeLogitsAreHarmless() {
        Tensor z = Tensor.of(new double[] {1000, -1000, 0, 1000, 1000, -1000}, 2, 3).requireGrad();
        Tensor loss = CrossEntropy.mean().forward(z, Tensor.of(new long[] {1, 0}));
        assertEquals((2000 + Math.log(2)) / 2, loss.item(), 1e-9);
        loss.backward();
        assertClose(new double[] {0.5, -0.5, 0, -0.25, 0.25, 0}, z.grad(), 1e-12);
    }

    @Test
    void whatIsRefused() {
        Tensor z = randn(1, N, C);
        CrossEntropy loss = CrossEntropy.mean();
        for (long label : new long[] {C, -1}) {
            assertRefused(Long.toString(label), () -> loss.forward(z, Tensor.of(new long[] {0, 1, label, 2})));
        }
        assertRefused("cross_entropy: target has shape (3), expected (4)",
                () -> loss.forward(z, Tensor.of(new long[] {0, 1, 2})));
        assertRefused("cross_entropy: target has shape (4, 3), expected (4, 5)", () -> loss.forward(z, randn(2, N, 3)));
        assertRefused("cross_entropy: logits have shape (5)", () -> loss.forward(randn(1, C), Tensor.of(new long[1])));
        var weighted = new CrossEntropy(Optional.of(Tensor.ones(3)), -100, 0, CrossEntropy.Reduction.MEAN);
        assertRefused("cross_entropy: weight has shape (3), expected (5)",
                () -> weighted.forward(z, Tensor.of(new long[N])));
        assertRefused("label_smoothing must be from 0 to 1, not 1.5",
                () -> new CrossEntropy(Optional.empty(), -100, 1.5, CrossEntropy.Reduction.MEAN));
        assertRefused("label_smoothing", () -> new CrossEntropy(Optional.empty(), -100, Double.NaN,
                CrossEntropy.Reduction.MEAN));
    }

    @ParameterizedTest
    @EnumSource
    void focal(CrossEntropy.Reduction reduction) {
        Tensor z = leaf(1, N, C, L);
        long[] y = {0, 4, 3, 1, 1, 2, 4, 0, 3, 3, 0, 1};
        double[][] logp = logProbabilities(rows(z));
        for (double gamma : new double[] {0, 0.5, 2}) {
            for (boolean perClass : new boolean[] {false, true}) {
                double[] losses = new double[y.length];
                for (int m = 0; m < y.length; m++) {
                    double l = logp[m][(int) y[m]];
                    losses[m] = -(perClass ? WEIGHTS[(int) y[m]] : 0.7) * Math.pow(1 - Math.exp(l), gamma) * l;
                }
                var loss = perClass ? new FocalLoss(Tensor.of(WEIGHTS), gamma, reduction)
                        : new FocalLoss(0.7, gamma, reduction);
                Tensor target = Tensor.of(y, N, L);
                assertClose(reduced(losses, y.length, reduction), loss.forward(z, target), 1e-12);
                assertGradients(() -> loss.forward(z, target), List.of(z));
            }
        }
    }

    @Test
    void focalAtGammaZeroIsCrossEntropyAndRefusals() {
        Tensor z = randn(1, N, C);
        Tensor y = Tensor.of(new long[] {0, 4, 2, 2});
        var plain = new FocalLoss(Tensor.of(new double[] {1, 1, 1, 1, 1}), 0, CrossEntropy.Reduction.MEAN);
        assertEquals(CrossEntropy.mean().forward(z, y).item(), plain.forward(z, y).item(), 1e-12);
        assertRefused("gamma of at least 0", () -> new FocalLoss(1, -1, CrossEntropy.Reduction.MEAN));
        assertRefused("(2, 2)", () -> new FocalLoss(Tensor.ones(2, 2), 1, CrossEntropy.Reduction.MEAN));
        assertRefused("7", () -> plain.forward(z, Tensor.of(new long[] {0, 7, 2, 2})));
    }

    /// In f64 logits too a number for alpha will do.
    @Test
    void focalWithANumberForAlpha() {
        Tensor y = Tensor.of(new long[] {0, 4, 2, 2});
        var loss = new FocalLoss(0.5, 2, CrossEntropy.Reduction.SUM);
        double f64 = loss.forward(randn(1, N, C), y).item();
        assertEquals(f64, loss.forward(randn(1, N, C).to(DType.F32), y).item(), 1e-5);
    }

    @Test
    void classWeights() {
        Tensor labels = Tensor.of(new long[] {0, 2, 2, 0, 2, 3});
        assertClose(new double[] {6 / 8.0, 0, 6 / 12.0, 6 / 4.0}, ClassWeights.BALANCED.of(labels, 4), 1e-6);
        double[] inverse = ClassWeights.INVERSE.of(labels, 4).toDoubles();
        assertEquals(0.5, inverse[0], 1e-6);
        assertEquals(1e8, inverse[1], 100);
        assertEquals(1 / 3.0, inverse[2], 1e-6);
        assertRefused("label 3 is not in 0..2", () -> ClassWeights.BALANCED.of(labels, 3));
        assertRefused("label -1 is not in 0..3", () -> ClassWeights.INVERSE.of(Tensor.of(new long[] {-1}), 4));
    }

    @Test
    void whatIsIgnoredMayHoldAnything() {
        for (double bad : new double[] {Double.NaN, Double.NEGATIVE_INFINITY}) {
            Tensor z = Tensor.of(new double[] {1, 2, 3, bad, bad, bad}, 2, 3).requireGrad();
            Tensor y = Tensor.of(new long[] {2, -100});
            var loss = new CrossEntropy(Optional.empty(), -100, 0.1, CrossEntropy.Reduction.MEAN);
            Tensor both = loss.forward(z, y);
            assertEquals(loss.forward(z.detach().slice(0, 0, 1), y.slice(0, 0, 1)).item(), both.item(), 1e-12);
            both.backward();
            assertTrue(java.util.Arrays.stream(z.grad().toDoubles()).allMatch(Double::isFinite));
            assertEquals(0, z.grad().at(1, 0));
        }
    }

    @Test
    void focalWhereNothingIsMissing() {
        Tensor z = Tensor.of(new float[] {100, 0}, 1, 2).requireGrad();
        var loss = new FocalLoss(1, 0.5, CrossEntropy.Reduction.MEAN);
        loss.forward(z, Tensor.of(new long[] {0})).backward();
        assertTrue(java.util.Arrays.stream(z.grad().toDoubles()).allMatch(Double::isFinite));
        assertRefused("target -100 is not a class", () -> loss.forward(z, Tensor.of(new long[] {-100})));
    }
}
