package dev.deckle.align;

import dev.deckle.models.CausalLm;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Supervised fine-tuning: completions are made more likely. The loss is the mean over all tokens of completions in a
/// step, so that it does not matter how its rows are cut into micro-batches and ranks.
final class SftTask extends AlignTask {
    private final List<Row.Example> data;
    private final List<Row.Example> held;
    private final Order order;

    /// @param held for evaluations
    SftTask(AlignOptions options, CausalLm model, List<Row.Example> data, List<Row.Example> held, long checksum) {
        super(options, model, checksum);
        this.data = data;
        this.held = held;
        order = new Order(data.size(), options.shuffle, options.seed);
    }

    @Override
    public List<MicroBatch> microBatches(long step) {
        List<List<Row.Example>> window = new ArrayList<>();
        long tokens = 0;
        for (int i = 0; i < options.grad_accum; i++) {
            window.add(rows(data, order, options.positions(step, i)));
            tokens += window.getLast().stream().mapToLong(e -> e.sequence().tokens()).sum();
        }
        long all = tokens;
        List<MicroBatch> parts = new ArrayList<>();
        for (List<Row.Example> rows : window) {
            Padded batch = batch(mine(rows));
            long position = step * options.grad_accum + parts.size();
            parts.add(new MicroBatch(() -> {
                Generator dropout = new Generator(options.seed * 0x9E3779B97F4A7C15L + position
                        + ranks.rank() * 0xC2B2AE3D27D4EB4FL);
                Policy policy = Policy.of(model, batch, Pass.train(dropout), 1);
                count("tokens", batch.tokens());
                return policy.logprobs().sum().neg();
            }, 1.0 / all));
        }
        return parts;
    }

    private Padded batch(List<Row.Example> examples) {
        List<Sequence> sequences = examples.stream().map(Row.Example::sequence).toList();
        return options.packing ? Padded.packed(sequences) : Padded.of(sequences);
    }

    @Override
    public Map<String, Number> evaluate(boolean last) {
        return means(evaluate(held, rows -> {
            Padded batch = batch(rows);
            count("loss", evaluated(() -> Policy.of(model, batch, Pass.evaluate(), 1).logprobs().sum().neg()));
            count("tokens", batch.tokens());
        }), "tokens");
    }

    @Override
    public Map<String, Number> metrics(long step, double seconds) {
        Map<String, Number> m = new LinkedHashMap<>();
        double tokens = counted().get("tokens");
        m.put("completion_tokens", (long) tokens);
        m.put("tok_per_s", Math.round(tokens / (seconds + 1e-9) * 10) / 10.0);
        return m;
    }
}
