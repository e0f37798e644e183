package dev.deckle.autograd;

import dev.deckle.compute.Pointwise;
import dev.deckle.compute.Product;
import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.Tensor;
import java.util.IdentityHashMap;
import java.util.Map;

/// Where the gradients of a backward pass gather: those of leaves in the leaves' buffers, the others here until their
/// operation's turn comes.
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
            if (first) {
                Pointwise.copy(g, target);
            } else {
                Pointwise.binaryInto(BinaryFn.ADD, target, g, target);
            }
            return;
        }
        Tensor sum = pending.get(x);
        if (sum == null) {
            g.storage().retain();
            pending.put(x, g);
        } else if (ours(sum)) {
            Pointwise.binaryInto(BinaryFn.ADD, sum, g, sum);
        } else {
            replace(x, sum, Pointwise.binary(BinaryFn.ADD, sum, g, sum.shape()));
        }
    }

    /// Adds the matrix product a b, seen in x's shape, to the gradient of x: without a temporary where there is a
    /// buffer to accumulate into.
    void addProduct(Tensor x, Tensor a, Tensor b) {
        if (!wants(x)) {
            return;
        }
        if (x.leaf().isPresent()) {
            Leaf leaf = x.leaf().get();
            boolean first = leaf.isEmpty();
            Product.into(Product.rows(leaf.target()), a, b, !first);
            return;
        }
        Tensor sum = pending.get(x);
        if (sum != null && ours(sum) && sum.isContiguous()) {
            Product.into(Product.rows(sum), a, b, true);
        } else {
            Tensor g = Tensor.empty(x.dtype(), x.shape());
            Product.into(Product.rows(g), a, b, false);
            add(x, g);
        }
    }

    /// A buffer of x's shape that holds the gradient of x so far, to be added to in place.
    Tensor into(Tensor x) {
        if (x.leaf().isPresent()) {
            Leaf leaf = x.leaf().get();
            boolean first = leaf.isEmpty();
            Tensor target = leaf.target();
            if (first) {
                Native.zero(target.address(), target.bytes());
            }
            return target;
        }
        Tensor sum = pending.get(x);
        if (sum == null) {
            sum = Tensor.zeros(x.dtype(), x.shape());
            sum.storage().retain();
            pending.put(x, sum);
        } else if (!ours(sum) || !sum.isContiguous()) {
            Tensor own = Pointwise.copy(sum, Tensor.empty(x.dtype(), x.shape()));
            replace(x, sum, own);
            return own;
        }
        return sum;
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
