package dev.deckle.optim;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Team;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

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

    private record Piece(Tensor parameter, Tensor m, Tensor v, long from, long n, double decay) {}

    private final ModelMemory memory = new ModelMemory();
    private final Options options;
    private final List<Tensor> parameters;
    private final List<Piece> pieces = new ArrayList<>();
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
        named.forEach((name, p) -> {
            if (!p.requiresGrad()) {
                return;
            }
            Tensor m = Tensor.empty(memory, p.dtype(), p.shape());
            Tensor v = Tensor.empty(memory, p.dtype(), p.shape());
            state.put(name + ".m", m);
            state.put(name + ".v", v);
            double decay = decays.test(p) ? options.weightDecay : 0;
            for (long at = 0; at < p.numel(); at += PIECE) {
                pieces.add(new Piece(p, m, v, at, Math.min(PIECE, p.numel() - at), decay));
            }
        });
    }

    /// Whether a parameter is of rank 2 or more: no bias, and no weight of a norm.
    public static boolean isMatrix(Tensor p) {
        return p.rank() > 1;
    }

    /// The length of the vector of all gradients, in f64; the first parameter whose gradient is missing counts as 0.
    public double gradNorm() {
        double[] sums = new double[pieces.size()];
        Kernels k = Door.current().of(Family.OPTIMIZER, DType.F32);
        Team.shared().parallelFor(pieces.size(), i -> {
            Piece p = pieces.get(i);
            if (!p.parameter.leaf().orElseThrow().isEmpty()) {
                Tensor g = p.parameter.grad();
                sums[i] = k.sumOfSquares(g.dtype(), g.address() + p.from * g.dtype().bytes(), p.n);
            }
        });
        double sum = 0;
        for (double s : sums) {
            sum += s;
        }
        return Math.sqrt(sum);
    }

    /// One update, with every gradient multiplied by `gradScale` (from clipping) on the way; gradients are then empty.
    public void step(double lr, double gradScale) {
        steps++;
        double c1 = 1 - Math.pow(options.beta1, steps);
        double c2 = 1 - Math.pow(options.beta2, steps);
        Kernels k = Door.current().of(Family.OPTIMIZER, DType.F32);
        Team.shared().parallelFor(pieces.size(), i -> {
            Piece p = pieces.get(i);
            if (p.parameter.leaf().orElseThrow().isEmpty()) {
                return;
            }
            DType t = p.parameter.dtype();
            long at = p.from * t.bytes();
            k.adamw(t, p.parameter.address() + at, p.parameter.grad().address() + at, p.m.address() + at,
                    p.v.address() + at, p.n, gradScale, lr, options.beta1, options.beta2, options.eps, p.decay, c1, c2);
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

    /// Both moments of every parameter, by its name and `.m` or `.v`.
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
