package dev.deckle.align;

import dev.deckle.models.SequenceClassifier;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/// A reward model from pairs: [RewardModelLoss].
final class RewardTask extends AlignTask {
    private final SequenceClassifier classifier;
    private final List<Row.Pair> data;
    private final List<Row.Pair> held;
    private final Order order;

    /// @param held for evaluations
    RewardTask(AlignOptions options, SequenceClassifier classifier, List<Row.Pair> data, List<Row.Pair> held,
            long checksum) {
        super(options, classifier, checksum);
        this.classifier = classifier;
        this.data = data;
        this.held = held;
        order = new Order(data.size(), options.shuffle, options.seed);
    }

    @Override
    public List<MicroBatch> microBatches(long step) {
        List<MicroBatch> parts = new ArrayList<>();
        for (int i = 0; i < options.grad_accum; i++) {
            List<Row.Pair> pairs = mine(rows(data, order, options.positions(step, i)));
            parts.add(new MicroBatch(() -> loss(pairs), 1.0 / (options.grad_accum * ranks.worldSize())));
        }
        return parts;
    }

    private Tensor loss(List<Row.Pair> pairs) {
        int n = pairs.size();
        Tensor scores = classifier.scores(Stream.concat(pairs.stream().map(p -> p.chosen().ids()),
                pairs.stream().map(p -> p.rejected().ids())).toList()); // (2 n)
        double[] known = scores.detach().toDoubles();
        for (int i = 0; i < n; i++) {
            count("accuracy", known[i] > known[n + i] ? 1 : 0);
            count("margin", known[i] - known[n + i]);
            count("pairs", 1);
        }
        Tensor margins = Tensor.of(pairs.stream().mapToDouble(Row.Pair::margin).toArray()).to(scores.dtype());
        return RewardModelLoss.forward(scores.slice(0, 0, n).sub(margins), scores.slice(0, n, 2 * n));
    }

    @Override
    public Map<String, Number> evaluate(boolean last) {
        return means(evaluate(held, pairs -> count("loss", evaluated(() -> loss(pairs)) * pairs.size())), "pairs");
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
