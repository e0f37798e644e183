package dev.deckle.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class TensorTest {
    private final Tensor x = Tensor.of(new float[] {0, 1, 2, 3, 4, 5}, 2, 3);

    private static void says(String expected, Executable wrong) {
        String message = assertThrows(IllegalArgumentException.class, wrong).getMessage();
        assertTrue(message.contains(expected), message);
        assertFalse(message.contains("\n"), message);
    }

    @Test
    void viewsShareMemory() {
        for (Tensor view : List.of(x.t(), x.reshape(3, 2), x.slice(1, 1, 3), x.expand(4, 2, 3), x.unsqueeze(1),
                x.t().unsqueeze(0))) {
            assertSame(x.storage(), view.storage());
        }
        assertArrayEquals(new double[] {0, 3, 1, 4, 2, 5}, x.t().toDoubles());
        assertArrayEquals(new double[] {1, 2, 4, 5}, x.slice(-1, 1, 3).toDoubles());
        assertArrayEquals(new double[] {0, 2, 3, 5}, x.slice(1, 0, 3, 2).toDoubles());
        assertArrayEquals(new double[] {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}, x.expand(2, 2, 3).toDoubles());
        assertArrayEquals(new double[] {1, 4}, x.select(1, 1).toDoubles());
        assertEquals(Shape.of(3, 1, 2), x.t().unsqueeze(1).shape());
        assertArrayEquals(x.t().toDoubles(), x.t().unsqueeze(1).toDoubles());
        assertEquals(5, x.at(1, 2));
        assertFalse(x.t().isContiguous());
        assertNotSameMemory(x.t().contiguous());
        assertNotSameMemory(x.t().reshape(-1));
    }

    private void assertNotSameMemory(Tensor t) {
        assertTrue(t.storage() != x.storage());
    }

    @Test
    void elementsOfEveryType() {
        for (DType t : DType.values()) {
            Tensor y = Tensor.of(new float[] {0, 1, 1, 0}).to(t);
            assertArrayEquals(new double[] {0, 1, 1, 0}, y.toDoubles(), t.name());
            assertArrayEquals(new float[] {0, 1, 1, 0}, y.to(DType.F32).toFloats(), t.name());
            assertEquals(4 * t.bytes(), y.bytes());
        }
        // bf16 keeps 8 bits and rounds to even; NaN stays NaN
        Tensor half = Tensor.of(new float[] {1.00390625f, 1.01171875f, Float.NaN, 3.4e38f, -0.1f}).to(DType.BF16);
        float[] back = half.to(DType.F32).toFloats();
        assertArrayEquals(new float[] {1, 1.015625f, Float.NaN, Float.POSITIVE_INFINITY, -0.10009765625f}, back);
        assertArrayEquals(new long[] {1L << 60 | 1}, Tensor.of(new long[] {1L << 60 | 1}).toLongs());
    }

    /// In a product with BF16 weights x is rounded too, to even where it lies between: 1 + 2^-8 to 1, 1 + 3 2^-8 to
    /// 1 + 2^-6. The sum is not: 256 + 1 + 2^-6 has more bits than BF16.
    @Test
    void weightsOfBf16() {
        Tensor w = Tensor.of(new float[] {256, 1, 0.5f, -1}, 2, 2).to(DType.BF16);
        Tensor a = Tensor.of(new float[] {1.00390625f, 1.01171875f, 3, Float.NaN}, 2, 2);
        Tensor bias = Tensor.of(new float[] {0, 0.001953125f});
        double[] expected = {257.015625, -0.513671875, Double.NaN, Double.NaN};
        assertArrayEquals(expected, Functional.linear(a, w, Optional.of(bias)).toDoubles());
        assertArrayEquals(expected, a.matmul(w.t()).add(bias).toDoubles());
        Tensor rows = Functional.embedding(w, Tensor.of(new long[] {1, 0, 1}));
        assertEquals(DType.F32, rows.dtype());
        assertArrayEquals(new double[] {0.5, -1, 256, 1, 0.5, -1}, rows.toDoubles());

        assertArrayEquals(new double[] {65537, 127, 127, 1.25}, Functional.linear(w, w, Optional.empty()).toDoubles());
        says("Linear: F64 (2, 2) and BF16 (2, 2) must have the same type",
                () -> Functional.linear(a.to(DType.F64), w, Optional.empty()));
        says("Linear: F32 (2, 2) and F16 (2, 2) must have the same type",
                () -> Functional.linear(a, w.to(DType.F16), Optional.empty()));
        says("Linear: F32 (2, 2) and BF16 (2) must have the same type",
                () -> Functional.linear(a, w, Optional.of(bias.to(DType.BF16))));
        says("must be one matrix (k, n) to be multiplied as BF16", () -> a.unsqueeze(0).matmul(w.unsqueeze(0)));
    }

    @Test
    void comparisonsAndChoices() {
        Tensor y = Tensor.of(new float[] {0, 9, 2}, 3);
        assertArrayEquals(new long[] {1, 0, 1, 0, 0, 0}, x.eq(y).toLongs());
        assertArrayEquals(new long[] {0, 1, 0, 0, 1, 0}, x.lt(y).toLongs());
        assertArrayEquals(new double[] {0, 9, 2, 0, 9, 2}, x.where(x.eq(y), y).toDoubles());
        Tensor big = Tensor.of(new long[] {(1L << 53) + 1});
        assertArrayEquals(new long[] {0}, big.eq(Tensor.of(new long[] {1L << 53})).toLongs());
        assertArrayEquals(new long[] {2, 2}, x.argmax(1).toLongs());
        assertArrayEquals(new long[] {1, 1, 1}, x.argmax(0).toLongs());
        assertArrayEquals(new long[] {1}, Tensor.of(new float[] {1, 7, 7}).unsqueeze(0).argmax(1).toLongs());
    }

    @Test
    void emptyTensorsAreWelcome() {
        Tensor none = Tensor.zeros(0, 3);
        assertEquals(0, none.sum().item());
        assertEquals(Shape.of(0, 3), none.add(1).mul(none).shape());
        assertArrayEquals(new double[] {0, 0, 0}, none.sum(0, false).toDoubles());
        assertEquals(Shape.of(0, 5), none.matmul(Tensor.ones(3, 5)).shape());
        assertArrayEquals(new double[6], Tensor.ones(2, 0).matmul(Tensor.ones(0, 3)).toDoubles());
        assertEquals(Shape.of(0, 3), none.softmax(-1).shape());
        assertEquals(Shape.of(2, 0), x.slice(1, 3, 3).shape());
    }

    @Test
    void complaintsNameWhatDoesNotFit() {
        says("add: shapes (2, 3) and (2) do not fit", () -> x.add(Tensor.ones(2)));
        says("add: F32 (2, 3) and F64 (2, 3) must have the same type", () -> x.add(x.to(DType.F64)));
        says("MatMul: F32 (2, 3) times (2, 3): the inner sizes 3 and 2 differ; did you mean b.transpose(-2, -1)?",
                () -> x.matmul(x));
        says("MatMul: F32 (3) and (3, 2) must both be matrices", () -> Tensor.ones(3).matmul(Tensor.ones(3, 2)));
        says("exp: I64 (2) cannot be computed with: cast it to F32 first", () -> Tensor.of(new long[] {1, 2}).exp());
        says("Reshape: F32 (2, 3) has 6 elements, (4) needs 4", () -> x.reshape(4));
        says("which the other sizes (4) do not divide", () -> x.reshape(4, -1));
        says("cannot be expanded to (2, 6): only sizes of 1 repeat", () -> x.expand(2, 6));
        says("cannot be sliced [1:4:1] in dimension 1", () -> x.slice(1, 1, 4));
        says("there is no dimension 2 in shape (2, 3)", () -> x.sum(2, true));
        says("Embedding: index 2 is not in 0..1", () -> Functional.embedding(x, Tensor.of(new long[] {2})));
        says("CrossEntropy: target 3 of row 1 is not in 0..2",
                () -> Functional.crossEntropy(x, Tensor.of(new long[] {0, 3}), -100));
        says("Linear: F32 (2, 3) does not fit weight (4, 2)",
                () -> Functional.linear(x, Tensor.ones(4, 2), Optional.empty()));
        says("must be (..., T, D) with an even D", () -> Functional.rope(x, x, x, false));
        says("item() reads a single number, not shape (2, 3)", x::item);
        says("has 3 heads, which the 2 key heads do not divide", () -> Functional.attention(Tensor.ones(1, 3, 4, 2),
                Tensor.ones(1, 2, 4, 2), Tensor.ones(1, 2, 4, 2), Optional.empty(), true, 1));
        says("cannot be permuted by [0, 0]", () -> x.permute(0, 0));
        says("a dimension cannot be negative", () -> Tensor.zeros(-1));
    }

    @Test
    void aMaximumKeepsNaN() {
        Tensor y = Tensor.of(new float[] {1, Float.NaN, 3}, 1, 3);
        assertTrue(Double.isNaN(y.max(1, false).item()));
        assertTrue(Double.isNaN(y.maximum(Tensor.zeros(1)).at(0, 1)));
        assertTrue(Double.isNaN(y.relu().at(0, 1)));
        assertArrayEquals(new long[] {1}, y.argmax(1).toLongs());
    }
}
