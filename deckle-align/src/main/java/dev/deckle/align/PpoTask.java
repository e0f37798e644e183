package dev.deckle.align;

import com.google.gson.JsonObject;
import dev.deckle.autograd.NoGrad;
import dev.deckle.distributed.Communicator;
import dev.deckle.json.StrictJson;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
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
import java.util.stream.IntStream;

/// Proximal policy optimisation: an actor, a critic that says what each token is worth, a reference, and rewards.
///
/// For each batch: the actor draws completions, the critic values their tokens, and each token's reward is what it
/// strayed from the reference, the last one's also what the judges gave. From these come advantages ([Gae]), made equal
/// in size over the batch. Then some passes over the batch in parts, each a step of both ([PpoLoss]).
final class PpoTask extends AlignTask {
    private static final String FILE = "rollouts.jsonl";
    private static final String NUMBERS = "ppo.json";

    /// A rollout and what was known of its tokens when it was drawn.
    private record Valued(Row.Rollout rollout, float[] reference, float[] values) {}

    /// What its tokens turned out to be worth.
    private record Judged(Valued valued, float[] advantages, float[] returns) {}

    private final Critic critic;
    private final Optional<CausalLm> reference;
    private final RolloutSource source;
    private final PpoLoss loss;
    private final Gae gae;
    private final KlEstimator kl;
    private final AdaptiveBeta steering;
    private List<Valued> batch = List.of();
    private List<Judged> judged = List.of();
    private long batchIndex = -1;
    private boolean fresh;
    private double beta;
    private double divergence; // mean over the sequences of the batch

    PpoTask(AlignOptions options, CausalLm actor, Critic critic, Optional<CausalLm> reference,
            RolloutSource source, long checksum) {
        super(options, actor, checksum);
        this.critic = critic;
        this.reference = reference;
        this.source = source;
        loss = new PpoLoss(options.epsilon, options.epsilon_value);
        gae = new Gae(options.gamma, options.lambda);
        kl = options.klEstimator();
        steering = new AdaptiveBeta(options.kl_target);
        beta = options.beta;
    }

    @Override
    public void connect(Communicator ranks, Partition partition) {
        super.connect(ranks, partition);
        source.connect(ranks, partition);
    }

    @Override
    public List<MicroBatch> microBatches(long step) throws IOException {
        int parts = options.mini_batches;
        long index = step / ((long) options.iterations * parts);
        int within = (int) (step % ((long) options.iterations * parts));
        fresh = index != batchIndex;
        if (fresh) {
            if (batchIndex >= 0) {
                beta = steering.next(beta, divergence, options.batch_size);
            }
            batch = valued(source.batch(index));
            batchIndex = index;
            judged = List.of();
        }
        if (judged.isEmpty()) {
            judged = judge();
        }
        Generator random = new Generator(options.seed * 0x9E3779B97F4A7C15L + index * options.iterations
                + within / parts);
        long[] order = random.randperm(batch.size()).toLongs(); // the same on every rank
        int each = batch.size() / parts;
        List<Judged> all = IntStream.range(0, each)
                .mapToObj(i -> judged.get((int) order[within % parts * each + i]))
                .toList();
        long tokens = Math.max(1, all.stream().mapToLong(j -> j.valued.rollout.tokens()).sum());
        List<Judged> own = mine(all);
        List<MicroBatch> micro = new ArrayList<>();
        int rows = own.size() / options.grad_accum;
        for (int i = 0; i < options.grad_accum; i++) {
            List<Judged> some = own.subList(i * rows, (i + 1) * rows);
            long counted = some.stream().mapToLong(j -> j.valued.rollout.tokens()).sum();
            micro.add(new MicroBatch(() -> loss(some), (double) counted / tokens)); // a mean of so many of all tokens
        }
        return micro;
    }

    /// What critic and reference say of a batch, on every rank of the whole batch.
    private List<Valued> valued(List<Row.Rollout> rollouts) {
        List<Valued> all = new ArrayList<>();
        int each = Math.max(1, rollouts.size() / (options.mini_batches * options.grad_accum));
        for (int i = 0; i < rollouts.size(); i += each) {
            List<Row.Rollout> some = rollouts.subList(i, Math.min(rollouts.size(), i + each));
            all.addAll(partition.evaluate(() -> {
                try (NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
                    Padded p = Padded.of(some.stream().map(Row.Rollout::sequence).toList());
                    List<float[]> values = p.gather(
                            critic.values(p, () -> model.hidden(p.inputs(), Pass.evaluate())));
                    Optional<List<float[]>> refs = reference.map(
                            r -> p.gather(Policy.of(r, p, Pass.evaluate(), options.temperature).logprobs()));
                    return IntStream.range(0, some.size())
                            .mapToObj(k -> new Valued(some.get(k),
                                    refs.map(r -> r.get(k)).orElse(some.get(k).logprobs()), values.get(k)))
                            .toList();
                }
            }));
        }
        return all;
    }

