package dev.deckle.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.Workspace;
import dev.deckle.random.Generator;
import dev.deckle.tensor.OpObserver;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Memory that a layer gives up on the way forward: it serves again, no gradient misses it, and a later reader is told.
class GiveUpTest {
    private final Generator random = new Generator(1);

    /// `(x + h)^2` with `h = w x`, whose gradient reads the sum and never h.
    private Tensor loss(Tensor w, Tensor x, boolean giveUp) {
        Tensor h = w.mul(x);
        Tensor sum = x.add(h);
        if (giveUp) {
            h.giveUp();
            Tensor other = Tensor.full(x.dtype(), 7, 3, 5); // takes the place of h
            assertEquals(7, other.at(0, 0));
        }
        return sum.square().sum();
    }

    @Test
    void gradientsAreTheSame() {
        Tensor w = random.randn(3, 5).requireGrad();
        Tensor x = random.randn(3, 5);
        List<float[]> gradients = new ArrayList<>();
        for (boolean giveUp : new boolean[] {false, true}) {
            try (Workspace _ = Workspace.open()) {
                loss(w, x, giveUp).backward();
            }
            gradients.add(w.grad().toFloats());
            w.leaf().orElseThrow().zero();
        }
        assertArrayEquals(gradients.get(0), gradients.get(1));
    }

    @Test
    void itsMemoryServesAgain() {
        Tensor w = random.randn(3, 5).requireGrad();
        Tensor x = random.randn(3, 5);
        try (Workspace step = Workspace.open()) {
            Tensor h = w.mul(x);
            Tensor sum = h.add(x);
            long before = step.usedBytes();
            h.giveUp();
            assertTrue(step.usedBytes() < before);
            var e = assertThrows(IllegalStateException.class, h::toFloats);
            assertTrue(e.getMessage().contains("given up"), e.getMessage());
            sum.sum().backward();
            assertArrayEquals(x.toFloats(), w.grad().toFloats());
        }
    }

    @Test
    void whatAGradientReadsStays() {
        Tensor w = random.randn(3, 5).requireGrad();
        try (Workspace _ = Workspace.open()) {
            Tensor h = w.mul(2);
            Tensor y = h.square(); // reads h
            h.giveUp();
            Tensor view = h.reshape(15);
            view.giveUp();
            assertEquals(h.at(0, 0) * h.at(0, 0), y.at(0, 0), 1e-6);
            y.sum().backward();
        }
    }

    @Test
    void viewsOfAPartAreLeftAlone() {
        try (Workspace _ = Workspace.open()) {
            Tensor h = random.randn(3, 5);
            h.slice(0, 0, 2).giveUp();
            assertEquals(15, h.toFloats().length);
        }
    }

    @Test
    void whoWatchesMayReadLater() {
        try (Workspace _ = Workspace.open()) {
            Tensor h = OpObserver.during((_, _) -> {}, () -> {
                Tensor made = random.randn(3, 5).mul(2);
                made.giveUp();
                return made;
            });
            assertEquals(15, h.toFloats().length);
        }
    }
}
