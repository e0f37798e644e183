package dev.deckle.align;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/// Direct preference optimisation: [DpoLoss] on pairs. Both completions of a pair go through the model together; what
/// the reference thinks of a pair is computed once.
final class DpoTask extends AlignTask {
    /// Sums over the counted tokens of the chosen and the rejected sequence.
    private record Known(double chosen, double rejected) {}

    private final CausalLm reference;
    private final List<Row.Pair> data;
    private final List<Row.Pair> held;
    private final Order order;
    private final DpoLoss loss;
    private final Map<Row.Pair, Known> known = new HashMap<>();

    /// @param reference the model that it starts from, which stays as it is
    /// @param held for evaluations
    DpoTask(AlignOptions options, CausalLm model, CausalLm reference, List<Row.Pair> data, List<Row.Pair> held,
            long checksum) {
        super(options, model, checksum);
        this.reference = reference;
        this.data = data;
        this.held = held;
        order = new Order(data.size(), options.shuffle, options.seed);
        loss = new DpoLoss(options.dpoLoss(), options.beta,
                options.label_smoothing);
    }

    @Override
    public List<MicroBatch> microBatches(long step) {
        List<MicroBatch> parts = new ArrayList<>();
        for (int i = 0; i < options.grad_accum; i++) {
            List<Row.Pair> pairs = mine(rows(data, order, options.positions(step, i)));
            learn(pairs);
            // a mean over this rank's pairs, of which every rank and micro-batch has as many
            parts.add(new MicroBatch(() -> loss(pairs), 1.0 / (options.grad_accum * ranks.worldSize())));
        }
        return parts;
    }

    private Tensor loss(List<Row.Pair> pairs) {
        int n = pairs.size();
        Padded batch = batch(pairs);
        Tensor sums = Policy.of(model, batch, Pass.evaluate(), 1).logprobs().sum(-1, false); // (2 n)
        Tensor refs = Tensor.of(Stream.concat(pairs.stream().map(p -> known.get(p).chosen),
                pairs.stream().map(p -> known.get(p).rejected)).mapToDouble(d -> d).toArray()).to(sums.dtype());
        measure(sums, refs, n);
        if (loss.kind() == DpoLoss.Kind.IPO) { // a mean over tokens
            Tensor tokens = batch.mask().sum(-1, false);
            sums = sums.div(tokens);
            refs = refs.div(tokens);
        }
        return loss.forward(sums.slice(0, 0, n), sums.slice(0, n, 2 * n), refs.slice(0, 0, n),
                refs.slice(0, n, 2 * n));
    }

    private void measure(Tensor sums, Tensor refs, int n) {
        double[] logps = sums.detach().toDoubles();
        double[] gains = sums.detach().sub(refs).toDoubles();
        for (int i = 0; i < n; i++) {
            count("rewards/chosen", options.beta * gains[i]);
            count("rewards/rejected", options.beta * gains[n + i]);
            count("rewards/margins", options.beta * (gains[i] - gains[n + i]));
            count("rewards/accuracies", gains[i] > gains[n + i] ? 1 : 0);
            count("logps/chosen", logps[i]);
            count("logps/rejected", logps[n + i]);
            count("pairs", 1);
        }
    }

    private static Padded batch(List<Row.Pair> pairs) {
        return Padded.of(Stream.concat(pairs.stream().map(Row.Pair::chosen), pairs.stream().map(Row.Pair::rejected))
                .toList());
    }

    /// What the reference thinks of pairs that it has not seen yet. It may be divided among the ranks: where one has
    /// such pairs, all run it.
    private void learn(List<Row.Pair> pairs) {
        List<Row.Pair> fresh = pairs.stream().filter(p -> !known.containsKey(p)).distinct().toList();
        if (largest(fresh.size()) == 0) {
            return;
        }
        List<Row.Pair> asked = fresh.isEmpty() ? pairs.subList(0, 1) : fresh;
        double[] sums = partition.evaluate(() -> {
            try (NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
                return Policy.of(reference, batch(asked), Pass.evaluate(), 1).logprobs().sum(-1, false).toDoubles();
            }
        });
        for (int i = 0; i < asked.size(); i++) {
            known.putIfAbsent(asked.get(i), new Known(sums[i], sums[asked.size() + i]));
        }
    }

    @Override
    public Map<String, Number> evaluate(boolean last) {
        return means(evaluate(held, pairs -> {
            learn(pairs);
            count("loss", evaluated(() -> loss(pairs)) * pairs.size());
        }), "pairs");
    }

    @Override
    public Map<String, Number> metrics(long step, double seconds) {
        Map<String, Double> sums = counted();
        double pairs = sums.remove("pairs");
        Map<String, Number> m = new LinkedHashMap<>();
        sums.forEach((name, sum) -> m.put(name, sum / pairs));
        return m;
    }
}
