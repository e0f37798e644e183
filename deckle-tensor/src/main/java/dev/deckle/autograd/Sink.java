package dev.deckle.autograd;

import dev.deckle.compute.Pointwise;
import dev.deckle.compute.Product;
import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Optional;

/// Where the gradients of a backward pass gather: those of leaves in the leaves' buffers, the others here until their
/// operation's turn comes.
///
/// The gradient of a tensor of BF16 or F16 is on its way in F32: it is rounded once, where a leaf gathers it. One that
/// comes in BF16, for products that would round it, stays so unless another is added to it.
final class Sink {
    private static final String SPENT = "this gradient was used up by backward()";

    private final Map<Tensor, Tensor> pending = new IdentityHashMap<>();

    /// Whether anybody needs the gradient of x.
    boolean wants(Tensor x) {
        return x.requiresGrad();
    }

    /// Adds g, of x's shape, to the gradient of x.
    void add(Tensor x, Tensor g) {
        if (!wants(x)) {
            return;
        }
        if (x.leaf().isPresent()) {
            Leaf leaf = x.leaf().get();
            boolean first = leaf.isEmpty();
            Tensor target = leaf.target();
            Tensor term = g.to(x.dtype().sums());
            if (first) {
                Pointwise.copy(term, target);
            } else {
                Pointwise.add(term, target);
            }
            return;
        }
        Tensor sum = sum(x);
        Tensor term = sum == null && g.dtype() == DType.BF16 ? g : g.to(x.dtype().sums());
        if (sum == null) {
            term.storage().retain();
            pending.put(x, term);
        } else if (ours(sum)) {
            Pointwise.add(term, sum);
        } else {
            replace(x, sum, Pointwise.binary(BinaryFn.ADD, sum, term, sum.shape()));
        }
    }

    /// What came for x so far, in the type that it is added up in, or null.
    private Tensor sum(Tensor x) {
        Tensor sum = pending.get(x);
        if (sum == null || sum.dtype() == x.dtype().sums()) {
            return sum;
        }
        Tensor wide = sum.to(x.dtype().sums());
        replace(x, sum, wide);
        return wide;
    }

    /// Adds the matrix product a b, seen in x's shape, to the gradient of x: without a temporary where there is a
    /// buffer to accumulate into. Where x is of BF16, a and b are multiplied as BF16.
    void addProduct(Tensor x, Tensor a, Tensor b) {
        if (!wants(x)) {
            return;
        }
        if (x.leaf().isPresent()) {
            Leaf leaf = x.leaf().get();
            boolean first = leaf.isEmpty();
            multiply(x, Product.rows(leaf.target()), a, b, !first);
            return;
        }
        Tensor sum = sum(x);
        if (sum != null && ours(sum) && sum.isContiguous()) {
            multiply(x, Product.rows(sum), a, b, true);
        } else {
            Tensor g = Tensor.empty(x.dtype().sums(), x.shape());
            multiply(x, Product.rows(g), a, b, false);
            add(x, g);
        }
    }

    /// Adds d g to the gradient of x, where d is what an operation kept for that and held once; g is a scalar. d is
    /// given up: where it lives in a step, its memory serves the sum or is free.
    void addKept(Tensor x, Tensor d, Tensor g) {
        if (d.storage().temporary()) {
            Pointwise.binaryInto(BinaryFn.MUL, d, g, d);
            add(x, d);
        } else {
            add(x, d.mul(g));
        }
        d.storage().release(SPENT);
    }

    private static void multiply(Tensor x, Tensor c, Tensor a, Tensor b, boolean accumulate) {
        if (x.dtype() == DType.BF16) {
            Product.roundedInto(c, a, b, accumulate);
        } else {
            Product.into(c, a, b, accumulate);
        }
    }

    /// A buffer of x's shape that holds the gradient of x so far, to be added to in place. It is of BF16 where a leaf
    /// gathers in BF16: whoever adds several numbers to one of its places adds them up first. Where nobody needs the
    /// gradient, a buffer that is lost.
    Tensor into(Tensor x) {
        if (!wants(x)) {
            return Tensor.zeros(x.dtype().sums(), x.shape());
        }
        if (x.leaf().isPresent()) {
            Leaf leaf = x.leaf().get();
            boolean first = leaf.isEmpty();
            Tensor target = leaf.target();
            if (first) {
                Native.zero(target.address(), target.bytes());
            }
            return target;
        }
        Tensor sum = sum(x);
        if (sum == null) {
            sum = Tensor.zeros(x.dtype().sums(), x.shape());
            sum.storage().retain();
            pending.put(x, sum);
        } else if (!ours(sum) || !sum.isContiguous()) {
            Tensor own = Pointwise.copy(sum, Tensor.empty(sum.dtype(), x.shape()));
            replace(x, sum, own);
            return own;
        }
        return sum;
    }

    /// The gradient of x, which has none so far, is g: of its own type, and held once already for this sink.
    void put(Tensor x, Tensor g) {
        pending.put(x, g);
    }

    /// Something whose gradient was not taken, if there is any.
    Optional<Tensor> left() {
        return pending.keySet().stream().findFirst();
    }

    /// Takes the gradient of x out, or null if none came.
    Tensor take(Tensor x) {
        return pending.remove(x);
    }

    /// Gives a taken gradient's memory back.
    void release(Tensor g) {
        g.storage().release(SPENT);
    }

    private void replace(Tensor x, Tensor old, Tensor now) {
        now.storage().retain();
        pending.put(x, now);
        release(old);
    }

    /// Whether nothing else reads this gradient's memory: it is held once, and is no repeated view of it.
    private static boolean ours(Tensor g) {
        if (g.storage().uses() != 1) {
            return false;
        }
        for (int i = 0; i < g.rank(); i++) {
            if (g.stride(i) == 0 && g.dim(i) > 1) {
                return false;
            }
        }
        return true;
    }
}
