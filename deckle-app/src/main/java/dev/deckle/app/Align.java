package dev.deckle.app;

import dev.deckle.align.AlignOptions;
import dev.deckle.align.Alignment;
import dev.deckle.align.Demo;
import dev.deckle.models.SequenceClassifier;
import dev.deckle.train.Launch;
import dev.deckle.train.Run;
import dev.deckle.train.RunFolder;
import dev.deckle.train.TrainListener;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Aligns a model. Flags that are not given keep the method's default, or on resuming the run's own value.
@Command(
        name = "align",
        description = "Fine-tune a model on examples, on preferences, or by rewards.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle align sft --model runs/ten --data examples.jsonl      learn completions as they are",
            "  ./deckle align sft --model gpt2 --data examples.jsonl --lora-rank 16 --lr 2e-4    an adapter alone",
            "  ./deckle align dpo --model runs/sft --data pairs.jsonl         prefer the chosen ones",
            "  ./deckle align reward --model runs/sft --data pairs.jsonl      a model that judges",
            "  ./deckle align grpo --model runs/sft --data prompts.jsonl --reward exact_match",
            "  ./deckle align grpo --model runs/sft --data prompts.jsonl --reward MyReward.java --loss dapo"
        })
final class Align extends Verb {
    /// Which way.
    enum Kind {
        sft,
        dpo,
        reward,
        grpo,
        ppo,
        demo
    }

    @Parameters(paramLabel = "METHOD", arity = "0..1", description = "${COMPLETION-CANDIDATES}")
    private Kind kind;

    @Option(names = "--method", paramLabel = "M", description = "demo: one method alone: dpo, ppo, grpo, dapo or gspo")
    private String demoMethod;

    @Option(names = "--seeds", paramLabel = "N", description = "demo: from so many starts; default: 1")
    private Integer demoSeeds;

    @Option(names = "--model", paramLabel = "DIR", description = "the model folder to start from, and the reference")
    private Path model;

    @Option(names = "--data", paramLabel = "FILE",
            description = "JSON lines: prompt and completion, messages, or prompt, chosen and rejected; or their ids")
    private Path data;

    @Option(names = "--rollouts", paramLabel = "FILE",
            description = "grpo: JSON lines of prompt_ids, completion_ids, reward and logprobs, groups in order")
    private Path rollouts;

    @Option(names = "--out", paramLabel = "DIR", description = "where the run goes; default: the next free runs/run-N")
    private Path out;

    @Option(names = "--resume", paramLabel = "DIR",
            description = "go on with the run in DIR from its newest checkpoint")
    private Path resume;

    @Option(names = "--steps", paramLabel = "N", description = "optimizer steps; default: 100")
    private Long steps;

    @Option(names = "--batch-size", paramLabel = "B",
            description = "rows in a micro-batch; for grpo completions in a step; default: 8")
    private Integer batchSize;

    @Option(names = "--grad-accum", paramLabel = "A", description = "micro-batches in a step; default: 1")
    private Integer gradAccum;

    @Option(names = "--recompute",
            description = "keep only the inputs of layers for the gradients and compute the layers again: less memory, "
                    + "more time, the same numbers")
    private boolean recompute;

    @Option(names = "--lr", paramLabel = "X", description = "the highest learning rate; default: the method's")
    private Double lr;

    @Option(names = "--lr-schedule", paramLabel = "NAME", description = "constant, linear (default) or cosine")
    private String lrSchedule;

    @Option(names = "--warmup-steps", paramLabel = "N", description = "steps until the highest; default: 0")
    private Integer warmupSteps;

    @Option(names = "--weight-decay", paramLabel = "X", description = "of matrices; default: 0")
    private Double weightDecay;

    @Option(names = "--grad-clip", paramLabel = "X", description = "the longest gradient taken as it is; default: 1")
    private Double gradClip;

    @Option(names = "--adam-beta1", paramLabel = "X", description = "memory of the gradient's mean")
    private Double adamBeta1;

    @Option(names = "--adam-beta2", paramLabel = "X", description = "memory of its square")
    private Double adamBeta2;

    @Option(names = "--adam-eps", paramLabel = "X", description = "keeps the division finite")
    private Double adamEps;

    @Option(names = "--max-length", paramLabel = "N",
            description = "tokens in a sequence, longer ones are cut; default: 1024")
    private Integer maxLength;

    @Option(names = "--packing",
            description = "sft: examples end to end in one row, without padding: the same is learned in less time")
    private boolean packing;

    @Option(names = "--eval-data", paramLabel = "FILE",
            description = "sft, reward, dpo: rows that are not learned from, to evaluate on")
    private Path evalData;

