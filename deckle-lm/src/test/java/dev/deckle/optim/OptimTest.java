package dev.deckle.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.deckle.tensor.Tensor;
import java.util.Map;
import org.junit.jupiter.api.Test;

class OptimTest {
    /// torch.optim.AdamW of PyTorch 2.13, lr .1, betas (.9, .999), eps 1e-8, decay .01, gradients (.5, -1), (.1, .2),
    /// (-.3, .4). A matrix, because vectors do not decay.
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
        try (AdamW optimizer = new AdamW(Map.of("m", matrix, "v", vector), new AdamW.Options(0.9, 0.99, 1e-8, 0.5))) {
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
}
