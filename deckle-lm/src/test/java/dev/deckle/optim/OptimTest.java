package dev.deckle.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.tensor.Tensor;
import java.util.Map;
import org.junit.jupiter.api.Test;

class OptimTest {
    /// torch.optim.AdamW of PyTorch 2.13, lr .1, betas (.9, .999), eps 1e-8, decay .01, gradients (.5, -1), (.1, .2),
    /// (-.3, .4). In shape (1, 2).
    @Test
    void adamWAsPyTorch() {
        Tensor p = Tensor.of(new float[] {1, -2}, 1, 2).requireGrad();
        try (AdamW optimizer = new AdamW(Map.of("p", p), new AdamW.Options(0.9, 0.999, 1e-8, 0.01))) {
            for (float[] g : new float[][] {{0.5f, -1}, {0.1f, 0.2f}, {-0.3f, 0.4f}}) {
                p.mul(Tensor.of(g, 1, 2)).sum().backward();
                optimizer.step(0.1, 1);
            }
        }
        assertEquals(0.7959078149, p.at(0, 0), 1e-6);
        assertEquals(-1.829730435, p.at(0, 1), 1e-6);
    }

    @Test
    void vectorsDoNotDecay() {
        Tensor matrix = Tensor.of(new float[] {1}, 1, 1).requireGrad();
        Tensor vector = Tensor.of(new float[] {1}, 1).requireGrad();
        try (AdamW optimizer =
                new AdamW(Map.of("m", matrix, "v", vector), new AdamW.Options(0.9, 0.99, 1e-8, 0.5), AdamW::isMatrix)) {
            matrix.mul(0).sum().add(vector.mul(0).sum()).backward();
            optimizer.step(0.1, 1);
        }
        assertEquals(0.95, matrix.item(), 1e-6);
        assertEquals(1, vector.item(), 1e-6);
    }

    @Test
    void clippingTakesTheNormOfAll() {
        Tensor a = Tensor.of(new float[] {0}).requireGrad();
        Tensor b = Tensor.of(new float[] {0}).requireGrad();
        try (AdamW optimizer = new AdamW(Map.of("a", a, "b", b), new AdamW.Options(0.9, 0.99, 1e-8, 0))) {
            a.mul(3).sum().add(b.mul(4).sum()).backward();
            assertEquals(5, optimizer.gradNorm(), 1e-12);
            assertEquals(0.2, AdamW.clip(5, 1), 1e-6);
            assertEquals(1, AdamW.clip(0.5, 1));
            assertEquals(1, AdamW.clip(5, 0));
            optimizer.zeroGrad();
            assertEquals(0, optimizer.gradNorm());
        }
    }

    @Test
    void warmUpThenCosineToTheFloor() {
        CosineSchedule s = new CosineSchedule(1, 0.1, 4);
        assertEquals(0.25, s.atProgress(0, 0), 1e-12);
        assertEquals(1, s.atProgress(3, 0), 1e-12);
        assertEquals(0.55, s.atProgress(50, 0.5), 1e-12);
        assertEquals(0.1, s.atProgress(100, 1), 1e-12);
        assertEquals(0.1, s.atProgress(100, 1.2), 1e-12);
    }

    @Test
    void scheduleOfAWholeRun() {
        CosineSchedule s = new CosineSchedule(1, 0.1, 4);
        assertEquals(0, s.at(0, 20));
        assertEquals(0.75, s.at(3, 20), 1e-12);
        assertEquals(1, s.at(4, 20), 1e-12);
        assertEquals(0.55, s.at(12, 20), 1e-12); // half of the 16 steps down
        assertEquals(0.1, s.at(20, 20), 1e-12);
        assertEquals(0.1, s.at(500, 20), 1e-12);
        assertEquals(0.1, s.at(4, 4), 1e-12); // a run that is all warm-up
        assertEquals(1, new CosineSchedule(1, 0, 0).at(0, 10), 1e-12);
    }