    @Option(names = "--no-shuffle", description = "rows in the order of the file")
    private boolean noShuffle;

    @Option(names = "--seed", paramLabel = "N", description = "of everything random: the same seed, the same run")
    private Long seed;

    @Option(names = "--dtype", paramLabel = "TYPE",
            description = "f32, or bf16: matrices in half precision, their masters in f32")
    private Train.DataType dtype;

    @Option(names = "--lora-rank", paramLabel = "R",
            description = "learn an adapter of this rank in place of the model, which is then the reference too")
    private Integer loraRank;

    @Option(names = "--lora-alpha", paramLabel = "A", description = "the adapter counts A / R; default: 32")
    private Double loraAlpha;

    @Option(names = "--lora-dropout", paramLabel = "P", description = "sft: of what goes into the adapter; default: 0")
    private Double loraDropout;

    @Option(names = "--lora-targets", paramLabel = "NAME", arity = "1..*", split = ",",
            description = "layers that have one, as q_proj,v_proj; default: all-linear, all but the head")
    private List<String> loraTargets;

    @Option(names = "--loss", paramLabel = "NAME",
            description = "dpo: sigmoid, hinge, ipo, robust, cdpo; grpo: grpo, dr_grpo, dapo, gspo, bnpo")
    private String loss;

    @Option(names = "--beta", paramLabel = "X", description = "weight of the reference; dpo 0.1, grpo 0")
    private Double beta;

    @Option(names = "--label-smoothing", paramLabel = "X",
            description = "dpo's robust and cdpo: the share of pairs taken to be the wrong way round")
    private Double labelSmoothing;

    @Option(names = "--group-size", paramLabel = "G", description = "grpo: completions of each prompt; default: 8")
    private Integer groupSize;

    @Option(names = "--iterations", paramLabel = "I",
            description = "grpo: optimizer steps on each batch of completions; default: 1")
    private Integer iterations;

    @Option(names = "--epsilon", paramLabel = "X", description = "grpo: how far a ratio may fall; default: 0.2")
    private Double epsilon;

    @Option(names = "--epsilon-high", paramLabel = "X",
            description = "grpo: how far it may rise; default: as --epsilon")
    private Double epsilonHigh;

    @Option(names = "--temperature", paramLabel = "T", description = "grpo: completions are drawn at it; default: 1")
    private Double temperature;

    @Option(names = "--max-new-tokens", paramLabel = "N",
            description = "grpo: the longest completion; default: 256")
    private Integer maxNewTokens;

    @Option(names = "--mini-batches", paramLabel = "M",
            description = "ppo: parts of a batch, each a step in each of the iterations; default: 4")
    private Integer miniBatches;

    @Option(names = "--critic", paramLabel = "KIND",
            description = "ppo: own (default), a critic as large as the actor, or shared, a head on the actor's trunk")
    private String critic;

    @Option(names = "--value-coef", paramLabel = "X", description = "ppo: weight of the critic's loss; default: 0.1")
    private Double valueCoef;

    @Option(names = "--epsilon-value", paramLabel = "X", description = "ppo: how far a value may move; default: 0.2")
    private Double epsilonValue;

    @Option(names = "--gamma", paramLabel = "X", description = "ppo: discount of later rewards; default: 1")
    private Double gamma;

    @Option(names = "--lambda", paramLabel = "X", description = "ppo: how far an advantage looks ahead; default: 0.95")
    private Double lambda;

    @Option(names = "--kl", paramLabel = "NAME",
            description = "how the divergence from the reference is estimated: k1, k2 or k3; grpo k3, ppo k1")
    private String kl;

    @Option(names = "--kl-target", paramLabel = "X", description = "ppo: steer --beta to this divergence")
    private Double klTarget;

    @Option(names = "--missing-end-penalty", paramLabel = "X",
            description = "ppo: taken from the reward of a completion that does not end")
    private Double missingEndPenalty;

    @Option(names = "--scale-rewards", paramLabel = "BY",
            description = "grpo: what advantages are divided by: the standard deviation of the group, of the batch, "
                    + "or none")
    private String scaleRewards;

    @Option(names = "--dynamic-sampling", paramLabel = "N",
            description = "grpo: how often groups of equal rewards are replaced by others; dapo 3, else 0")
    private Integer dynamicSampling;

    @Option(names = "--mask-truncated", description = "grpo: completions that were cut off are not learned from")
    private boolean maskTruncated;

