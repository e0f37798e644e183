package dev.deckle.align;

import dev.deckle.chat.ChatTemplate;
import dev.deckle.generate.GenerationConfig;
import dev.deckle.models.Adapted;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.models.SequenceClassifier;
import dev.deckle.nn.ParameterHome;
import dev.deckle.reward.RewardPanel;
import dev.deckle.reward.Rewards;
import dev.deckle.tokenizer.Tokenizer;
import dev.deckle.train.Checkpoint;
import dev.deckle.train.Launch;
import dev.deckle.train.Loop;
import dev.deckle.train.Run;
import dev.deckle.train.RunFolder;
import dev.deckle.train.TrainListener;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.zip.CRC32C;

/// Alignment: from a trained model and a data set to a [Run] that makes a policy, or a reward model, of it.
/// ```java
/// AlignOptions o = new AlignOptions(AlignOptions.Method.DPO);
/// o.model = "runs/ten";
/// o.data = "pairs.jsonl";
/// try (Run run = Alignment.start(o.complete(), Path.of("runs/aligned"), listener)) {
///     run.train(() -> false);
/// }
/// ```
public final class Alignment {
    private final AlignOptions options;
    private final TrainListener listener;
    private final Path path;
    private final Path model;
    private final Optional<Checkpoint> from;
    private long checksum;

    private Alignment(AlignOptions options, TrainListener listener, Path path, Optional<Checkpoint> from) {
        this.options = options;
        this.listener = listener;
        this.path = path;
        this.from = from;
        model = Path.of(options.model);
    }

    /// Prepares a new run in `out`, its ranks as threads of this process.
    ///
    /// @throws IOException in one line, if the folder, the model or the data will not do
    /// @throws IllegalArgumentException in one line, if options do not fit each other or the data
    public static Run start(AlignOptions options, Path out, TrainListener listener) throws IOException {
        return start(options, out, listener, Launch.threads(options.ranks));
    }

    /// The same with ranks elsewhere too: every process calls it.
    public static Run start(AlignOptions options, Path out, TrainListener listener, Launch launch) throws IOException {
        Alignment a = new Alignment(options, listener, out, Optional.empty());
        return Run.start(out, launch, listener, options.steps, options.trace, a::prepare);
    }

    /// Prepares to go on with a run from its newest checkpoint, with the options that `change` makes of its own.
    ///
    /// @param elsewhere empty where all ranks are threads of this process
    public static Run resume(
            Path out, UnaryOperator<AlignOptions> change, TrainListener listener, Optional<Launch> elsewhere)
            throws IOException {
        return Run.resume(out, listener, elsewhere, c -> {
            AlignOptions options = change.apply(AlignOptions.read(c.state().options())).complete();
            Alignment a = new Alignment(options, listener, out, Optional.of(c));
            return new Run.Onward(options.ranks, options.steps, options.trace, a::prepare);
        });
    }

    private void prepare(Run run) throws IOException {
        Path data = Path.of(options.data.isEmpty() ? options.rollouts : options.data);
        Optional<Path> evalData =
                options.eval_data.isEmpty() ? Optional.empty() : Optional.of(Path.of(options.eval_data));
        checksum = checksum(data) | (evalData.isEmpty() ? 0 : checksum(evalData.get()) << 32);
        Models.Limits limits = Models.limits(model);
        Optional<Tokenizer> tokenizer = Files.exists(model.resolve("tokenizer.json"))
                ? Optional.of(Tokenizer.load(model))
                : Optional.empty();
        Optional<ChatTemplate> template = ChatTemplate.find(model);
        Function<Path, Rows> reader = file -> new Rows(file, tokenizer, template, limits.vocabSize(),
                options.max_length, limits.maxPositionEmbeddings());
        Rows rows = reader.apply(data);
        Optional<Rows> held = evalData.map(reader);
        Preparer preparer = switch (options.method) {
            case SFT -> {
                List<Row.Example> examples = rows.examples();
                List<Row.Example> others = held.isEmpty() ? List.of() : held.get().examples();
                yield rank -> loop(rank, run, this::policy, m -> new SftTask(options, m, examples, others, checksum));
            }
            case REWARD -> {
                List<Row.Pair> pairs = rows.pairs();
                List<Row.Pair> others = held.isEmpty() ? List.of() : held.get().pairs();
                yield rank -> loop(rank, run, this::judge,
                        m -> new RewardTask(options, (SequenceClassifier) m, pairs, others, checksum));
            }
            case DPO -> {
                List<Row.Pair> pairs = rows.pairs();
                List<Row.Pair> others = held.isEmpty() ? List.of() : held.get().pairs();
                yield rank -> {
                    UnaryOperator<CausalLm> reference = reference(run);
                    return loop(rank, run, this::policy,
                            m -> new DpoTask(options, m, reference.apply(m), pairs, others, checksum));
                };
            }
            case GRPO -> {
                Function<CausalLm, RolloutSource> source = source(rows, tokenizer, run);
                yield rank -> {
                    Optional<UnaryOperator<CausalLm>> reference =
                            options.beta == 0 ? Optional.empty() : Optional.of(reference(run));
                    return loop(rank, run, this::policy, m -> new GrpoTask(options, m, reference.map(r -> r.apply(m)),
                            source.apply(m), checksum));
                };
            }
            case PPO -> {
                Function<CausalLm, RolloutSource> source = source(rows, tokenizer, run);
                yield rank -> ppo(rank, run, source);
            }
        };
        run.loops(preparer::of);
        if (from.isEmpty() && run.runFolder().isPresent()) {
            RunFolder folder = run.runFolder().get();
            if (run.adapted().isPresent()) {
                folder.describe(run.adapted().get());
            } else {
                folder.describe(run.model(), tokenizer.orElse(null), options.model);
            }
        }
    }

