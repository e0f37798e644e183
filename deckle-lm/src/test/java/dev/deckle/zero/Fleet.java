package dev.deckle.zero;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.ThreadRanks;
import dev.deckle.distributed.Timeline;
import dev.deckle.distributed.Traffic;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Llama;
import dev.deckle.models.Models;
import dev.deckle.nn.ParameterHome;
import dev.deckle.nn.Pass;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/// A tiny model, trained for some steps: by N ranks with a [Partition], or by nobody but the plain optimizer, which is
/// the definition.
final class Fleet {
    private static final AdamW.Options ADAM = new AdamW.Options(0.9, 0.95, 1e-8, 0.1);
    private static final double LR = 1e-2;
    private static final int CONTEXT = 5;
    private static final int BATCHES = 3; // of random tokens, again and again, so that there is something to learn

    /// What is trained.
    ///
    /// @param rows of a micro-batch, over all ranks together
    /// @param vocabulary ids are below it
    record Job(Function<ParameterHome, CausalLm> model, int vocabulary, int rows, int accumulation, int steps,
            double clip, Predicate<String> frozen) {
        Job rows(int n) {
            return new Job(model, vocabulary, n, accumulation, steps, clip, frozen);
        }

        Job steps(int n) {
            return new Job(model, vocabulary, rows, accumulation, n, clip, frozen);
        }

        Job clip(double most) {
            return new Job(model, vocabulary, rows, accumulation, steps, most, frozen);
        }

        Job frozen(Predicate<String> names) {
            return new Job(model, vocabulary, rows, accumulation, steps, clip, names);
        }
    }

    /// How it is divided.
    record Layout(int ranks, int stage, DType dtype, Optional<Path> offload) {
        Layout(int ranks, int stage) {
            this(ranks, stage, DType.F32, Optional.empty());
        }
    }

    /// What came of it.
    ///
    /// @param weights whole, after the last step
    /// @param state of the optimizer, whole
    /// @param memory of each rank
    /// @param traffic of each rank in the last step
    record Outcome(double[] losses, double[] norms, Map<String, float[]> weights, Map<String, float[]> state,
            List<Partition.Memory> memory, List<Traffic> traffic) {}

    private Fleet() {}

    /// Sizes that are all different and no multiples of anything.
    static Job llama(boolean tied, int accumulation) {
        var config = Llama.Config.of(29, 12, 22, 2, 6, 3, 16, tied);
        return new Job(home -> Llama.create(config, 0, 3, home), 29, 84, accumulation, 4, 1, _ -> false);
    }

    /// A checkpoint of another family.
    static Job folder(Path folder) {
        return new Job(home -> {
            try {
                return Models.openTrainable(folder, home);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }, 80, 12, 1, 5, 1, _ -> false);
    }

    /// The tokens of a row of a micro-batch.
    private static long[] row(Job job, int microBatch, int row) {
        Generator random = new Generator(1000L * (microBatch % BATCHES) + row);
        long[] ids = new long[CONTEXT + 1];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = random.nextInt(job.vocabulary);
        }
        return ids;
    }

    private static Tensor lossSum(CausalLm model, Job job, int microBatch, int from, int rows) {
        long[] inputs = new long[rows * CONTEXT];
        long[] targets = new long[rows * CONTEXT];
        for (int r = 0; r < rows; r++) {
            long[] ids = row(job, microBatch, from + r);
            System.arraycopy(ids, 0, inputs, r * CONTEXT, CONTEXT);
            System.arraycopy(ids, 1, targets, r * CONTEXT, CONTEXT);
        }
        Tensor logits = model.forward(Tensor.of(inputs, rows, CONTEXT), Pass.evaluate());
        return Functional.crossEntropy(logits.reshape(-1, logits.dim(-1)), Tensor.of(targets, targets.length), -100)
                .sum();
    }

    private static double tokens(Job job) {
        return (double) job.rows * CONTEXT * job.accumulation;
    }

