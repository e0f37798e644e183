package dev.deckle.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class DropoutTest {
    @Test
    void theExpectedValueStays() {
        Tensor x = Tensor.ones(200, 300);
        double[] y = new Dropout(0.3).forward(x, Pass.train(new Generator(1))).toDoubles();
        assertEquals(0.3, Arrays.stream(y).filter(v -> v == 0).count() / 60_000.0, 0.01);
        assertEquals(1, Arrays.stream(y).average().orElseThrow(), 0.02);
        assertEquals(1 / 0.7, Arrays.stream(y).max().orElseThrow(), 1e-6);
    }

    @Test
    void nothingHappensInEvaluation() {
        Tensor x = Tensor.ones(3);
        assertSame(x, new Dropout(0.3).forward(x, Pass.evaluate()));
        assertSame(x, new Dropout(0).forward(x, Pass.train(new Generator(1))));
        assertThrows(IllegalArgumentException.class, () -> new Dropout(1));
    }
}
