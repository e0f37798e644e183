package dev.deckle.optim;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/// Stochastic gradient descent with momentum, as PyTorch computes it.
///
/// - **Formula**: g += weight_decay p; v = momentum v + g (v = g at first); p -= lr v, or with Nesterov
///   p -= lr (g + momentum v)
/// - **Shapes**: v as p
/// - **Cost**: one extra copy of the parameters
/// - **Source**: Polyak 1964; Nesterov 1983; Sutskever et al. 2013
/// - **PyTorch**: `torch.optim.SGD`
/// - **Classic mistake**: v = momentum v + (1 - momentum) g, which is an average and makes steps ten times smaller at
///   0.9; the learning rate inside of v, which then outlives a change of it
public final class Sgd implements AutoCloseable {
    private final ModelMemory memory = new ModelMemory();
    private final Map<String, Tensor> parameters = new LinkedHashMap<>();
    private final Map<String, Tensor> velocity = new LinkedHashMap<>();
    private final double momentum;
    private final double weightDecay;
    private final boolean nesterov;

    /// @throws IllegalArgumentException if Nesterov's step is asked for without momentum
    public Sgd(Map<String, Tensor> named, double momentum, double weightDecay, boolean nesterov) {
        if (!(momentum >= 0) || nesterov && momentum == 0) {
            throw new IllegalArgumentException(
                    "momentum must be at least 0, and above 0 for nesterov, not " + momentum);
        }
        named.forEach((name, p) -> {
            if (p.requiresGrad()) {
                parameters.put(name, p);
            }
        });
        this.momentum = momentum;
        this.weightDecay = weightDecay;
        this.nesterov = nesterov;
    }

    /// One update; gradients are then empty. A parameter without a gradient stays as it is.
    public void step(double lr) {
        try (NoGrad _ = NoGrad.open()) {
            parameters.forEach((name, p) -> {
                if (!p.leaf().orElseThrow().isEmpty()) {
                    p.sub(direction(name, p).mul(lr)).copyInto(p);
                }
            });
        }
        parameters.values().forEach(p -> p.leaf().orElseThrow().zero());
    }

    private Tensor direction(String name, Tensor p) {
        Tensor g = p.grad().add(p.mul(weightDecay));
        if (momentum == 0) {
            return g;
        }
        Tensor v = velocity.get(name);
        if (v == null) {
            velocity.put(name, g.copyInto(Tensor.empty(memory, p.dtype(), p.shape())));
        } else {
            v.mul(momentum).add(g).copyInto(v);
        }
        return nesterov ? g.add(velocity.get(name).mul(momentum)) : velocity.get(name);
    }

    /// v of every parameter that has moved, by the parameter's name; empty without momentum.
    public Map<String, Tensor> state() {
        return velocity;
    }

    @Override
    public void close() {
        memory.close();
    }
}
