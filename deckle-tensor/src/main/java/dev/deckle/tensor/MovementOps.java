package dev.deckle.tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/// Other arrangements of the same elements. All but [#contiguous()] are views: no copy, same memory.
interface MovementOps {
    private Tensor self() {
        return (Tensor) this;
    }

    /// The same elements in row-major order under another shape; one size may be -1 (what is left over). Copies first
    /// where the elements do not lie in row-major order.
    default Tensor reshape(int... dims) {
        int[] d = dims.clone();
        int open = -1;
        long known = 1;
        for (int i = 0; i < d.length; i++) {
            if (d[i] == -1 && open < 0) {
                open = i;
            } else {
                known *= d[i];
            }
        }
        if (open >= 0) {
            if (known <= 0 || self().numel() % known != 0) {
                throw new IllegalArgumentException("reshape: " + self().shape() + " has " + self().numel()
                        + " elements, which the other sizes (" + known + ") do not divide");
            }
            d[open] = Math.toIntExact(self().numel() / known);
        }
        return reshape(Shape.of(d));
    }

    default Tensor reshape(Shape shape) {
        return shape.equals(self().shape()) ? self() : Eager.run(new Op.Reshape(contiguous(), shape));
    }

    /// Dimension i of the result is dimension `order[i]` of this.
    default Tensor permute(int... order) {
        return Eager.run(new Op.Permute(self(), IntStream.of(order).map(self().shape()::axis).boxed().toList()));
    }

    /// Two dimensions swapped.
    default Tensor transpose(int a, int b) {
        int i = self().shape().axis(a);
        int j = self().shape().axis(b);
        Integer[] order = new Integer[self().rank()];
        Arrays.setAll(order, d -> d == i ? j : d == j ? i : d);
        return Eager.run(new Op.Permute(self(), List.of(order)));
    }

    /// A matrix transposed.
    default Tensor t() {
        return transpose(-2, -1);
    }

    /// Sizes of 1, and missing leading dimensions, repeated to the given shape without a copy.
    default Tensor expand(int... dims) {
        return expand(Shape.of(dims));
    }

    default Tensor expand(Shape shape) {
        return shape.equals(self().shape()) ? self() : Eager.run(new Op.Expand(self(), shape));
    }

    /// Elements start (inclusive) to end (exclusive) of one dimension.
    default Tensor slice(int dim, int start, int end) {
        return slice(dim, start, end, 1);
    }

    /// Every step-th of them.
    default Tensor slice(int dim, int start, int end, int step) {
        return Eager.run(new Op.Slice(self(), self().shape().axis(dim), start, end, step));
    }

    /// One element of one dimension, which goes.
    default Tensor select(int dim, int index) {
        int a = self().shape().axis(dim);
        return slice(a, index, index + 1).squeeze(a);
    }

    /// Cuts one dimension into equal parts.
    default List<Tensor> chunk(int parts, int dim) {
        int size = self().dim(dim);
        if (parts < 1 || size % parts != 0) {
            throw new IllegalArgumentException("chunk: " + parts + " parts do not divide dimension " + dim + " of "
                    + self().shape());
        }
        int each = size / parts;
        return IntStream.range(0, parts).mapToObj(i -> slice(dim, i * each, (i + 1) * each)).toList();
    }

    /// A new dimension of size 1 before position `dim`.
    default Tensor unsqueeze(int dim) {
        int a = dim < 0 ? dim + self().rank() + 1 : dim;
        Shape s = self().shape().insert(a, 1);
        if (self().isContiguous()) {
            return Eager.run(new Op.Reshape(self(), s));
        }
        // a leading 1 comes by expanding; then it is moved to its place: still no copy
        Tensor lead = expand(self().shape().insert(0, 1));
        List<Integer> order = new ArrayList<>(IntStream.rangeClosed(1, self().rank()).boxed().toList());
        order.add(a, 0);
        return Eager.run(new Op.Permute(lead, List.copyOf(order)));
    }

    /// Without a dimension of size 1.
    default Tensor squeeze(int dim) {
        int a = self().shape().axis(dim);
        if (self().dim(a) != 1) {
            throw new IllegalArgumentException("squeeze: dimension " + dim + " of " + self().shape() + " is not 1");
        }
        return reshape(self().shape().without(a));
    }

    /// Itself if its elements lie in row-major order, else a copy that does.
    default Tensor contiguous() {
        return self().isContiguous() ? self() : Eager.run(new Op.Contiguous(self()));
    }
}
