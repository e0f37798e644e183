package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.autograd.GradCheck;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Losses of alignment against their definitions on plain arrays.
class AlignLossesTest {
    private static final int B = 6;
    private static final int T = 5;
    private static final Tensor MASK = Tensor.of(new double[] {
        1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0}, B, T);

    private static Tensor randn(long seed, int... dims) {
        return new Generator(seed).randn(dims).to(DType.F64);
    }

    private static Tensor leaf(long seed, int... dims) {
        return randn(seed, dims).requireGrad();
    }

    private static void assertClose(double[] expected, Tensor found, double tolerance) {
        assertArrayEquals(expected, found.toDoubles(), tolerance);
    }

    /// That the gradients of `y`, weighted at random, are those of central differences.
    private static void assertGradients(Supplier<Tensor> y, List<Tensor> leaves) {
        Tensor weights = randn(99, y.get().shape().toArray());
        double worst = GradCheck.worst(() -> y.get().mul(weights).sum(), leaves, 1e-5);
        assertTrue(worst < 1e-6, "worst error " + worst);
    }

    private static void assertRefused(String what, Executable action) {
        String message = assertThrows(IllegalArgumentException.class, action).getMessage();
        assertTrue(message.contains(what) && !message.contains("\n"), message);
    }

    private static double logSigmoid(double x) {
        return -Math.log1p(Math.exp(-x));
    }

    @ParameterizedTest
    @EnumSource
    void dpo(DpoLoss.Kind kind) {
        Tensor pc = leaf(1, B);
        Tensor pr = leaf(2, B);
        Tensor rc = randn(3, B);
        Tensor rr = randn(4, B);
        double beta = 0.7;
        double e = 0.2;
        double sum = 0;
        for (int i = 0; i < B; i++) {
            double d = pc.at(i) - rc.at(i) - (pr.at(i) - rr.at(i));
            sum += switch (kind) {
                case SIGMOID -> -logSigmoid(beta * d);
                case HINGE -> Math.max(0, 1 - beta * d);
                case IPO -> Math.pow(d - 1 / (2 * beta), 2);
                case ROBUST -> (-(1 - e) * logSigmoid(beta * d) + e * logSigmoid(-beta * d)) / (1 - 2 * e);
                case CDPO -> -(1 - e) * logSigmoid(beta * d) - e * logSigmoid(-beta * d);
            };
        }
        DpoLoss loss = new DpoLoss(kind, beta, e);
        assertEquals(sum / B, loss.forward(pc, pr, rc, rr).item(), 1e-12);
        assertGradients(() -> loss.forward(pc, pr, rc, rr), List.of(pc, pr));
        Tensor trained = leaf(3, B); // no gradient goes through the reference
        loss.forward(pc, pr, trained, rr).backward();
        assertTrue(trained.leaf().orElseThrow().isEmpty());
        assertRefused("beta above 0", () -> new DpoLoss(kind, 0, 0));
        assertRefused("label_smoothing", () -> new DpoLoss(kind, 1, 0.5));
    }

    @Test
    void rewardModel() {
        Tensor chosen = leaf(1, B);
        Tensor rejected = leaf(2, B);
        double sum = 0;
        for (int i = 0; i < B; i++) {
            sum -= logSigmoid(chosen.at(i) - rejected.at(i));
        }
        assertEquals(sum / B, RewardModelLoss.forward(chosen, rejected).item(), 1e-12);
        assertGradients(() -> RewardModelLoss.forward(chosen, rejected), List.of(chosen, rejected));
        assertEquals(2000, RewardModelLoss.forward(Tensor.of(new double[] {-1000}), Tensor.of(new double[] {1000}))
                .item(), 1e-9);
    }

    @ParameterizedTest
    @EnumSource
    void kl(KlEstimator estimator) {
        Tensor logp = leaf(1, B, T);
        Tensor ref = randn(2, B, T);
        double[] expected = new double[B * T];
        for (int i = 0; i < expected.length; i++) {
            expected[i] = plain(estimator, ref.at(i / T, i % T) - logp.at(i / T, i % T));
        }
        assertClose(expected, estimator.of(logp, ref), 1e-12);
        assertTrue(estimator == KlEstimator.K1 || Arrays.stream(expected).allMatch(v -> v >= 0));
        assertGradients(() -> estimator.of(logp, ref), List.of(logp));
        assertClose(new double[B * T], estimator.of(ref, ref), 1e-15);
    }

