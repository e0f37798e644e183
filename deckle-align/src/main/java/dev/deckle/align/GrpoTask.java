package dev.deckle.align;

import dev.deckle.autograd.NoGrad;
import dev.deckle.distributed.Communicator;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Group relative policy optimisation and its kin: [GrpoLoss] on batches of rollouts, each used for some steps.
final class GrpoTask extends AlignTask {
    private static final String FILE = "rollouts.jsonl";

    /// A rollout and what is known of it before the model learns.
    private record Judged(Row.Rollout rollout, double advantage, float[] reference) {}

    private final Optional<CausalLm> reference;
    private final RolloutSource source;
    private final GrpoLoss loss;
    private List<Row.Rollout> batch = List.of(); // of the step at hand
    private long batchIndex = -1;
    private List<Judged> judged = List.of(); // this rank's part of it
    private double[] advantages = new double[0]; // of the batch
    private boolean fresh; // the step at hand is the batch's first
    private boolean unmoved; // and the model is still the one that drew it
    private double mismatch;

    /// @param reference where beta is not 0
    GrpoTask(AlignOptions options, CausalLm model, Optional<CausalLm> reference, RolloutSource source, long checksum) {
        super(options, model, checksum);
        this.reference = reference;
        this.source = source;
        loss = options.grpoLoss().loss(options.max_new_tokens, options.epsilon, options.epsilon_high, options.beta,
                options.klEstimator());
    }

    @Override
    public void connect(Communicator ranks, Partition partition) {
        super.connect(ranks, partition);
        source.connect(ranks, partition);
    }

    @Override
    public List<MicroBatch> microBatches(long step) throws IOException {
        long index = step / options.iterations;
        fresh = index != batchIndex;
        unmoved = fresh && source.drawnNow();
        mismatch = 0;
        if (fresh) {
            batch = source.batch(index);
            batchIndex = index;
        }
        if (judged.isEmpty() || fresh) {
            judged = judge(mine(batch));
        }
        long tokens = Math.max(1, batch.stream().mapToLong(Row.Rollout::tokens).sum());
        List<MicroBatch> parts = new ArrayList<>();
        int each = judged.size() / options.grad_accum;
        for (int i = 0; i < options.grad_accum; i++) {
            List<Judged> rows = judged.subList(i * each, (i + 1) * each);
            long own = rows.stream().mapToLong(j -> j.rollout.tokens()).sum();
            // a mean of this part's sequences or tokens, which are so many of all
            double share = loss.norm() instanceof GrpoLoss.Norm.AllTokens
                    ? (double) own / tokens
                    : (double) rows.size() / batch.size();
            parts.add(new MicroBatch(() -> loss(rows), share));
        }
        return parts;
    }

    private List<Judged> judge(List<Row.Rollout> mine) {
        advantages = advantages();
        int first = ranks.rank() * mine.size();
        List<float[]> refs = reference.isEmpty() ? List.of() : referenceLogprobs(reference.get(), mine);
        List<Judged> all = new ArrayList<>();
        for (int i = 0; i < mine.size(); i++) {
            all.add(new Judged(mine.get(i), advantages[first + i], refs.isEmpty() ? new float[0] : refs.get(i)));
        }
        return all;
    }

    /// Of the whole batch. A completion that nobody judged counts as its group's mean does.
    private double[] advantages() {
        double[] rewards = batch.stream().mapToDouble(Row.Rollout::reward).toArray();
        for (int g = 0; g < rewards.length; g += options.group_size) {
            double[] known = Arrays.stream(rewards, g, g + options.group_size).filter(r -> !Double.isNaN(r)).toArray();
            double mean = Arrays.stream(known).average().orElse(0);
            for (int i = g; i < g + options.group_size; i++) {
                rewards[i] = Double.isNaN(rewards[i]) ? mean : rewards[i];
            }
        }
        Tensor t = Tensor.of(rewards);
        return switch (options.scale_rewards) {
            case "group" -> GrpoLoss.advantages(t, options.group_size, true).toDoubles();
            case "batch" -> GrpoLoss.advantages(t, options.group_size, false)
                    .div(Statistics.std(rewards) + 1e-4)
                    .toDoubles();
            default -> GrpoLoss.advantages(t, options.group_size, false).toDoubles();
        };
    }