    @Option(names = "--reward", paramLabel = "NAME", arity = "1..*",
            description = "grpo: what judges completions: exact_match[:COLUMN], regex:PATTERN, format, length:N, "
                    + "overlong:MAX,CACHE, arithmetic, model:DIR, FILE.java, or a class with --reward-jar")
    private List<String> reward;

    @Option(names = "--reward-weights", paramLabel = "X", arity = "1..*", description = "grpo: what each counts")
    private List<Double> rewardWeights;

    @Option(names = "--reward-command", paramLabel = "CMD",
            description = "grpo: a process that judges: JSON lines in and out")
    private String rewardCommand;

    @Option(names = "--reward-jar", paramLabel = "JAR", description = "grpo: where the rewards' classes are")
    private Path rewardJar;

    @Option(names = "--reward-timeout", paramLabel = "S",
            description = "grpo: seconds that a reward has for a batch; default: 30")
    private Double rewardTimeout;

    @Option(names = "--save-rollouts", paramLabel = "FILE",
            description = "grpo: write the completions that are learned from, as --rollouts reads them")
    private Path saveRollouts;

    @Option(names = "--ranks", paramLabel = "N",
            description = "ranks that share each batch, as threads; under mpirun its processes are the ranks")
    private Integer ranks;

    @Option(names = "--zero", paramLabel = "STAGE",
            description = "what the ranks divide: 0 nothing, 1 optimizer state, 2 gradients too, 3 parameters too")
    private Integer zero;

    @Option(names = "--offload", paramLabel = "DIR",
            description = "keep the optimizer's state in files there, mapped, in place of memory")
    private Path offload;

    @Option(names = "--trace", paramLabel = "FILE", description = "write what each rank did when, as a Chrome trace")
    private Path trace;

    @Option(names = "--eval-every", paramLabel = "N",
            description = "steps between evaluations, or for grpo and ppo samples that are shown; default: every 25 s")
    private Integer evalEvery;

    @Option(names = "--save-every", paramLabel = "N", description = "steps between checkpoints; default: every minute")
    private Integer saveEvery;

    /// What may differ when a run is resumed.
    private static final Set<String> FREE =
            Set.of("steps", "recompute", "eval_every", "save_every", "ranks", "zero", "offload");

    @Override
    int run(Console console) throws IOException {
        if (kind == Kind.demo) {
            return demo(console);
        }
        if (demoMethod != null || demoSeeds != null) {
            throw wrongUsage("--method and --seeds go with demo alone");
        }
        if (resume == null && (kind == null || model == null)) {
            throw wrongUsage(kind == null ? "METHOD is missing: sft, dpo, reward, grpo or ppo"
                    : "--model DIR is needed: what to start from");
        }
        if (resume != null && (kind != null || model != null || data != null || rollouts != null)) {
            throw wrongUsage("--resume " + resume + ": the run has its method, model and data");
        }
        if (resume != null && out != null) {
            throw wrongUsage("--resume " + resume + " goes on in that folder: leave --out away");
        }
        ranks = Processes.count(console, ranks);
        Processes.run(trace != null, elsewhere -> RunProgress.follow(console, this::next,
                "align --resume %s",
                progress -> resume != null ? resumed(progress, elsewhere) : started(progress, elsewhere)));
        return Deckle.DONE;
    }

    /// What the model that came out is good for: one that judges says nothing by itself.
    private String next(Run run) {
        return run.model() instanceof SequenceClassifier
                ? "align grpo --model " + (model == null ? "DIR" : model) + " --data PROMPTS.jsonl --reward model:"
                        + run.folder()
                : "generate --model " + run.folder() + " --prompt \"...\"";
    }

    private int demo(Console console) throws IOException {
        if (model != null || data != null || rollouts != null || resume != null) {
            throw wrongUsage("demo makes its own model and data");
        }
        List<String> methods;
        try {
            methods = demoMethod == null ? Demo.METHODS : List.of(Demo.known(demoMethod));
        } catch (IllegalArgumentException e) {
            throw wrongUsage(e.getMessage());
        }
        if (demoSeeds != null && (demoSeeds < 1 || demoSeeds > 100)) {
            throw wrongUsage("--seeds must be from 1 to 100, not " + demoSeeds);
        }
        new AlignDemo(console, out == null ? RunFolder.next(Path.of("runs")) : out, methods, seed == null ? 1 : seed,
                demoSeeds == null ? 1 : demoSeeds).run();
        return Deckle.DONE;
    }