    /// By the definition: the sum over all later deltas, each weighed down by gamma lambda for every step between.
    @Test
    void gae() {
        double[] r = {0, 1, 0, -2, 0.5, 3};
        double[] v = {0.3, -0.2, 0.8, 1, 0, 2};
        for (double lambda : new double[] {0, 0.9, 1}) {
            double gamma = 0.95;
            double[] expected = new double[r.length];
            for (int t = 0; t < r.length; t++) {
                for (int l = t; l < r.length; l++) {
                    double delta = r[l] + gamma * (l + 1 < v.length ? v[l + 1] : 0) - v[l];
                    expected[t] += Math.pow(gamma * lambda, l - t) * delta;
                }
            }
            Gae.Result found = new Gae(gamma, lambda).of(r, v);
            assertArrayEquals(expected, found.advantages(), 1e-12);
            for (int t = 0; t < r.length; t++) {
                assertEquals(expected[t] + v[t], found.returns()[t], 1e-12);
            }
        }
        assertEquals(0, new Gae(1, 1).of(new double[0], new double[0]).returns().length);
        assertRefused("6 rewards and 2 values", () -> new Gae(1, 1).of(r, new double[2]));
    }

    private static double clip(double x, double low, double high) {
        return Math.min(Math.max(x, low), high);
    }

    @Test
    void ppo() {
        Tensor logp = leaf(1, B, T);
        Tensor old = randn(2, B, T).mul(0.3).add(logp.detach());
        Tensor advantages = randn(3, B, T);
        Tensor values = leaf(4, B, T);
        Tensor oldValues = randn(5, B, T);
        Tensor returns = randn(6, B, T);
        double policy = 0;
        double value = 0;
        for (int i = 0; i < B * T; i++) {
            int b = i / T;
            int t = i % T;
            double ratio = Math.exp(logp.at(b, t) - old.at(b, t));
            double a = advantages.at(b, t);
            policy += MASK.at(b, t) * Math.max(-a * ratio, -a * clip(ratio, 0.8, 1.2));
            double v = values.at(b, t);
            double near = oldValues.at(b, t) + clip(v - oldValues.at(b, t), -0.3, 0.3);
            double goal = returns.at(b, t);
            value += MASK.at(b, t) * Math.max(Math.pow(v - goal, 2), Math.pow(near - goal, 2)) / 2;
        }
        double tokens = MASK.sum().item();
        PpoLoss loss = new PpoLoss(0.2, 0.3);
        assertEquals(policy / tokens, loss.policy(logp, old, advantages, MASK).item(), 1e-12);
        assertEquals(value / tokens, loss.value(values, oldValues, returns, MASK).item(), 1e-12);
        assertGradients(() -> loss.policy(logp, old, advantages, MASK), List.of(logp));
        assertGradients(() -> loss.value(values, oldValues, returns, MASK), List.of(values));
    }

    @Test
    void advantagesWithinGroups() {
        Tensor rewards = Tensor.of(new double[] {1, 2, 6, 5, 5, 5});
        double std = Math.sqrt((4 + 1 + 9) / 2.0); // of 1, 2, 6 around 3
        double[] scaled = {-2 / (std + 1e-4), -1 / (std + 1e-4), 3 / (std + 1e-4), 0, 0, 0};
        assertClose(scaled, GrpoLoss.advantages(rewards, 3, true), 1e-12);
        assertClose(new double[] {-2, -1, 3, 0, 0, 0}, GrpoLoss.advantages(rewards, 3, false), 1e-12);
        assertClose(new double[6], GrpoLoss.advantages(rewards, 1, true), 1e-12); // alone, nobody is better
        assertRefused("6 rewards are no groups of 4", () -> GrpoLoss.advantages(rewards, 4, true));
        assertRefused("no groups of 0", () -> GrpoLoss.advantages(rewards, 0, true));
    }

    private static final List<GrpoLoss.Norm> NORMS = List.of(new GrpoLoss.Norm.EachSequence(),
            new GrpoLoss.Norm.AllTokens(), new GrpoLoss.Norm.Constant(7));

    @Test
    void grpo() {
        Tensor logp = leaf(1, B, T);
        Tensor old = randn(2, B, T).mul(0.3).add(logp.detach());
        Tensor ref = randn(3, B, T);
        Tensor advantages = randn(4, B);
        for (GrpoLoss.Norm norm : NORMS) {
            for (boolean sequence : new boolean[] {false, true}) {
                for (KlEstimator kl : KlEstimator.values()) {
                    GrpoLoss loss = new GrpoLoss(norm, sequence, 0.1, 0.25, 0.1, kl);
                    Optional<Tensor> reference = Optional.of(ref);
                    double expected = plain(loss, logp, old, ref, advantages);
                    assertEquals(expected, loss.forward(logp, old, reference, advantages, MASK).item(), 1e-12);
                    assertGradients(() -> loss.forward(logp, old, reference, advantages, MASK), List.of(logp));
                }
                GrpoLoss alone = new GrpoLoss(norm, sequence, 0.1, 0.25, 0);
                double expected = plain(alone, logp, old, ref, advantages);
                assertEquals(expected, alone.forward(logp, old, Optional.empty(), advantages, MASK).item(), 1e-12);
            }
        }
        assertRefused("the reference's log-probabilities are needed", () -> new GrpoLoss(NORMS.getFirst(), false, 0.2,
                0.2, 0.1).forward(logp, old, Optional.empty(), advantages, MASK));
    }