    private List<Judged> judge() {
        List<double[]> advantages = new ArrayList<>();
        List<double[]> returns = new ArrayList<>();
        divergence = 0;
        for (Valued v : batch) {
            int n = v.rollout.tokens();
            double[] rewards = new double[n];
            for (int t = 0; t < n; t++) {
                double drawn = v.rollout.logprobs()[t];
                rewards[t] = -beta * kl.of(drawn, v.reference[t]);
                divergence += KlEstimator.K1.of(drawn, v.reference[t]) / batch.size();
            }
            if (n > 0) {
                rewards[n - 1] += v.rollout.reward() - (v.rollout.ended() ? 0 : options.missing_end_penalty);
            }
            double[] values = new double[n];
            Arrays.setAll(values, t -> v.values[t]);
            Gae.Result r = gae.of(rewards, values);
            advantages.add(r.advantages());
            returns.add(r.returns());
        }
        double[] all = advantages.stream().flatMapToDouble(Arrays::stream).toArray();
        double mean = Statistics.mean(all);
        double std = Statistics.std(all);
        List<Judged> out = new ArrayList<>();
        for (int i = 0; i < batch.size(); i++) {
            double[] a = advantages.get(i);
            double[] r = returns.get(i);
            float[] whitened = new float[a.length];
            float[] wanted = new float[a.length];
            for (int t = 0; t < a.length; t++) {
                whitened[t] = (float) ((a[t] - mean) / (std + 1e-8));
                wanted[t] = (float) r[t];
            }
            out.add(new Judged(batch.get(i), whitened, wanted));
        }
        return out;
    }

    private Tensor loss(List<Judged> rows) {
        Padded p = Padded.of(rows.stream().map(j -> j.valued.rollout.sequence()).toList());
        Tensor old = p.spread(rows.stream().map(j -> j.valued.rollout.logprobs()).toList());
        Policy policy = Policy.of(model, p, Pass.evaluate(), options.temperature);
        Tensor advantages = p.spread(rows.stream().map(Judged::advantages).toList());
        Tensor actor = loss.policy(policy.logprobs(), old, advantages, p.mask());
        Tensor value = loss.value(critic.values(p, policy::hidden).mul(p.mask()),
                p.spread(rows.stream().map(j -> j.valued.values).toList()),
                p.spread(rows.stream().map(Judged::returns).toList()), p.mask());
        count("tokens", p.tokens());
        count("entropy", policy.entropySum(p));
        count("value_loss", value.detach().item() * p.tokens());
        count("clipped", loss.clipped(policy.logprobs(), old, advantages).mul(p.mask()));
        return actor.add(value.mul(options.value_coef));
    }

    @Override
    public Map<String, Number> metrics(long step, double seconds) {
        Map<String, Double> sums = counted();
        double tokens = Math.max(1, sums.get("tokens"));
        Map<String, Number> m = new LinkedHashMap<>();
        if (fresh) {
            m.putAll(Statistics.of(batch.stream().map(Valued::rollout).toList()));
            m.put("kl", divergence);
            m.put("beta", beta);
            m.putAll(source.metrics());
        }
        m.put("value_loss", sums.get("value_loss") / tokens);
        m.put("entropy", sums.get("entropy") / tokens);
        m.put("clip_ratio", sums.get("clipped") / tokens);
        m.put("completion_length", batch.stream().mapToInt(v -> v.rollout.completion().length).average().orElse(0));
        m.put("step_time", seconds);
        return m;
    }

    @Override
    public Optional<Sample> sample(long step) {
        double[] advantages = judged.stream()
                .mapToDouble(j -> IntStream.range(0, j.advantages.length).mapToDouble(t -> j.advantages[t]).average()
                        .orElse(0))
                .toArray();
        return SampleTable.of(source, batch.stream().map(Valued::rollout).toList(), advantages, 1);
    }

    /// In the middle of a batch the rest of its steps need what was known of it, and the models that knew are no more.
    @Override
    public void save(Path checkpoint) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (Valued v : batch) {
            JsonObject o = v.rollout.json();
            o.add("reference", Rows.array(v.reference));
            o.add("values", Rows.array(v.values));
            lines.append(o).append('\n');
        }
        Files.writeString(checkpoint.resolve(FILE), lines);
        JsonObject numbers = new JsonObject();
        numbers.addProperty("batch", batchIndex);
        numbers.addProperty("beta", beta);
        numbers.addProperty("divergence", divergence); // by which the next batch's beta is steered
        Files.writeString(checkpoint.resolve(NUMBERS), numbers + "\n");
    }

    @Override
    public void restore(Path checkpoint) throws IOException {
        JsonObject numbers = StrictJson.object(Files.readString(checkpoint.resolve(NUMBERS)),
                checkpoint.resolve(NUMBERS).toString());
        batchIndex = numbers.get("batch").getAsLong();
        beta = numbers.get("beta").getAsDouble();
        divergence = numbers.get("divergence").getAsDouble();
        Path file = checkpoint.resolve(FILE);
        List<Valued> known = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            JsonObject o = StrictJson.object(line, file.toString());
            known.add(new Valued(Rows.rollouts(line, file.toString(), model.vocabSize()).getFirst(),
                    Rows.floats(o, "reference", file.toString()), Rows.floats(o, "values", file.toString())));
        }
        batch = known;
    }
}