    private List<float[]> referenceLogprobs(CausalLm model, List<Row.Rollout> rows) {
        List<float[]> all = new ArrayList<>();
        int each = Math.max(1, rows.size() / options.grad_accum); // as many at once as when it learns
        for (int i = 0; i < rows.size(); i += each) {
            List<Row.Rollout> some = rows.subList(i, Math.min(rows.size(), i + each));
            all.addAll(partition.evaluate(() -> { // ranks may have divided it
                try (NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
                    Padded part = Padded.of(some.stream().map(Row.Rollout::sequence).toList());
                    return part.gather(Policy.of(model, part, Pass.evaluate(), options.temperature).logprobs());
                }
            }));
        }
        return all;
    }

    private Tensor loss(List<Judged> rows) {
        Padded padded = Padded.of(rows.stream().map(j -> j.rollout.sequence()).toList());
        Policy policy = Policy.of(model, padded, Pass.evaluate(), options.temperature);
        Tensor old = padded.spread(rows.stream().map(j -> j.rollout.logprobs()).toList());
        Optional<Tensor> refs = reference.map(_ -> padded.spread(rows.stream().map(Judged::reference).toList()));
        Tensor advantages = Tensor.of(rows.stream().mapToDouble(Judged::advantage).toArray()).to(old.dtype());
        measure(padded, policy, old, refs, advantages);
        return loss.forward(policy.logprobs(), old, refs, advantages, padded.mask());
    }

    private void measure(Padded padded, Policy policy, Tensor old, Optional<Tensor> refs, Tensor advantages) {
        Tensor now = policy.logprobs().detach();
        if (unmoved) { // the model that drew them: what it said then it should say now
            Tensor gap = now.sub(old).abs().mul(padded.mask());
            count("mismatch", gap);
            mismatch = Math.max(mismatch, gap.reshape(-1).max(0, false).item());
        }
        count("tokens", padded.tokens());
        count("entropy", policy.entropySum(padded));
        refs.ifPresent(r -> count("kl", loss.kl().of(now, r).mul(padded.mask())));
        count("clipped", loss.clipped(now, old, advantages, padded.mask()));
    }

    @Override
    public Map<String, Number> metrics(long step, double seconds) {
        Map<String, Double> sums = counted();
        double tokens = Math.max(1, sums.get("tokens"));
        Map<String, Number> m = new LinkedHashMap<>();
        if (fresh) {
            m.putAll(Statistics.of(batch));
            m.put("frac_reward_zero_std", Statistics.zeroStd(batch, options.group_size));
            m.putAll(source.metrics());
        }
        if (unmoved) {
            m.put("logprob_mismatch_mean", sums.get("mismatch") / tokens);
            m.put("logprob_mismatch_max", largest(mismatch));
        }
        if (sums.containsKey("kl")) {
            m.put("kl", sums.get("kl") / tokens);
        }
        m.put("entropy", sums.get("entropy") / tokens);
        m.put("clip_ratio", sums.get("clipped") / tokens);
        m.put("completion_length", batch.stream().mapToInt(r -> r.completion().length).average().orElseThrow());
        m.put("step_time", seconds);
        return m;
    }

    @Override
    public Optional<Sample> sample(long step) {
        return SampleTable.of(source, batch, advantages, options.group_size);
    }

    /// In the middle of a batch the rest of its steps need it, and the model that drew it is no more.
    @Override
    public void save(Path checkpoint) throws IOException {
        StringBuilder lines = new StringBuilder("{\"batch\": " + batchIndex + "}\n");
        batch.forEach(r -> lines.append(r.json()).append('\n'));
        Files.writeString(checkpoint.resolve(FILE), lines);
    }

    @Override
    public void restore(Path checkpoint) throws IOException {
        Rows.Saved saved = Rows.saved(checkpoint.resolve(FILE), model.vocabSize());
        batch = saved.rollouts();
        batchIndex = saved.batch();
    }
}
