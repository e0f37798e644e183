package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;

class PaddedTest {
    private static final Sequence A = Sequence.of(new int[] {5, 6}, new int[] {7, 8, 9});
    private static final Sequence B = Sequence.of(new int[] {3}, new int[] {4});
    private static final Sequence C = Sequence.of(new int[0], new int[] {1, 2, 0});
    private static final Sequence D = new Sequence(new int[] {4, 5, 6, 7}, new boolean[] {false, true, false, true});

    @Test
    void whatCountsIsTheCompletion() {
        assertArrayEquals(new int[] {5, 6, 7, 8, 9}, A.ids());
        assertArrayEquals(new boolean[] {false, false, true, true, true}, A.counted());
        assertEquals(5, A.length());
        assertEquals(3, A.tokens());
        assertArrayEquals(new boolean[] {false, true, true}, C.counted()); // nothing predicts the first
        assertEquals(2, C.tokens());
        assertEquals(0, Sequence.of(new int[] {1, 2}, new int[0]).tokens());
    }

    @Test
    void inputsAndWhatFollowsThem() {
        Padded p = Padded.of(List.of(A, B, C, D));
        assertEquals(4, p.rows());
        assertEquals(Shape.of(4, 4), p.inputs().shape());
        assertArrayEquals(new long[] {5, 6, 7, 8, 3, 4, 0, 0, 1, 2, 0, 0, 4, 5, 6, 7}, p.inputs().toLongs());
        long i = Padded.IGNORED;
        assertArrayEquals(new long[] {i, 7, 8, 9, 4, i, i, i, 2, 0, i, i, 5, i, 7, i}, p.targets().toLongs());
        assertArrayEquals(new float[] {0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0}, p.mask().toFloats());
        assertEquals(8, p.tokens());
    }

    @Test
    void oneTokenIsARowAsWell() {
        Padded p = Padded.of(List.of(Sequence.of(new int[] {9}, new int[0])));
        assertEquals(Shape.of(1, 1), p.inputs().shape());
        assertEquals(0, p.tokens());
        assertEquals(0, p.gather(p.mask()).getFirst().length);
    }

    @Test
    void numbersOfTokensThereAndBack() {
        Padded p = Padded.of(List.of(A, B, C, D));
        List<float[]> numbers = List.of(new float[] {1, 2, 3}, new float[] {4}, new float[] {5, 6}, new float[] {7, 8});
        Tensor wide = p.spread(numbers);
        assertArrayEquals(new float[] {0, 1, 2, 3, 4, 0, 0, 0, 5, 6, 0, 0, 7, 0, 8, 0}, wide.toFloats());
        List<float[]> back = p.gather(wide.add(Tensor.full(DType.F32, 0, 4, 4)));
        for (int r = 0; r < 4; r++) {
            assertArrayEquals(numbers.get(r), back.get(r));
        }
    }
}