    private Run started(TrainListener listener, Optional<Launch> elsewhere) throws IOException {
        AlignOptions o = checked(change(new AlignOptions(AlignOptions.Method.valueOf(kind.name().toUpperCase(
                java.util.Locale.ROOT)))));
        Path folder = out == null ? RunFolder.next(Path.of("runs")) : out;
        return Alignment.start(o, folder, listener, elsewhere.orElse(Launch.threads(o.ranks)));
    }

    /// The run's own options, with another end if one is given; whatever else is given must be what it was.
    private Run resumed(TrainListener listener, Optional<Launch> elsewhere) throws IOException {
        return Alignment.resume(resume, own -> {
            var before = own.json();
            AlignOptions now = checked(change(own));
            var after = now.json();
            for (String key : before.keySet()) {
                if (!FREE.contains(key) && !before.get(key).equals(after.get(key))) {
                    throw wrongUsage("--" + key.replace('_', '-') + ": the run to resume has " + before.get(key)
                            + ", not " + after.get(key));
                }
            }
            return now;
        }, listener, elsewhere);
    }

    private AlignOptions checked(AlignOptions o) {
        try {
            return o.complete();
        } catch (IllegalArgumentException e) {
            throw wrongUsage(e.getMessage());
        }
    }

    private AlignOptions change(AlignOptions o) {
        set(model, v -> o.model = absolute(v));
        set(data, v -> o.data = absolute(v));
        set(rollouts, v -> o.rollouts = absolute(v));
        set(steps, v -> o.steps = v);
        set(batchSize, v -> o.batch_size = v);
        set(gradAccum, v -> o.grad_accum = v);
        o.recompute |= recompute;
        set(lr, v -> o.lr = v);
        set(lrSchedule, v -> o.lr_schedule = v);
        set(warmupSteps, v -> o.warmup_steps = v);
        set(weightDecay, v -> o.weight_decay = v);
        set(gradClip, v -> o.grad_clip = v);
        set(adamBeta1, v -> o.adam_beta1 = v);
        set(adamBeta2, v -> o.adam_beta2 = v);
        set(adamEps, v -> o.adam_eps = v);
        set(maxLength, v -> o.max_length = v);
        o.packing |= packing;
        set(evalData, v -> o.eval_data = absolute(v));
        o.shuffle &= !noShuffle;
        set(seed, v -> o.seed = v);
        set(dtype, v -> o.dtype = v.name());
        set(loraRank, v -> o.lora_rank = v);
        set(loraAlpha, v -> o.lora_alpha = v);
        set(loraDropout, v -> o.lora_dropout = v);
        set(loraTargets, v -> o.lora_targets = new ArrayList<>(v));
        set(loss, v -> o.loss = v);
        set(beta, v -> o.beta = v);
        set(labelSmoothing, v -> o.label_smoothing = v);
        set(groupSize, v -> o.group_size = v);
        set(iterations, v -> o.iterations = v);
        set(epsilon, v -> o.epsilon = v);
        set(epsilonHigh, v -> o.epsilon_high = v);
        set(temperature, v -> o.temperature = v);
        set(maxNewTokens, v -> o.max_new_tokens = v);
        set(miniBatches, v -> o.mini_batches = v);
        set(critic, v -> o.critic = v);
        set(valueCoef, v -> o.value_coef = v);
        set(epsilonValue, v -> o.epsilon_value = v);
        set(gamma, v -> o.gamma = v);
        set(lambda, v -> o.lambda = v);
        set(kl, v -> o.kl = v);
        set(klTarget, v -> o.kl_target = v);
        set(missingEndPenalty, v -> o.missing_end_penalty = v);
        set(scaleRewards, v -> o.scale_rewards = v);
        set(dynamicSampling, v -> o.dynamic_sampling = v);
        o.mask_truncated |= maskTruncated;
        set(reward, v -> o.reward = new ArrayList<>(v));
        set(rewardCommand, v -> o.reward.add("command:" + v));
        set(rewardWeights, v -> o.reward_weights = new ArrayList<>(v));
        set(rewardJar, v -> o.reward_jar = absolute(v));
        set(rewardTimeout, v -> o.reward_timeout = v);
        set(saveRollouts, v -> o.save_rollouts = absolute(v));
        set(ranks, v -> o.ranks = v);
        set(zero, v -> o.zero = v);
        set(offload, v -> o.offload = absolute(v));
        set(trace, v -> o.trace = absolute(v));
        set(evalEvery, v -> o.eval_every = v);
        set(saveEvery, v -> o.save_every = v);
        return o;
    }

    private static String absolute(Path path) {
        return path.toAbsolutePath().normalize().toString();
    }

    private static <T> void set(T given, Consumer<T> to) {
        Optional.ofNullable(given).ifPresent(to);
    }
}
