package dev.deckle.autograd;

import dev.deckle.memory.Workspace;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.OpObserver;
import dev.deckle.tensor.Tensor;
import java.lang.ref.Reference;
import java.util.Collections;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.PriorityQueue;
import java.util.Set;

/// Reverse-mode differentiation: walks from a result back to its leaves, each operation once.
///
/// A result has a larger id than its inputs, so the largest id that is left is always an operation whose own gradient
/// is complete: a priority queue replaces the usual topological sort, and there is no recursion to overflow.
///
/// Inside a Workspace the walk frees as it goes: the memory of a result (activations) and of its gradient serves again
/// as soon as its operation is done. A step then peaks at about the size of its activations.
public final class Backward {
    private Backward() {}

    /// Adds the derivatives of `sum(root gradient)` to the leaves behind `root`.
    public static void run(Tensor root, Tensor gradient) {
        if (!gradient.shape().equals(root.shape()) || gradient.dtype() != root.dtype()) {
            throw new IllegalArgumentException("backward: the gradient of a " + root.dtype() + " " + root.shape()
                    + " result must be of its type and shape, not " + gradient.dtype() + " " + gradient.shape());
        }
        if (!root.requiresGrad()) {
            throw new IllegalStateException("backward: nothing behind this " + root.shape() + " tensor requires a "
                    + "gradient; was it made inside NoGrad, or is requireGrad() missing on a leaf?");
        }
        root.storage().retain(); // these two are the caller's: one is never added to in place, and neither is released
        gradient.storage().retain();
        Sink sink = new Sink();
        sink.add(root, gradient);
        try (NoGrad _ = NoGrad.open()) {
            walk(root, sink, 0);
        }
    }

    /// Goes back from `root`, whose gradient the sink has.
    ///
    /// @param from the id at which the graph begins: the walk ends at what is older
    private static void walk(Tensor root, Sink sink, long from) {
        Set<Tensor> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        PriorityQueue<Tensor> queue = new PriorityQueue<>(Comparator.comparingLong(Tensor::id).reversed());
        visit(root, from, seen, queue);
        while (!queue.isEmpty()) {
            Tensor y = queue.poll();
            var op = y.creator().orElseThrow();
            op.inputs().forEach(x -> visit(x, from, seen, queue));
            Tensor g = sink.take(y);
            if (g != null) {
                OpObserver.tellBefore(op);
                Gradients.of(op, y, Gradients.rounds(op) ? g : g.to(y.dtype().sums()), sink);
                Reference.reachabilityFence(g);
                sink.release(g);
            }
            y.storage().release("this " + y.shape() + " tensor, made by " + op.label() + ", was released by "
                    + "backward(): read it before, or keep() a copy");
        }
    }

    private static void visit(Tensor x, long from, Set<Tensor> seen, PriorityQueue<Tensor> queue) {
        if (x.creator().isPresent() && x.id() >= from && seen.add(x)) {
            queue.add(x);
        }
    }

    /// The derivative of a layer of which only the input was kept: computes it again and goes back through it, to its
    /// input and no further, in a scope of its own. What the layer makes is gone before the one below it is computed.
    static void through(Op.Recomputed op, Tensor g, Sink sink) {
        Tensor x = op.x();
        long from = x.detach().id(); // the layer's own tensors have larger ones
        Sink own = new Sink();
        Tensor gx;
        try (Workspace _ = Workspace.open()) {
            Tensor y = NoGrad.lifted(() -> op.again().apply(x));
            own.put(y, g);
            walk(y, own, from);
            g.storage().retain(); // this walk has let it go, and the one around will once more
            Tensor sum = own.take(x);
            own.left().ifPresent(t -> {
                throw new IllegalStateException("recomputed: the layer reads a " + t.shape() + " tensor, made by "
                        + t.creator().map(Op::label).orElse("nobody") + ", which is not its input: only leaves and "
                        + "constants may come from elsewhere");
            });
            gx = sum == null ? null : sum.keep();
            if (sum != null) {
                own.release(sum); // it may lie in g, outside
            }
        }
        if (gx != null) {
            sink.add(x, gx);
        }
    }
}
