package dev.deckle.optim;

import dev.deckle.autograd.Leaf;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Scratch;
import dev.deckle.kernel.Team;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.Supplier;

/// AdamW as PyTorch computes it: decay is taken from the weight itself, not mixed into the gradient.
///
/// - **Formula**: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2; p -= lr weight_decay p;
///   p -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
/// - **Shapes**: m and v as p
/// - **Cost**: two extra copies of the parameters; one pass
/// - **Source**: Kingma and Ba 2015; Loshchilov and Hutter 2019
/// - **PyTorch**: `torch.optim.AdamW`, with `clip_grad_norm_`
/// - **Classic mistake**: no bias correction; decay added to the gradient (which is Adam with L2); eps inside of the
///   root; clipping each parameter by its own norm
///
/// All parameters are one loop over the team, in pieces of a fixed size: the result does not depend on the threads.
public final class AdamW implements AutoCloseable {
    private static final int PIECE = 1 << 16;

    /// Beyond the learning rate: decay rates of the two moments, the term that keeps the division finite, and the
    /// weight decay.
    public record Options(double beta1, double beta2, double eps, double weightDecay) {}

    /// Numbers that are updated together, a whole parameter or a rank's part of one, and what goes with them: all of
    /// the same size and in row-major order.
    ///
    /// @param weight F32 or F64, what is updated
    /// @param gradient of the same numbers, in the weight's type or BF16; empty where none came
    /// @param m the first moment, in the weight's type
    /// @param v the second
    /// @param rounded where the new weight is also written in BF16, for layers that compute with it
    public record Slot(
            Tensor weight, Supplier<Optional<Tensor>> gradient, Tensor m, Tensor v, Optional<Tensor> rounded,
            boolean decays) {}

    private record Piece(Slot slot, long from, long n) {
        long at(Tensor t) {
            return t.address() + from * t.dtype().bytes();
        }

    }

    private final ModelMemory memory = new ModelMemory();
    private final Options options;
    private final List<Tensor> parameters;
    private final List<Piece> pieces;
    private final Map<String, Tensor> state = new LinkedHashMap<>();
    private long steps;

    /// Every parameter decays, as PyTorch's do.
    ///
    /// @param named a model's state; what gathers no gradient (a buffer) is left alone
    public AdamW(Map<String, Tensor> named, Options options) {
        this(named, options, _ -> true);
    }

    /// @param decays which parameters decay; training usually spares norms and biases, [#isMatrix]
    public AdamW(Map<String, Tensor> named, Options options, Predicate<Tensor> decays) {
        this.options = options;
        parameters = named.values().stream().filter(Tensor::requiresGrad).toList();
        List<Slot> slots = new ArrayList<>();
        named.forEach((name, p) -> {
            if (!p.requiresGrad()) {
                return;
            }
            Tensor m = Tensor.empty(memory, p.dtype(), p.shape());
            Tensor v = Tensor.empty(memory, p.dtype(), p.shape());
            state.put(name + ".m", m);
            state.put(name + ".v", v);
            Leaf leaf = p.leaf().orElseThrow();
            slots.add(new Slot(p, () -> leaf.isEmpty() ? Optional.empty() : Optional.of(leaf.gradient()), m, v,
                    Optional.empty(), decays.test(p)));
        });
        pieces = cut(slots);
    }

    /// For weights, gradients and moments that somebody else keeps.
    public AdamW(List<Slot> slots, Options options) {
        this.options = options;
        parameters = List.of();
        pieces = cut(slots);
    }

    private static List<Piece> cut(List<Slot> slots) {
        List<Piece> pieces = new ArrayList<>();
        for (Slot s : slots) {
            long n = s.weight.numel();
            for (long at = 0; at < n; at += PIECE) {
                pieces.add(new Piece(s, at, Math.min(PIECE, n - at)));
            }
        }
        return pieces;
    }

    /// Whether a parameter is of rank 2 or more: no bias, and no weight of a norm.
    public static boolean isMatrix(Tensor p) {
        return p.rank() > 1;
    }

    /// The length of the vector of all gradients, in f64; a parameter whose gradient is missing counts as 0.
    public double gradNorm() {
        return Math.sqrt(sumOfSquares(pieces));
    }

    /// The sum of the squares of all gradients, in f64 and in the order of the slots.
    public static double gradSquares(List<Slot> slots) {
        return sumOfSquares(cut(slots));
    }

    private static double sumOfSquares(List<Piece> pieces) {
        double[] sums = new double[pieces.size()];
        Kernels k = Door.current().of(Family.OPTIMIZER, DType.F32);
        Team.shared().parallelFor(pieces.size(), i -> {
            Piece p = pieces.get(i);
            p.slot.gradient.get().ifPresent(g -> sums[i] = k.sumOfSquares(p.slot.weight.dtype(), wide(p, g), p.n));
        });
        double sum = 0;
        for (double s : sums) {
            sum += s;
        }
        return sum;
    }

    /// Where a piece of a gradient is in the weight's type: BF16 is widened into the thread's scratch memory.
    private static long wide(Piece p, Tensor gradient) {
        if (gradient.dtype() != DType.BF16) {
            return p.at(gradient);
        }
        long wide = Scratch.bytes(0, 4L * PIECE);
        Door.current().of(Family.ELEMENTWISE, DType.F32).widen(p.at(gradient), wide, p.n);
        return wide;
    }

    /// One update, with every gradient multiplied by `gradScale` (from clipping) on the way; gradients are then empty.
    public void step(double lr, double gradScale) {
        steps++;
        double c1 = 1 - Math.pow(options.beta1, steps);
        double c2 = 1 - Math.pow(options.beta2, steps);
        Kernels k = Door.current().of(Family.OPTIMIZER, DType.F32);
        Kernels rounding = Door.current().of(Family.ELEMENTWISE, DType.F32);
        Team.shared().parallelFor(pieces.size(), i -> {
            Piece p = pieces.get(i);
            Optional<Tensor> g = p.slot.gradient.get();
            if (g.isEmpty()) {
                return;
            }
            Tensor w = p.slot.weight;
            k.adamw(w.dtype(), p.at(w), wide(p, g.get()), p.at(p.slot.m), p.at(p.slot.v), p.n, gradScale, lr,
                    options.beta1, options.beta2, options.eps, p.slot.decays ? options.weightDecay : 0, c1, c2);
            p.slot.rounded.ifPresent(r -> rounding.narrow(p.at(w), p.at(r), p.n, false));
        });
        zeroGrad();
    }

    /// Forgets all gradients.
    public void zeroGrad() {
        parameters.forEach(p -> p.leaf().orElseThrow().zero());
    }

    /// The factor that brings gradients of length `norm` down to at most `max`; 1 where `max` is 0. PyTorch's
    /// `clip_grad_norm_`.
    public static double clip(double norm, double max) {
        return max <= 0 ? 1 : Math.min(1, max / (norm + 1e-6));
    }

    /// Both moments of every parameter that it was made for, by its name and `.m` or `.v`.
    public Map<String, Tensor> state() {
        return state;
    }

    /// How many updates it has made.
    public long steps() {
        return steps;
    }

    /// Goes on after `steps` updates; the moments are written through [#state()].
    public void restore(long steps) {
        this.steps = steps;
    }

    @Override
    public void close() {
        memory.close();
    }
}
