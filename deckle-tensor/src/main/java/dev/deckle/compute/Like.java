package dev.deckle.compute;

import dev.deckle.tensor.Tensor;
import java.util.Comparator;
import java.util.stream.IntStream;

/// New tensors that lie in memory as another does.
final class Like {
    private Like() {}

    /// Empty, of x's shape, its last dimension together and the others in the order of x's strides, without gaps (what
    /// x repeats gets memory of its own): a (B, T, H, D) array seen as (B, H, T, D) gives another such view.
    static Tensor layout(Tensor x) {
        int last = x.rank() - 1;
        int[] byStride = IntStream.range(0, x.rank())
                .boxed()
                .sorted(Comparator.<Integer>comparingLong(i -> i == last ? 1 : -x.stride(i)))
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
