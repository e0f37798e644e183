package dev.deckle.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What only products with weights of BF16 read may be of BF16 itself: nobody sees a difference, to the bit, in values
/// and gradients.
class HalfActivationsTest {
    private static final int ROWS = 211;
    private static final int WIDTH = 77;
    private static final int INSIDE = 106;

    private final Generator random = new Generator(9);
    private Tensor x;
    private Tensor norm;
    private Tensor gateProj;
    private Tensor upProj;
    private Tensor downProj;
    private Tensor dy;

    @BeforeEach
    void make() {
        x = random.randn(ROWS, WIDTH).requireGrad();
        norm = random.randn(WIDTH).requireGrad();
        gateProj = weight(INSIDE, WIDTH);
        upProj = weight(INSIDE, WIDTH);
        downProj = weight(WIDTH, INSIDE);
        dy = random.randn(ROWS, WIDTH);
    }

    private Tensor weight(int out, int in) {
        Tensor w = random.randn(out, in).mul(0.1).to(DType.BF16);
        w.requireGrad(new Leaf(w, Tensor.zeros(DType.F32, Shape.of(out, in))));
        return w;
    }

    private static Tensor linear(Tensor x, Tensor w) {
        return Functional.linear(x, w, Optional.empty());
    }

    /// The bits of a gated network behind a norm, and of all its gradients.
    private List<float[]> network(DType dtype) {
        List<Tensor> leaves = List.of(x, norm, gateProj, upProj, downProj);
        leaves.forEach(l -> l.leaf().orElseThrow().zero());
        Tensor h = Functional.rmsNorm(x, norm, 1e-5, dtype);
        Tensor inside = Functional.swiglu(linear(h, gateProj), linear(h, upProj), dtype);
        assertEquals(List.of(dtype, dtype), List.of(h.dtype(), inside.dtype()));
        Tensor y = linear(inside, downProj);
        y.backward(dy);
        return List.of(y.toFloats(), x.grad().toFloats(), norm.grad().toFloats(), gateProj.grad().toFloats(),
                upProj.grad().toFloats(), downProj.grad().toFloats());
    }

    @Test
    void aNetworkGivesTheSameBits() {
        List<float[]> wide = network(DType.F32);
        List<float[]> half = network(DType.BF16);
        for (int i = 0; i < wide.size(); i++) {
            assertArrayEquals(wide.get(i), half.get(i), "number " + i);
        }
    }

    /// As its definition, whose gradients are not rounded on their way.
    @Test
    void aNetworkIsWhatItsDefinitionSays() {
        List<float[]> fused = network(DType.BF16);
        List<float[]> plain = Definitions.during(() -> network(DType.BF16));
        for (int i = 0; i < fused.size(); i++) {
            assertClose(plain.get(i), fused.get(i), "number " + i);
        }
    }

    /// But for numbers that fall on different sides of where BF16 rounds.
    private static void assertClose(float[] expected, float[] found, String what) {
        double size = 0;
        double error = 0;
        for (int j = 0; j < expected.length; j++) {
            size += Math.abs(expected[j]);
            error += Math.abs(expected[j] - found[j]);
        }
        assertEquals(0, error / size, 1e-3, what);
    }

    /// The gradients of logits lie in the logits' place: one row of them at a time, some, and all.
    @ParameterizedTest
    @ValueSource(ints = {3, 77, 611, 16_501})
    void lossesOfLogitsThatAreNeverHeldWhole(int classes) {
        Tensor w = weight(classes, WIDTH);
        long[] ids = new long[Math.min(ROWS, 700_000 / classes)];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = i % 7 == 3 ? -100 : (long) i * 4_111 % classes;
        }
        Tensor targets = Tensor.of(ids);
        List<float[]> fused = losses(w, targets);
        List<float[]> plain = Definitions.during(() -> losses(w, targets));
        assertEquals(plain.get(0)[0], fused.get(0)[0], 1e-5 * plain.get(0)[0]);
        assertClose(plain.get(1), fused.get(1), "x of " + classes);
        assertClose(plain.get(2), fused.get(2), "weight of " + classes);
    }

    private List<float[]> losses(Tensor w, Tensor targets) {
        x.leaf().orElseThrow().zero();
        w.leaf().orElseThrow().zero();
        Tensor loss = Functional.linearCrossEntropy(x.slice(0, 0, targets.dim(0)), w, targets, -100);
        loss.backward();
        return List.of(loss.toFloats(), x.grad().toFloats(), w.grad().toFloats());
    }

    /// A gradient of BF16 meets another one, whichever comes first, and operations that are no products.
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void aGradientOfBf16IsAddedUpInF32(DType dtype) {
        Tensor one = Tensor.of(new float[] {1}).requireGrad();
        Tensor gate = one.mul(1);
        Tensor up = one.mul(Tensor.of(new float[] {3}));
        Tensor early = gate.mul(1024);
        Functional.swiglu(gate, up, dtype).to(DType.F32).add(early).add(gate.mul(512)).sum().backward();
        double s = 1 / (1 + Math.exp(-1));
        double gateGrad = 3 * s * (1 + 1 - s);
        assertEquals(1536 + gateGrad + 3 * s, one.grad().item(), dtype == DType.F32 ? 1e-3 : 0.02);
    }

    @Test
    void leavesGatherGradientsOfBf16() {
        Tensor gate = Tensor.of(new float[] {0}).requireGrad();
        Tensor up = Tensor.of(new float[] {2}).requireGrad();
        for (int i = 1; i <= 2; i++) {
            Functional.swiglu(gate, up, DType.BF16).to(DType.F32).sum().backward();
            assertEquals(i, gate.grad().item()); // 2 silu'(0)
            assertEquals(0, up.grad().item());
        }
    }

    @Test
    void whatABiasGathersIsNotRounded() {
        Tensor b = Tensor.zeros(INSIDE).requireGrad();
        Tensor gate = Functional.linear(x, gateProj, Optional.of(b));
        gate.backward(Tensor.full(DType.F32, 1.00390625, ROWS, INSIDE));
        assertEquals(ROWS * 1.00390625, b.grad().at(INSIDE - 1), 1e-3);
    }

    @Test
    void activationsOfBf16ComeFromF32AndGoToProductsOnly() {
        Tensor h = x.detach().to(DType.BF16);
        Tensor wide = Tensor.ones(WIDTH, INSIDE).t();
        for (Tensor y : List.of(h.matmul(gateProj.t()), linear(h, gateProj))) {
            assertEquals(DType.F32, y.dtype());
            assertArrayEquals(linear(x, gateProj).toFloats(), y.toFloats());
        }
        assertThrows(IllegalArgumentException.class, () -> linear(h, wide));
        assertThrows(IllegalArgumentException.class, () -> h.add(h));
        assertThrows(IllegalArgumentException.class, () -> Functional.swiglu(x.to(DType.F64), x.to(DType.F64),
                DType.BF16));
        assertThrows(IllegalArgumentException.class, () -> Functional.rmsNorm(x, norm, 1e-5, DType.F16));
    }
}
