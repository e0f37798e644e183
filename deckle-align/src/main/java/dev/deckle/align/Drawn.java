package dev.deckle.align;

import dev.deckle.distributed.Communicator;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TextGenerator;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.KvCache;
import dev.deckle.reward.RewardFunction;
import dev.deckle.reward.RewardPanel;
import dev.deckle.tokenizer.Tokenizer;
import dev.deckle.train.SameLogits;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// Rollouts that the model draws itself: for each prompt a group of completions, by the engine that serves users (one
/// pass a token for all of them, the prompt's cache shared), judged by a [RewardPanel].
///
/// Ranks draw their own part of the batch. Where no rank has all parameters they draw all of it together.
///
/// Groups whose rewards are all equal teach nothing; they can be replaced by groups of the prompts that follow (DAPO's
/// dynamic sampling, Yu et al. 2025), a bounded number of times.
final class Drawn implements RolloutSource {
    private final AlignOptions options;
    private final CausalLm model;
    private final Optional<Tokenizer> tokenizer;
    private final List<Row.Prompt> prompts;
    private final RewardPanel rewards;
    private final Set<Integer> endTokens;
    private final Order order;
    private final Map<String, Moments> told = new LinkedHashMap<>(); // of each function's rewards for this batch
    private final Map<String, Long> failures = new LinkedHashMap<>(); // of functions, on this rank
    private Communicator ranks;
    private Partition partition;
    private long drawn; // completions of this batch, those that were replaced too
    private long unjudged;

    /// Of some numbers how many they are, their sum, and that of their squares: what ranks can add up.
    private record Moments(double n, double sum, double squares) {
        /// Of those that are numbers.
        static Moments of(double[] values) {
            double[] known = Arrays.stream(values).filter(v -> !Double.isNaN(v)).toArray();
            return new Moments(known.length, Arrays.stream(known).sum(), Arrays.stream(known).map(v -> v * v).sum());
        }

        Moments and(Moments more) {
            return new Moments(n + more.n, sum + more.sum, squares + more.squares);
        }

        double[] numbers() {
            return new double[] {n, sum, squares};
        }

        double mean() {
            return sum / n;
        }

        /// Unbiased; 0 of one.
        double std() {
            return Math.sqrt(Math.max(0, squares - sum * sum / n) / Math.max(1, n - 1));
        }
    }

    /// @param endTokens that end a completion
    Drawn(AlignOptions options, CausalLm model, Optional<Tokenizer> tokenizer, List<Row.Prompt> prompts,
            RewardPanel rewards, Set<Integer> endTokens) {
        this.options = options;
        this.model = model;
        this.tokenizer = tokenizer;
        this.prompts = prompts;
        this.rewards = rewards;
        this.endTokens = endTokens;
        order = new Order(prompts.size(), options.shuffle, options.seed);
    }

    @Override
    public void connect(Communicator ranks, Partition partition) {
        this.ranks = ranks;
        this.partition = partition;
    }

    @Override
    public boolean drawnNow() {
        return true;
    }

    @Override
    public List<Row.Rollout> batch(long index) throws IOException {
        int groups = options.batch_size / options.group_size;
        told.clear();
        failures.clear();
        drawn = 0;
        unjudged = 0;
        List<List<Row.Rollout>> useful = new ArrayList<>();
        List<List<Row.Rollout>> useless = new ArrayList<>();
        for (int attempt = 0; useful.size() < groups && attempt <= options.dynamic_sampling; attempt++) {
            long first = (index * (options.dynamic_sampling + 1) + attempt) * groups;
            for (List<Row.Rollout> group : draw(first, groups, index * (options.dynamic_sampling + 1) + attempt)) {
                (teaches(group) || options.dynamic_sampling == 0 ? useful : useless).add(group);
            }
        }
        while (useful.size() < groups) { // the bound is reached: these teach nothing, but keep the batch's size
            useful.add(useless.removeFirst());
        }
        List<Row.Rollout> batch = useful.subList(0, groups).stream().flatMap(List::stream).toList();
        record(index, batch);
        return batch;
    }

    private static boolean teaches(List<Row.Rollout> group) {
        return group.stream().mapToDouble(Row.Rollout::reward).filter(r -> !Double.isNaN(r)).distinct().count() > 1;
    }

    /// One group for each of the prompts from `first` on.
    ///
    /// @param draw how often something was drawn before: a new seed each time
    private List<List<Row.Rollout>> draw(long first, int groups, long draw) throws IOException {
        List<Row.Prompt> asked = new ArrayList<>();
        for (int g = 0; g < groups; g++) {
            asked.addAll(Collections.nCopies(options.group_size, prompts.get(order.row(first + g))));
        }
        long seed = options.seed * 0x9E3779B97F4A7C15L + draw * asked.size();
        List<Row.Rollout> all;
        if (ranks.worldSize() == 1 || Stage.of(options.zero) == Stage.PARAMETERS) {
            CausalLm speaker = ranks.worldSize() == 1 ? model : new SameLogits(model, ranks);
            all = judged(asked, completions(speaker, asked, seed));
        } else {
            int each = asked.size() / ranks.worldSize();
            List<Row.Prompt> own = asked.subList(ranks.rank() * each, (ranks.rank() + 1) * each);
            all = shared(judged(own, completions(model, own, seed + (long) ranks.rank() * each)));
        }
        drawn += all.size();
        List<List<Row.Rollout>> grouped = new ArrayList<>();
        for (int i = 0; i < all.size(); i += options.group_size) {
            grouped.add(all.subList(i, i + options.group_size));
        }
        return grouped;
    }