    /// The model that learns, or on which an adapter does.
    private Learner policy(ParameterHome home) throws IOException {
        if (options.lora().isEmpty()) {
            return Learner.whole(Models.openTrainable(weights(), home));
        }
        return Learner.of(from.isPresent() ? Models.adapt(weights(), home)
                : Models.adapt(model, options.lora().get(), options.seed, home));
    }

    /// The same for a model that judges.
    private Learner judge(ParameterHome home) throws IOException {
        if (options.lora().isEmpty()) {
            return Learner.whole(Models.openClassifier(weights(), model, home, options.seed));
        }
        return Learner.of(from.isPresent() ? Models.adaptClassifier(weights(), home)
                : Models.adaptClassifier(model, options.lora().get(), home, options.seed));
    }

    /// From a rank's policy to the model that it starts from.
    private UnaryOperator<CausalLm> reference(Run run) throws IOException {
        if (options.lora().isPresent()) {
            return Unadapted::new;
        }
        CausalLm opened = run.share(Models.open(model));
        return _ -> opened;
    }

    /// Actor and critic live in one home, one after the other, so that one step trains both.
    private Loop ppo(int rank, Run run, Function<CausalLm, RolloutSource> source) throws IOException {
        Optional<UnaryOperator<CausalLm>> reference =
                options.beta == 0 ? Optional.empty() : Optional.of(reference(run));
        Critic[] critic = new Critic[1];
        return loop(rank, run, home -> {
            Learner actor = policy(home::adopt); // the home is not finished yet
            ParameterHome beside = (name, values, matrix) -> home.adopt("critic/" + name, values, matrix);
            critic[0] = options.critic.equals("shared")
                    ? new Critic.Shared(Models.score(model, beside, options.seed))
                    : new Critic.Own(run.share(critic(beside)));
            home.finished();
            return actor;
        }, m -> new PpoTask(options, m, critic[0], reference.map(r -> r.apply(m)), source.apply(m), checksum));
    }

    /// A critic of its own, as it is before it learns: a checkpoint's is restored later.
    private SequenceClassifier critic(ParameterHome home) throws IOException {
        return options.lora().isPresent()
                ? (SequenceClassifier) Models.adaptClassifier(model, options.lora().get(), home, options.seed).model()
                : Models.openClassifier(model, home, options.seed);
    }

    /// Where the rollouts of a rank's model come from.
    private Function<CausalLm, RolloutSource> source(Rows rows, Optional<Tokenizer> tokenizer, Run run)
            throws IOException {
        if (!options.rollouts.isEmpty()) {
            List<Row.Rollout> recorded = rows.rollouts();
            if (recorded.size() < options.batch_size) {
                throw new IllegalArgumentException(options.rollouts + ": holds " + recorded.size()
                        + " rollouts, --batch-size " + options.batch_size + " needs at least as many");
            }
            return _ -> RolloutSource.recorded(recorded, options);
        }
        List<Row.Prompt> prompts = rows.prompts();
        List<RewardPanel.Weighted> rewards = new ArrayList<>();
        Optional<Path> jar = options.reward_jar.isEmpty() ? Optional.empty() : Optional.of(Path.of(options.reward_jar));
        for (int i = 0; i < options.reward.size(); i++) {
            rewards.add(new RewardPanel.Weighted(Rewards.open(options.reward.get(i), jar, tokenizer, _ -> {}),
                    options.reward_weights.isEmpty() ? 1 : options.reward_weights.get(i)));
        }
        RewardPanel panel = run.share(new RewardPanel(rewards,
                Duration.ofMillis((long) Math.ceil(options.reward_timeout * 1000))));
        Set<Integer> ends = Set.copyOf(GenerationConfig.read(model).endTokens());
        return m -> new Drawn(options, m, tokenizer, prompts, panel, ends);
    }

    /// Makes the loop of a rank.
    @FunctionalInterface
    private interface Preparer {
        Loop of(int rank) throws IOException;
    }

    /// Opens a model whose parameters live in a home.
    @FunctionalInterface
    private interface Opener {
        Learner open(Partition home) throws IOException;
    }

    /// A rank's model, and its adapter where that is all of it that learns.
    private record Learner(CausalLm model, Optional<Adapted> adapted) {
        static Learner whole(CausalLm model) {
            return new Learner(model, Optional.empty());
        }

        static Learner of(Adapted adapted) {
            return new Learner(adapted.model(), Optional.of(adapted));
        }
    }

    /// Makes the task of a rank's model.
    @FunctionalInterface
    private interface TaskMaker {
        AlignTask of(CausalLm model);
    }

    private Loop loop(int rank, Run run, Opener opener, TaskMaker task) throws IOException {
        Partition partition = new Partition(rank, run.ranks(), options.partition());
        try {
            Learner learner = opener.open(partition);
            CausalLm m = learner.model;
            if (options.dtype.equals("bf16")) {
                m.configJson().addProperty("dtype", "bfloat16");
            }
            Loop loop = learner.adapted.isPresent()
                    ? new Loop(options.loop(path), learner.adapted.get(), partition, task.of(m))
                    : new Loop(options.loop(path), m, partition, task.of(m));
            if (from.isPresent()) {
                loop.restore(from.get());
            }
            return loop;
        } catch (IOException | RuntimeException | Error e) {
            partition.close();
            throw e;
        }
    }

    /// Where the run's weights are at the moment.
    private Path weights() {
        return from.map(Checkpoint::folder).orElse(model);
    }

    private static long checksum(Path data) throws IOException {
        if (!Files.isRegularFile(data)) {
            throw new IOException(data + ": there is no such file");
        }
        CRC32C crc = new CRC32C();
        crc.update(Files.readAllBytes(data));
        return crc.getValue();
    }
}
