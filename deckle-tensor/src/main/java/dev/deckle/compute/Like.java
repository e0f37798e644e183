package dev.deckle.compute;

import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// New tensors that lie in memory as another does.
final class Like {
    private Like() {}

    /// Empty, of x's shape, its last dimension together and the others in the order of x's strides, without gaps (what
    /// x repeats gets memory of its own): a (B, T, H, D) array seen as (B, H, T, D) gives another such view.
    static Tensor layout(Tensor x) {
        int last = x.rank() - 1;
        int[] byStride = new int[x.rank()];
        for (int i = 0; i < last; i++) { // sorted as it grows: there are few
            int at = i;
            for (; at > 0 && x.stride(byStride[at - 1]) < x.stride(i); at--) {
                byStride[at] = byStride[at - 1];
            }
            byStride[at] = i;
        }
        byStride[last] = last;
        int[] dims = new int[x.rank()];
        int[] back = new int[x.rank()];
        for (int i = 0; i < byStride.length; i++) {
            dims[i] = x.dim(byStride[i]);
            back[byStride[i]] = i;
        }
        return Tensor.empty(x.dtype(), Shape.of(dims)).permute(back);
    }
}