    private record Completion(int[] ids, float[] logprobs, boolean ended) {}

    private List<Completion> completions(CausalLm speaker, List<Row.Prompt> asked, long seed) {
        TextGenerator generator = new TextGenerator(speaker, new Sampler(options.temperature, 0, 1, 0, 1), endTokens,
                KvCache.Kind.PAGED).withTemperedLogProbs();
        return partition.evaluate(() -> {
            List<Completion> all = new ArrayList<>();
            try (var decoding = generator.decode(asked.stream().map(Row.Prompt::ids).toList(), options.max_new_tokens,
                    seed)) {
                while (decoding.hasNext()) {
                    decoding.next();
                }
                for (int i = 0; i < asked.size(); i++) {
                    int[] ids = decoding.ids(i);
                    int[] completion = Arrays.copyOfRange(ids, asked.get(i).ids().length, ids.length);
                    boolean ended = completion.length > 0 && endTokens.contains(completion[completion.length - 1]);
                    all.add(new Completion(completion, decoding.logProbs(i), ended));
                }
            }
            return all;
        });
    }

    private List<Row.Rollout> judged(List<Row.Prompt> asked, List<Completion> completions) {
        List<RewardFunction.Sample> samples = new ArrayList<>();
        for (int i = 0; i < asked.size(); i++) {
            Completion c = completions.get(i);
            int[] said = c.ended ? Arrays.copyOf(c.ids, c.ids.length - 1) : c.ids;
            samples.add(new RewardFunction.Sample(asked.get(i).text(), tokenizer.map(t -> t.decode(said)).orElse(""),
                    asked.get(i).ids(), c.ids, asked.get(i).columns()));
        }
        RewardPanel.Verdict verdict = rewards.judge(samples);
        if (verdict.unjudged() == samples.size()) {
            throw new IllegalStateException("no completion of a batch of " + samples.size() + " got a reward"
                    + rewards.firstFailures().entrySet().stream().findFirst()
                            .map(e -> ": " + e.getKey() + ": " + e.getValue())
                            .orElse(""));
        }
        unjudged += verdict.unjudged();
        verdict.byFunction().forEach((name, values) -> told.merge(name, Moments.of(values), Moments::and));
        verdict.failures().forEach((name, n) -> failures.merge(name, n, Long::sum));
        List<Row.Rollout> rollouts = new ArrayList<>();
        for (int i = 0; i < asked.size(); i++) {
            Completion c = completions.get(i);
            rollouts.add(new Row.Rollout(asked.get(i).ids(), c.ids, verdict.total()[i], c.logprobs,
                    c.ended || !options.mask_truncated, c.ended));
        }
        return rollouts;
    }

    /// What all ranks have drawn.
    private List<Row.Rollout> shared(List<Row.Rollout> own) throws IOException {
        StringBuilder lines = new StringBuilder();
        own.forEach(r -> lines.append(r.json()).append('\n'));
        List<Row.Rollout> all = new ArrayList<>();
        byte[][] parts = ranks.allGather(lines.toString().getBytes(StandardCharsets.UTF_8));
        for (int r = 0; r < parts.length; r++) {
            all.addAll(Rows.rollouts(new String(parts[r], StandardCharsets.UTF_8), "the rollouts of rank " + r,
                    model.vocabSize()));
        }
        return all;
    }

    @Override
    public Map<String, Number> metrics() {
        boolean apart = ranks.worldSize() > 1 && Stage.of(options.zero) != Stage.PARAMETERS;
        Map<String, Number> m = new LinkedHashMap<>();
        told.forEach((name, own) -> {
            double[] all = apart ? partition.sum(own.numbers()) : own.numbers();
            Moments of = new Moments(all[0], all[1], all[2]);
            if (of.n > 0) { // not where it judged none of them
                m.put("rewards/" + name + "/mean", of.mean());
                m.put("rewards/" + name + "/std", of.std());
            }
        });
        failures.forEach((name, n) -> m.put("failures/" + name, n));
        m.put("drawn", drawn);
        return m;
    }

    @Override
    public Optional<Tokenizer> tokenizer() {
        return tokenizer;
    }

    private void record(long index, List<Row.Rollout> batch) throws IOException {
        if (!options.save_rollouts.isEmpty() && ranks.rank() == 0) {
            StringBuilder lines = new StringBuilder();
            batch.forEach(r -> lines.append(r.json()).append('\n'));
            Files.writeString(Path.of(options.save_rollouts), lines, StandardOpenOption.CREATE,
                    index == 0 ? StandardOpenOption.TRUNCATE_EXISTING : StandardOpenOption.APPEND);
        }
    }
}
