package dev.deckle.app;

import dev.deckle.autograd.Cost;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.OpObserver;
import dev.deckle.tensor.Tensor;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Where the time of a training step goes: each operation there and back, and what is no operation.
///
/// The way back tells when an operation begins and not when it ends; its time is that until the next one begins. What
/// an operation's gradient calls in turn belongs to it.
final class StepProfile implements OpObserver {
    /// One kind of operation, in a step.
    ///
    /// @param calls in the forward pass
    /// @param cost of both passes
    record Line(String name, double calls, double forward, double backward, Cost cost) {
        double seconds() {
            return forward + backward;
        }

        /// Whether arithmetic is what it does, and not moving memory.
        boolean product() {
            return name.startsWith("linear") || name.startsWith("attention") || name.startsWith("matmul");
        }

        double gflops() {
            return cost.flops() / seconds() / 1e9;
        }

        double gbPerSecond() {
            return cost.bytes() / seconds() / 1e9;
        }
    }

    private static final class Sums {
        int calls;
        long forward;
        long backward;
        long flops;
        long bytes;
    }

    private final Map<String, Sums> sums = new LinkedHashMap<>();
    private final Map<Op, String> recorded = new IdentityHashMap<>(); // of this step
    private boolean backward;
    private int depth; // of operations within operations, in the forward pass
    private String current = "";
    private long since;
    private int steps;

    /// A part of the step begins that is none of its operations'.
    void begin(String part) {
        charge();
        current = part;
        if (part.equals("forward")) {
            steps++;
            recorded.clear();
        }
        backward = part.equals("backward");
        depth = 0;
    }

    /// The step is over.
    void end() {
        charge();
        current = "";
    }

    @Override
    public void before(Op op) {
        if (backward ? !recorded.containsKey(op) : ++depth > 1) {
            return; // a part of another
        }
        charge();
        current = name(op);
    }

    @Override
    public boolean keepsResults() {
        return false;
    }

    @Override
    public void computed(Op op, Tensor result) {
        if (backward || --depth > 0) {
            return;
        }
        charge();
        current = "forward";
        Sums s = sums(name(op));
        s.calls++;
        Cost there = Cost.of(op, result);
        Cost back = result.requiresGrad() ? Cost.backward(op, result) : new Cost(0, 0);
        s.flops += there.flops() + back.flops();
        s.bytes += there.bytes() + back.bytes();
        recorded.put(op, name(op));
    }

    private Sums sums(String name) {
        return sums.computeIfAbsent(name, _ -> new Sums());
    }

    private void charge() {
        long now = System.nanoTime();
        if (!current.isEmpty()) {
            Sums s = sums(current);
            if (backward) {
                s.backward += now - since;
            } else {
                s.forward += now - since;
            }
        }
        since = now;
    }

    private static String name(Op op) {
        return switch (op) {
            case Op.Linear(_, Tensor w, _) -> "linear " + w.dim(1) + "->" + w.dim(0);
            default -> op.label().toLowerCase(java.util.Locale.ROOT);
        };
    }

    /// What was seen, the longest first: of an average step.
    List<Line> lines() {
        return sums.entrySet()
                .stream()
                .map(e -> {
                    Sums s = e.getValue();
                    return new Line(e.getKey(), (double) s.calls / steps, s.forward / 1e9 / steps,
                            s.backward / 1e9 / steps, new Cost(s.flops / steps, s.bytes / steps));
                })
                .filter(l -> l.seconds() > 0)
                .sorted(Comparator.comparingDouble(Line::seconds).reversed())
                .toList();
    }

    /// Forgets what was seen: it was the warm-up.
    void restart() {
        sums.clear();
        recorded.clear();
        current = "";
        steps = 0;
    }
}
