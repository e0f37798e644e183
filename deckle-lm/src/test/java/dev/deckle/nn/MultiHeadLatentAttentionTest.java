package dev.deckle.nn;

import static dev.deckle.nn.Numbers.assertClose;
import static dev.deckle.nn.Numbers.assertGradients;
import static dev.deckle.nn.Numbers.assertRefused;
import static dev.deckle.nn.Numbers.leaf;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.ModelMemory;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MultiHeadLatentAttentionTest {
    private static final int B = 2;
    private static final int T = 7;
    private static final int HIDDEN = 10;
    private static final int H = 3;
    private static final int NOPE = 5;
    private static final int ROPE = 4;
    private static final int VALUE = 6;
    private static final int RANK = 8;
    private static final double EPS = 1e-6;
    private static final double BASE = 100;

    private final ModelMemory memory = new ModelMemory();

    @AfterEach
    void free() {
        memory.close();
    }

    private static MultiHeadLatentAttention layer(Weights w, int queryRank) {
        var config = new MultiHeadLatentAttention.Config(HIDDEN, H, queryRank, RANK, NOPE, ROPE, VALUE, EPS);
        var rope = new RotaryEmbedding(ROPE, BASE, new RopeScaling.None(), RotaryEmbedding.Layout.INTERLEAVED);
        return new MultiHeadLatentAttention(w, config, 0, Init.normal(0.4), rope);
    }

    private static double[] times(Map<String, Tensor> p, String name, double[] x) {
        Tensor w = p.get(name + ".weight");
        double[] y = new double[w.dim(0)];
        for (int i = 0; i < y.length; i++) {
            for (int j = 0; j < x.length; j++) {
                y[i] += w.at(i, j) * x[j];
            }
        }
        return y;
    }

    private static double[] normed(Map<String, Tensor> p, String name, double[] x) {
        double squares = 0;
        for (double v : x) {
            squares += v * v;
        }
        double[] y = new double[x.length];
        for (int i = 0; i < y.length; i++) {
            y[i] = x[i] / Math.sqrt(squares / x.length + EPS) * p.get(name + ".weight").at(i);
        }
        return y;
    }

    private static double[] part(double[] x, int from, int n) {
        return java.util.Arrays.copyOfRange(x, from, from + n);
    }

    private static double[] turned(double[] x, int position) {
        double[] y = new double[ROPE];
        for (int i = 0; i < ROPE; i += 2) {
            double a = position * Math.pow(BASE, -(double) i / ROPE);
            y[i] = x[i] * Math.cos(a) - x[i + 1] * Math.sin(a);
            y[i + 1] = x[i + 1] * Math.cos(a) + x[i] * Math.sin(a);
        }
        return y;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    /// The formulas of the paper for one sequence x (T, hidden), position by position.
    private static double[][] plain(Map<String, Tensor> p, double[][] x, int queryRank) {
        double[][] y = new double[x.length][];
        double[][] kv = new double[x.length][]; // (T, H (NOPE + VALUE))
        double[][] kRope = new double[x.length][];
        for (int t = 0; t < x.length; t++) {
            double[] narrow = times(p, "kv_a_proj_with_mqa", x[t]);
            kv[t] = times(p, "kv_b_proj", normed(p, "kv_a_layernorm", part(narrow, 0, RANK)));
            kRope[t] = turned(part(narrow, RANK, ROPE), t);
            double[] q = queryRank == 0 ? times(p, "q_proj", x[t])
                    : times(p, "q_b_proj", normed(p, "q_a_layernorm", times(p, "q_a_proj", x[t])));
            double[] heads = new double[H * VALUE];
            for (int h = 0; h < H; h++) {
                double[] e = new double[t + 1];
                double sum = 0;
                for (int s = 0; s <= t; s++) {
                    double score = dot(part(q, h * (NOPE + ROPE), NOPE), part(kv[s], h * (NOPE + VALUE), NOPE))
                            + dot(turned(part(q, h * (NOPE + ROPE) + NOPE, ROPE), t), kRope[s]);
                    e[s] = Math.exp(score / Math.sqrt(NOPE + ROPE));
                    sum += e[s];
                }
                for (int s = 0; s <= t; s++) {
                    for (int c = 0; c < VALUE; c++) {
                        heads[h * VALUE + c] += e[s] / sum * kv[s][h * (NOPE + VALUE) + NOPE + c];
                    }
                }
            }
            y[t] = times(p, "o_proj", heads);
        }
        return y;
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 6})
    void theFormulasExpandedAndAbsorbed(int queryRank) {
        Weights w = Weights.init(memory, new Generator(2));
        MultiHeadLatentAttention layer = layer(w, queryRank);
        Tensor x = new Generator(5).randn(B, T, HIDDEN);
        double[] expected = new double[B * T * HIDDEN];
        for (int b = 0; b < B; b++) {
            double[][] rows = new double[T][];
            for (int t = 0; t < T; t++) {
                rows[t] = x.select(0, b).select(0, t).toDoubles();
            }
            double[][] y = plain(w.finish(), rows, queryRank);
            for (int t = 0; t < T; t++) {
                System.arraycopy(y[t], 0, expected, (b * T + t) * HIDDEN, HIDDEN);
            }
        }
        try (NoGrad _ = NoGrad.open();
                KvCache cache = new ContiguousKvCache(T);
                KvCache pieces = new ContiguousKvCache(T)) {
            Tensor whole = layer.forward(x, Pass.evaluate());
            assertEquals(Shape.of(B, T, HIDDEN), whole.shape());
            assertClose(expected, whole, 2e-5);
            for (int t = 0; t < T; t++) { // token by token
                Tensor y = layer.forward(x.slice(1, t, t + 1), Pass.decode(cache));
                assertClose(whole.slice(1, t, t + 1), y, 2e-5);
                cache.advance(1);
            }
            int at = 0;
            for (int n : new int[] {3, 1, 2, 1}) { // a prompt and pieces
                Tensor y = layer.forward(x.slice(1, at, at + n), Pass.decode(pieces));
                assertClose(whole.slice(1, at, at + n), y, 2e-5);
                pieces.advance(n);
                at += n;
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 6})
    void gradientsOfEveryParameter(int queryRank) {
        Weights w = Weights.init(memory, new Generator(2), DType.F64);
        MultiHeadLatentAttention layer = layer(w, queryRank);
        Tensor x = leaf(5, B, 4, HIDDEN);
        List<Tensor> leaves = new ArrayList<>(w.finish().values());
        leaves.add(x);
        assertGradients(() -> layer.forward(x, Pass.evaluate()), leaves);
        assertEquals(queryRank == 0 ? 5 : 7, w.finish().size());
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 5})
    void anOddRotaryWidthIsRefused(int ropeWidth) {
        assertRefused("even qk_rope_head_dim", () -> new MultiHeadLatentAttention.Config(HIDDEN, H, 0, RANK, NOPE,
                ropeWidth, VALUE, EPS));
    }
}
