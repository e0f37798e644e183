package dev.deckle.autograd;

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
        try (NoGrad _ = NoGrad.open()) {
            walk(root, gradient);
        }
    }

    private static void walk(Tensor root, Tensor gradient) {
        Sink sink = new Sink();
        gradient.storage().retain(); // it is the caller's: never to be added to in place
        sink.add(root, gradient);
        Set<Tensor> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        PriorityQueue<Tensor> queue = new PriorityQueue<>(Comparator.comparingLong(Tensor::id).reversed());
        visit(root, seen, queue);
        while (!queue.isEmpty()) {
            Tensor y = queue.poll();
            var op = y.creator().orElseThrow();
            op.inputs().forEach(x -> visit(x, seen, queue));
            Tensor g = sink.take(y);
            if (g != null) {
                OpObserver.tellBefore(op);
                Gradients.of(op, y, g, sink);
                Reference.reachabilityFence(g);
                sink.release(g);
            }
            if (y != root) {
                y.storage().release("this " + y.shape() + " tensor, made by " + op.label() + ", was released by "
                        + "backward(): read it before, or keep() a copy");
            }
        }
    }

    private static void visit(Tensor x, Set<Tensor> seen, PriorityQueue<Tensor> queue) {
        if (x.creator().isPresent() && seen.add(x)) {
            queue.add(x);
        }
    }
}