    @Test
    void restartsGrow() {
        CosineSchedule s = new CosineSchedule(1, 0.2, 2);
        assertEquals(0.5, s.withRestarts(1, 4, 2), 1e-12);
        for (int start : new int[] {2, 6, 14}) { // periods of 4, 8 and 16
            assertEquals(1, s.withRestarts(start, 4, 2), 1e-12);
        }
        assertEquals(0.6, s.withRestarts(4, 4, 2), 1e-12);
        assertEquals(0.6, s.withRestarts(10, 4, 2), 1e-12);
        assertEquals(1, s.withRestarts(6 + 4, 4, 1), 1e-12);
        assertThrows(IllegalArgumentException.class, () -> s.withRestarts(3, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> s.withRestarts(3, 4, 0.5));
    }

    /// Momentum, Nesterov's and decay against a loop over numbers, the rate changing on the way.
    @Test
    void sgdIsItsFormula() {
        double[][] gradients = {{0.5, -1}, {0.1, 0.2}, {-0.3, 0.4}, {1, 1}};
        double[] rates = {0.1, 0.1, 0.05, 0.2};
        for (double momentum : new double[] {0, 0.9}) {
            for (double decay : new double[] {0, 0.1}) {
                for (boolean nesterov : new boolean[] {false, momentum > 0}) {
                    double[] w = {1, -2};
                    double[] v = {0, 0};
                    Tensor p = Tensor.of(w.clone(), 2).requireGrad();
                    try (Sgd optimizer = new Sgd(Map.of("p", p), momentum, decay, nesterov)) {
                        for (int t = 0; t < gradients.length; t++) {
                            p.mul(Tensor.of(gradients[t])).sum().backward();
                            optimizer.step(rates[t]);
                            for (int i = 0; i < 2; i++) {
                                double g = gradients[t][i] + decay * w[i];
                                v[i] = momentum * v[i] + g;
                                w[i] -= rates[t] * (nesterov ? g + momentum * v[i] : v[i]);
                            }
                            assertArrayEquals(w, p.toDoubles(), 1e-12);
                            assertTrue(p.leaf().orElseThrow().isEmpty());
                        }
                        optimizer.step(1); // without a gradient nothing moves
                        assertArrayEquals(w, p.toDoubles(), 1e-12);
                    }
                }
            }
        }
        assertThrows(IllegalArgumentException.class, () -> new Sgd(Map.of(), 0, 0, true));
        assertThrows(IllegalArgumentException.class, () -> new Sgd(Map.of(), -0.1, 0, false));
    }

    /// x^2 + x + 1 is least at -1/2: by its derivative, and by autograd.
    @Test
    void gradientDescentFindsTheMinimum() {
        double[] path = new GradientDescent(0.1).path(x -> 2 * x + 1, 3, 100);
        assertEquals(101, path.length);
        assertEquals(3, path[0]);
        assertEquals(3 - 0.1 * 7, path[1], 1e-12);
        assertEquals(-0.5, path[100], 1e-8);
        Tensor x = Tensor.of(new double[] {3}).requireGrad();
        try (Sgd optimizer = new Sgd(Map.of("x", x), 0, 0, false)) {
            for (int step = 1; step <= 100; step++) {
                x.square().add(x).add(1).sum().backward();
                optimizer.step(0.1);
                assertEquals(path[step], x.item(), 1e-12);
            }
        }
    }

    /// f'' is 2: from a rate of 1 on every step is as far off as the last, or further.
    @Test
    void gradientDescentDivergesWhereTheRateIsTooLarge() {
        double[] path = new GradientDescent(1.1).path(x -> 2 * x + 1, 3, 40);
        for (int i = 1; i < path.length; i++) {
            assertTrue(Math.abs(path[i] + 0.5) > Math.abs(path[i - 1] + 0.5));
        }
        assertTrue(Math.abs(path[40]) > 1000);
        assertEquals(3, new GradientDescent(1).path(x -> 2 * x + 1, 3, 40)[40], 1e-9);
    }

    @Test
    void unlessToldOtherwiseEverythingDecays() {
        Tensor vector = Tensor.of(new float[] {1}, 1).requireGrad();
        try (AdamW optimizer = new AdamW(Map.of("v", vector), new AdamW.Options(0.9, 0.99, 1e-8, 0.5))) {
            vector.mul(0).sum().backward();
            optimizer.step(0.1, 1);
        }
        assertEquals(0.95, vector.item(), 1e-6);
    }
}