    private static double plain(KlEstimator estimator, double logR) {
        return switch (estimator) {
            case K1 -> -logR;
            case K2 -> logR * logR / 2;
            case K3 -> Math.exp(logR) - 1 - logR;
        };
    }

    private static double plain(GrpoLoss loss, Tensor logp, Tensor old, Tensor ref, Tensor advantages) {
        double total = 0;
        for (int b = 0; b < B; b++) {
            double length = MASK.select(0, b).sum().item();
            double mean = 0;
            for (int t = 0; t < T; t++) {
                mean += MASK.at(b, t) * (logp.at(b, t) - old.at(b, t)) / length;
            }
            double sum = 0;
            for (int t = 0; t < T; t++) {
                double ratio = Math.exp(loss.sequenceLevel() ? mean : logp.at(b, t) - old.at(b, t));
                double a = advantages.at(b);
                double logR = ref.at(b, t) - logp.at(b, t);
                double token = -Math.min(ratio * a, clip(ratio, 1 - loss.epsilonLow(), 1 + loss.epsilonHigh()) * a)
                        + loss.beta() * plain(loss.kl(), logR);
                sum += MASK.at(b, t) * token;
            }
            total += switch (loss.norm()) {
                case GrpoLoss.Norm.EachSequence() -> sum / length / B;
                case GrpoLoss.Norm.AllTokens() -> sum / MASK.sum().item();
                case GrpoLoss.Norm.Constant(int most) -> sum / (B * most);
            };
        }
        return total;
    }

    /// A token is clipped where the loss no longer changes with its ratio: its advantage would push it further out.
    @Test
    void clipped() {
        Tensor logp = randn(1, B, T);
        Tensor old = randn(3, B, T).add(logp);
        Tensor advantages = randn(5, B);
        Tensor wide = advantages.reshape(-1, 1).mul(Tensor.full(DType.F64, 1, B, T));
        for (boolean sequence : new boolean[] {false, true}) {
            GrpoLoss loss = new GrpoLoss(NORMS.getFirst(), sequence, 0.1, 0.25, 0);
            double[] expected = new double[B * T];
            for (int i = 0; i < B * T; i++) {
                int b = i / T;
                double mean = 0;
                for (int t = 0; t < T; t++) {
                    mean += MASK.at(b, t) * (logp.at(b, t) - old.at(b, t)) / MASK.select(0, b).sum().item();
                }
                double ratio = Math.exp(sequence ? mean : logp.at(b, i % T) - old.at(b, i % T));
                double a = advantages.at(b);
                expected[i] = MASK.at(b, i % T) * (ratio * a > clip(ratio, 0.9, 1.25) * a ? 1 : 0);
            }
            assertClose(expected, loss.clipped(logp, old, advantages, MASK), 0);
            assertTrue(Arrays.stream(expected).sum() > 2, Arrays.toString(expected));
            if (!sequence) {
                assertClose(expected, PpoLoss.clipped(logp.sub(old).exp(), wide, 0.9, 1.25).mul(MASK), 0);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void kinds(GrpoLoss.Kind kind) {
        GrpoLoss loss = kind.loss(9, 0.1, 0.2, 0.3, KlEstimator.K3);
        assertEquals(switch (kind) {
            case GRPO -> new GrpoLoss(new GrpoLoss.Norm.EachSequence(), false, 0.1, 0.2, 0.3);
            case GSPO -> new GrpoLoss(new GrpoLoss.Norm.EachSequence(), true, 0.1, 0.2, 0.3);
            case DAPO, BNPO -> new GrpoLoss(new GrpoLoss.Norm.AllTokens(), false, 0.1, 0.2, 0.3);
            case DR_GRPO -> new GrpoLoss(new GrpoLoss.Norm.Constant(9), false, 0.1, 0.2, 0.3);
        }, loss);
    }

    @Test
    void ppoLearnsFromWhatThePolicyHasJustDrawn() {
        PpoLoss loss = new PpoLoss(0.2, 0.2);
        Tensor l = leaf(1, B, T);
        Tensor ones = Tensor.full(DType.F64, 1, B, T);
        loss.policy(l, l, ones, MASK).backward(); // the same log-probabilities as old ones: the ratio is 1
        assertEquals(-1 / MASK.sum().item(), l.grad().at(0, 0), 1e-12);
        assertEquals(0, loss.policy(l, l, ones, ones.mul(0)).item());
    }
}
