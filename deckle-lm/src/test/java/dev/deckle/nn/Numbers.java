package dev.deckle.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.autograd.GradCheck;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.function.Executable;

/// Numbers for the tests of layers, and what they are compared with.
public final class Numbers {
    private Numbers() {}

    /// F64 normal numbers.
    public static Tensor randn(long seed, int... dims) {
        return new Generator(seed).randn(dims).to(DType.F64);
    }

    /// The same as a leaf that gathers a gradient.
    public static Tensor leaf(long seed, int... dims) {
        return randn(seed, dims).requireGrad();
    }

    /// Zeros and ones, with one of each row of `last` at least.
    public static Tensor mask(long seed, int... dims) {
        float[] m = new Generator(seed).bernoulli(0.6, dims).toFloats();
        int last = dims[dims.length - 1];
        for (int row = 0; row < m.length; row += last) {
            m[row + row / last % last] = 1;
        }
        return Tensor.of(m, dims);
    }

    public static void assertClose(double[] expected, Tensor found, double tolerance) {
        assertArrayEquals(expected, found.toDoubles(), tolerance);
    }

    public static void assertClose(Tensor expected, Tensor found, double tolerance) {
        assertEquals(expected.shape(), found.shape());
        assertClose(expected.toDoubles(), found, tolerance);
    }

    /// That the gradients of `y`, weighted at random, are those of central differences.
    public static void assertGradients(Supplier<Tensor> y, Collection<Tensor> leaves) {
        List<Tensor> trained = new ArrayList<>(leaves);
        trained.removeIf(x -> !x.requiresGrad());
        assertTrue(!trained.isEmpty(), "nothing to derive by");
        Tensor weights = randn(99, y.get().shape().toArray());
        double worst = GradCheck.worst(() -> y.get().mul(weights).sum(), trained, 1e-5);
        assertTrue(worst < 1e-6, "worst error " + worst);
    }

    /// That something is refused in one line that says `what`.
    public static void assertRefused(String what, Executable action) {
        String message = assertThrows(IllegalArgumentException.class, action).getMessage();
        assertTrue(message.contains(what) && !message.contains("\n"), message);
    }
}