    /// The definition, in F32: whole parameters, and an optimizer that knows of no ranks.
    static Outcome plain(Job job) {
        double[] losses = new double[job.steps];
        double[] norms = new double[job.steps];
        Map<String, Tensor> weights = new LinkedHashMap<>();
        try (ModelMemory memory = new ModelMemory();
                CausalLm model = job.model.apply(home(memory, job.frozen, weights));
                AdamW optimizer = new AdamW(model.parameters(), ADAM, AdamW::isMatrix)) {
            for (int step = 0; step < job.steps; step++) {
                for (int i = 0; i < job.accumulation; i++) {
                    try (Workspace _ = Workspace.open()) {
                        Tensor y = lossSum(model, job, step * job.accumulation + i, 0, job.rows);
                        y.backward(Tensor.full(DType.F32, 1 / tokens(job)));
                        losses[step] += y.item();
                    }
                }
                losses[step] /= tokens(job);
                norms[step] = optimizer.gradNorm();
                optimizer.step(LR, AdamW.clip(norms[step], job.clip));
            }
            return new Outcome(losses, norms, floats(weights), floats(optimizer.state()), List.of(),
                    List.of());
        }
    }

    private static ParameterHome home(ModelMemory memory, Predicate<String> frozen, Map<String, Tensor> weights) {
        ParameterHome learns = ParameterHome.in(memory, DType.F32);
        return (name, values, matrix) -> {
            Tensor p = frozen.test(name) ? values.copyInto(Tensor.empty(memory, DType.F32, values.shape()))
                    : learns.adopt(name, values, matrix);
            weights.put(name, p);
            return p;
        };
    }

    private static Map<String, float[]> floats(Map<String, Tensor> tensors) {
        Map<String, float[]> all = new LinkedHashMap<>();
        tensors.forEach((n, t) -> all.put(n, t.detach().toFloats()));
        return all;
    }

    /// The same by ranks.
    static Outcome train(Job job, Layout layout) {
        return train(job, layout, c -> c);
    }

    /// @param with the communicator that a rank gets in place of the real one
    static Outcome train(Job job, Layout layout, UnaryOperator<Communicator> with) {
        Outcome[] outcomes = new Outcome[layout.ranks];
        ThreadRanks.run(layout.ranks, c -> outcomes[c.rank()] = rank(job, layout, with.apply(c)));
        return new Outcome(outcomes[0].losses, outcomes[0].norms, outcomes[0].weights, outcomes[0].state,
                Arrays.stream(outcomes).map(o -> o.memory.getFirst()).toList(),
                Arrays.stream(outcomes).map(o -> o.traffic.getFirst()).toList());
    }

    private static Outcome rank(Job job, Layout layout, Communicator ranks) {
        var options = new Partition.Options(Stage.of(layout.stage), layout.dtype, job.frozen, layout.offload);
        double[] losses = new double[job.steps];
        double[] norms = new double[job.steps];
        Traffic traffic = Traffic.NONE;
        try (Partition partition = new Partition(ranks.rank(), ranks.worldSize(), options)) {
            try (CausalLm model = job.model.apply(partition);
                    AdamW optimizer = partition.optimizer(ADAM)) {
                partition.connect(ranks, Timeline.off());
                int rows = job.rows / ranks.worldSize();
                for (int step = 0; step < job.steps; step++) {
                    Traffic before = ranks.traffic();
                    double sum = 0;
                    for (int i = 0; i < job.accumulation; i++) {
                        int microBatch = step * job.accumulation + i;
                        try (Workspace _ = Workspace.open()) {
                            sum += partition.differentiate(
                                    () -> lossSum(model, job, microBatch, ranks.rank() * rows, rows),
                                    Tensor.full(DType.F32, 1 / tokens(job)), i == job.accumulation - 1);
                        }
                    }
                    double[] sums = partition.sum(sum, partition.gradSquares());
                    losses[step] = sums[0] / tokens(job);
                    norms[step] = Math.sqrt(sums[1]);
                    optimizer.step(LR, AdamW.clip(norms[step], job.clip));
                    partition.updated();
                    traffic = ranks.traffic().since(before);
                }
                Partition.Memory memory = partition.memory();
                Map<String, float[]> weights = new LinkedHashMap<>();
                Map<String, float[]> state = new LinkedHashMap<>();
                try (Gathered whole = partition.gathered()) {
                    partition.weights().forEach(n -> weights.put(n, whole.of(n).to(DType.F32).toFloats()));
                    partition.optimizerState().forEach(n -> state.put(n, whole.of(n).toFloats()));
                }
                return new Outcome(losses, norms, weights, state, new ArrayList<>(List.of(memory)), List.of(traffic));
            }
        }
    }
}
