package dev.deckle.compute;

import dev.deckle.tensor.Tensor;
import java.util.Comparator;
import java.util.stream.IntStream;

/// New tensors that lie in memory as another does.
final class Like {
    private Like() {}

    /// Empty, of x's shape, its dimensions in the same order of strides as x's and without gaps: a (B, T, H, D) array
    /// seen as (B, H, T, D) gives another such view.
    static Tensor layout(Tensor x) {
        int[] byStride = IntStream.range(0, x.rank())
                .boxed()
                .sorted(Comparator.<Integer>comparingLong(i -> -x.stride(i)))
                .mapToInt(i -> i)
                .toArray();
        int[] dims = IntStream.of(byStride).map(x::dim).toArray();
        int[] back = new int[x.rank()];
        for (int i = 0; i < byStride.length; i++) {
            back[byStride[i]] = i;
        }
        return Tensor.empty(x.dtype(), dev.deckle.tensor.Shape.of(dims)).permute(back);
    }
}
