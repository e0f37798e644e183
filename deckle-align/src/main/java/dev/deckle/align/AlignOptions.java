package dev.deckle.align;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import dev.deckle.nn.Lora;
import dev.deckle.optim.AdamW;
import dev.deckle.optim.CosineSchedule;
import dev.deckle.tensor.DType;
import dev.deckle.train.Loop;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// Everything that decides about an alignment run: plain fields, named as the flags of `deckle align`. Defaults are
/// TRL's.
public final class AlignOptions {
    /// What a model is aligned by.
    public enum Method {
        /// Supervised fine-tuning: completions are learned as they are.
        SFT(2e-5),
        /// A reward model from pairs.
        REWARD(1e-4),
        /// Direct preference optimisation from pairs.
        DPO(1e-6),
        /// Group relative policy optimisation and its kin, from prompts and rewards.
        GRPO(1e-6),
        /// Proximal policy optimisation, from prompts and rewards.
        PPO(3e-6);

        private final double lr;

        Method(double lr) {
            this.lr = lr;
        }

        /// As a word of the command.
        public String word() {
            return AlignOptions.word(this);
        }
    }

    private static final Gson GSON =
            new GsonBuilder().setPrettyPrinting().serializeNulls().disableHtmlEscaping().create();
    private static final Map<Method, List<String>> LOSSES = Map.of(
            Method.DPO, words(DpoLoss.Kind.values()),
            Method.GRPO, words(GrpoLoss.Kind.values()));

    public Method method;

    /// The model folder that it starts from, which is also the reference.
    public String model = "";

    /// JSON lines.
    public String data = "";

    /// JSON lines of rollouts that were recorded, in place of data.
    public String rollouts = "";

    /// Optimizer steps.
    public long steps = 100;

    /// Rows in a micro-batch; for grpo and ppo completions in a step.
    public int batch_size = 8;

    /// Micro-batches in a step.
    public int grad_accum = 1;

    /// Whether layers keep only their inputs for the gradients, and are computed again when these come: less memory,
    /// more time, the same bits.
    public boolean recompute;

    /// -1: the method's default.
    public double lr = -1;

    /// constant, linear or cosine, after the warm-up.
    public String lr_schedule = "linear";

    public int warmup_steps;
    public double weight_decay;
    public double grad_clip = 1;
    public double adam_beta1 = 0.9;
    public double adam_beta2 = 0.999;
    public double adam_eps = 1e-8;

    /// Tokens in a sequence; longer ones are cut.
    public int max_length = 1024;

    /// sft: the examples of a micro-batch stand end to end in one row, in place of side by side with padding; what is
    /// learned is the same.
    public boolean packing;

    /// sft, reward, dpo: JSON lines that are not learned from, for evaluations; empty for none.
    public String eval_data = "";

    public boolean shuffle = true;
    public long seed = 1;
    public String dtype = "f32";

    /// r of a [Lora] that learns in place of the model; 0: the model itself does.
    public int lora_rank;

    /// -1: 32.
    public double lora_alpha = -1;

    /// sft: of what goes into the adapter; the other methods compare log-probabilities, which are those of no dropout.
    public double lora_dropout;

    /// Names of layers; empty: every linear layer but the head.
    public List<String> lora_targets = new ArrayList<>();

    /// The variant of the method; empty for its first.
    public String loss = "";

    /// Weight of the reference; -1: 0.1 for dpo, 0 for grpo, 0.05 for ppo.
    public double beta = -1;

    public double label_smoothing;

    /// Completions of each prompt.
    public int group_size = 8;

    /// Optimizer steps on each batch of rollouts.
    public int iterations = 1;

    public double epsilon = 0.2;

    /// -1: as `epsilon`.
    public double epsilon_high = -1;

    /// Rollouts are drawn at it.
    public double temperature = 1;

    public int max_new_tokens = 256;

    /// What advantages are divided by: the standard deviation of the group, of the batch, or none; empty: group, and
    /// none for dr_grpo.
    public String scale_rewards = "";

    /// How often groups whose rewards are all equal, from which nothing can be learned, are replaced by others;
    /// negative: 0, and 3 for dapo.
    public int dynamic_sampling = -1;

    /// Whether completions that were cut off are not learned from.
    public boolean mask_truncated;

    /// ppo: parts of a batch, each of which is an optimizer step in each of the iterations.
    public int mini_batches = 4;

    /// ppo: own, a critic as large as the actor, or shared, a head on the actor's trunk.
    public String critic = "own";

    /// ppo: weight of the critic's loss.
    public double value_coef = 0.1;

    /// ppo: how far a value may move from what it was when the batch was drawn.
    public double epsilon_value = 0.2;

    /// ppo: discount of later rewards.
    public double gamma = 1;

    /// ppo: how far an advantage looks ahead.
    public double lambda = 0.95;

    /// The estimator of the divergence from the reference, k1, k2 or k3; empty: k3, and k1 for ppo.
    public String kl = "";

    /// ppo: the divergence that `beta` is steered to; 0: it stays as it is.
    public double kl_target;

    /// ppo: taken from the reward of a completion that does not end.
    public double missing_end_penalty;

    /// Rewards by name, as they are opened.
    public List<String> reward = new ArrayList<>();

    /// What each counts; empty for 1.
    public List<Double> reward_weights = new ArrayList<>();

    /// Where the rewards' classes are.
    public String reward_jar = "";

    /// Seconds that a reward has for a batch.
    public double reward_timeout = 30;

    /// Where rollouts are written as they are drawn; empty for nowhere.
    public String save_rollouts = "";

    public int ranks = 1;
    public int zero;
    public String offload = "";
    public transient String trace = "";

    /// Steps between evaluations; 0: every 25 seconds.
    public int eval_every;

    /// Steps between checkpoints; 0: every minute.
    public int save_every;

    /// For Gson: without it what is transient, or not in a file, would be null in place of its default.
    private AlignOptions() {}

    public AlignOptions(Method method) {
        this.method = method;
    }

    /// Fills in what follows from other options, and checks them all.
    ///
    /// @throws IllegalArgumentException in one line that names the flag, what was given and what was expected
    public AlignOptions complete() {
        require(data.isEmpty() != rollouts.isEmpty(), "--data FILE is needed" + (method == Method.GRPO
                ? ", or --rollouts FILE, and only one of them"
                : ""));
        require(rollouts.isEmpty() || method == Method.GRPO, "--rollouts goes with grpo alone");
        require(steps > 0, "--steps must be positive, not " + steps);
        positive("--batch-size", batch_size);
        positive("--grad-accum", grad_accum);
        lr = lr == -1 ? method.lr : lr;
        require(lr > 0 && lr < 10, "--lr must be above 0 and below 10, not " + lr);
        require(List.of("constant", "linear", "cosine").contains(lr_schedule),
                "--lr-schedule must be constant, linear or cosine, not " + lr_schedule);
        require(warmup_steps >= 0, "--warmup-steps must not be negative, not " + warmup_steps);
        require(weight_decay >= 0 && weight_decay < 10, "--weight-decay must be from 0 to 10, not " + weight_decay);
        require(grad_clip >= 0 && grad_clip < 1e30, "--grad-clip must be from 0 to 1e30, not " + grad_clip);
        require(adam_beta1 >= 0 && adam_beta1 < 1, "--adam-beta1 must be at least 0 and below 1, not " + adam_beta1);
        require(adam_beta2 >= 0 && adam_beta2 < 1, "--adam-beta2 must be at least 0 and below 1, not " + adam_beta2);
        require(adam_eps > 0 && adam_eps < 1, "--adam-eps must be above 0 and below 1, not " + adam_eps);
        require(max_length > 1, "--max-length must be at least 2, not " + max_length);
        require(!packing || method == Method.SFT, "--packing goes with sft alone");
        require(eval_data.isEmpty() || method == Method.SFT || method == Method.REWARD || method == Method.DPO,
                "--eval-data goes with sft, reward and dpo alone");
        require(dtype.equals("f32") || dtype.equals("bf16"), "--dtype must be f32 or bf16, not " + dtype);
        completeLora();
        List<String> losses = LOSSES.getOrDefault(method, List.of(""));
        loss = loss.isEmpty() ? losses.getFirst() : loss;
        require(losses.contains(loss), losses.equals(List.of(""))
                ? "--loss: " + method.word() + " has one loss alone"
                : "--loss must be one of " + String.join(", ", losses) + ", not " + loss);
        beta = beta != -1 ? beta
                : switch (method) {
                    case DPO -> 0.1;
                    case PPO -> 0.05;
                    case SFT, REWARD, GRPO -> 0;
                };
        require(method != Method.DPO || beta > 0, "--beta must be above 0 for dpo, not " + beta);
        require(beta >= 0 && beta < 1e6, "--beta must be at least 0 and below 1e6, not " + beta);
        require(label_smoothing >= 0 && label_smoothing < 0.5,
                "--label-smoothing must be at least 0 and below 0.5, not " + label_smoothing);
        positive("--group-size", group_size);
        positive("--iterations", iterations);
        positive("--max-new-tokens", max_new_tokens);
        epsilon_high = epsilon_high == -1 ? epsilon : epsilon_high;
        scale_rewards = !scale_rewards.isEmpty() ? scale_rewards : is(GrpoLoss.Kind.DR_GRPO) ? "none" : "group";
        require(List.of("group", "batch", "none").contains(scale_rewards),
                "--scale-rewards must be group, batch or none, not " + scale_rewards);
        dynamic_sampling = dynamic_sampling >= 0 ? dynamic_sampling : is(GrpoLoss.Kind.DAPO) ? 3 : 0;
        require(dynamic_sampling <= 100, "--dynamic-sampling must be at most 100, not " + dynamic_sampling);
        require(reward_weights.isEmpty() || reward_weights.size() == reward.size(), "--reward-weights: "
                + reward_weights.size() + " for " + reward.size() + " rewards");
        require(reward_timeout > 0 && reward_timeout < 1e6, "--reward-timeout must be positive, not " + reward_timeout);
        boolean draws = !data.isEmpty() && (method == Method.GRPO || method == Method.PPO);
        require(!draws || !reward.isEmpty(), "--reward NAME is needed: what completions are judged by");
        require(epsilon >= 0 && epsilon < 1, "--epsilon must be at least 0 and below 1, not " + epsilon);
        require(epsilon_high >= 0 && epsilon_high < 100, "--epsilon-high must be at least 0 and below 100, not "
                + epsilon_high);
        require(temperature > 0 && temperature < 100,
                "--temperature must be above 0 and below 100, not " + temperature);
        positive("--mini-batches", mini_batches);
        require(critic.equals("own") || critic.equals("shared"), "--critic must be own or shared, not " + critic);
        require(value_coef >= 0 && value_coef < 1e6, "--value-coef must be from 0 to 1e6, not " + value_coef);
        require(epsilon_value > 0, "--epsilon-value must be positive, not " + epsilon_value);
        require(gamma >= 0 && gamma <= 1, "--gamma must be from 0 to 1, not " + gamma);
        require(lambda >= 0 && lambda <= 1, "--lambda must be from 0 to 1, not " + lambda);
        kl = !kl.isEmpty() ? kl : method == Method.PPO ? "k1" : "k3";
        require(words(KlEstimator.values()).contains(kl), "--kl must be k1, k2 or k3, not " + kl);
        require(kl_target >= 0 && kl_target < 1e6, "--kl-target must not be negative, not " + kl_target);
        require(missing_end_penalty >= 0 && missing_end_penalty < 1e6,
                "--missing-end-penalty must not be negative, not " + missing_end_penalty);
        if (method == Method.PPO) {
            require(kl_target == 0 || beta > 0, "--kl-target steers --beta, which must be above 0, not " + beta);
            group_size = 1;
            dynamic_sampling = 0;
            require(batch_size % (ranks * mini_batches * grad_accum) == 0, "--batch-size " + batch_size
                    + " must be a multiple of the " + ranks + " ranks times --mini-batches " + mini_batches
                    + " times --grad-accum " + grad_accum);
        }
        require(eval_every >= 0, "--eval-every must not be negative, not " + eval_every);
        require(save_every >= 0, "--save-every must not be negative, not " + save_every);
        positive("--ranks", ranks);
        Stage.of(zero);
        if (method == Method.GRPO || method == Method.PPO) {
            require(method == Method.PPO || group_size > 1, "--group-size must be at least 2, not " + group_size);
            require(method == Method.PPO || batch_size % group_size == 0, "--batch-size " + batch_size
                    + " must be a multiple of --group-size " + group_size);
            require(batch_size % (ranks * grad_accum) == 0, "--batch-size " + batch_size + " must be a multiple of the "
                    + ranks + " ranks times --grad-accum " + grad_accum + ", which share its rows");
        } else {
            require(batch_size % ranks == 0, "--batch-size " + batch_size + " must be a multiple of the " + ranks
                    + " ranks, which share its rows");
        }
        return this;
    }

    private boolean is(GrpoLoss.Kind kind) {
        return method == Method.GRPO && grpoLoss() == kind;
    }

    /// The variant of grpo, once complete.
    GrpoLoss.Kind grpoLoss() {
        return GrpoLoss.Kind.valueOf(loss.toUpperCase(Locale.ROOT));
    }

    /// How far the policy is from the reference, once complete.
    KlEstimator klEstimator() {
        return KlEstimator.valueOf(kl.toUpperCase(Locale.ROOT));
    }

    /// The variant of dpo, once complete.
    DpoLoss.Kind dpoLoss() {
        return DpoLoss.Kind.valueOf(loss.toUpperCase(Locale.ROOT));
    }

    private static String word(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    private static List<String> words(Enum<?>... values) {
        return Arrays.stream(values).map(AlignOptions::word).toList();
    }

    private void completeLora() {
        require(lora_rank >= 0 && lora_rank <= 65_536, "--lora-rank must be from 1 to 65536, not " + lora_rank);
        if (lora_rank == 0) {
            require(lora_alpha == -1, "--lora-alpha goes with --lora-rank R");
            require(lora_dropout == 0, "--lora-dropout goes with --lora-rank R");
            require(lora_targets.isEmpty(), "--lora-targets goes with --lora-rank R");
            return;
        }
        lora_alpha = lora_alpha == -1 ? 32 : lora_alpha;
        require(lora_alpha > 0 && lora_alpha < 1e6, "--lora-alpha must be above 0 and below 1e6, not " + lora_alpha);
        require(lora_dropout >= 0 && lora_dropout < 1,
                "--lora-dropout must be at least 0 and below 1, not " + lora_dropout);
        require(lora_dropout == 0 || method == Method.SFT, "--lora-dropout goes with sft alone: " + method.word()
                + " compares log-probabilities, which are those of no dropout");
        lora_targets = lora_targets.isEmpty() ? new ArrayList<>(List.of(Lora.ALL_LINEAR)) : lora_targets;
        require(lora_targets.stream().noneMatch(String::isBlank),
                "--lora-targets must be names of layers, or " + Lora.ALL_LINEAR);
    }

    /// The adapter that learns, if not the model itself does.
    Optional<Lora> lora() {
        return lora_rank == 0 ? Optional.empty()
                : Optional.of(new Lora(lora_rank, lora_alpha, lora_dropout, lora_targets));
    }

    /// Whether a parameter does not learn: where there is an adapter, all but that and the score of a reward model or
    /// of ppo's critic, which is new.
    private boolean frozen(String parameter) {
        String name = parameter.substring(parameter.indexOf('/') + 1); // a critic's have its name before it
        return lora_rank > 0 && Lora.isBase(name) && !name.equals("score.weight");
    }

    private static void positive(String flag, int value) {
        require(value > 0, flag + " must be positive, not " + value);
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalArgumentException(otherwise);
        }
    }

    /// The learning rate of a step (0, 1, ...), as Hugging Face's schedules have it.
    double rate(long step) {
        if (step < warmup_steps) {
            return lr * step / warmup_steps;
        }
        return switch (lr_schedule) {
            case "constant" -> lr;
            case "linear" -> lr * (steps - step) / Math.max(1, steps - warmup_steps);
            default -> new CosineSchedule(lr, 0, warmup_steps).at(step, steps);
        };
    }

    Loop.Options loop(Path folder) {
        return new Loop.Options(folder, steps, 0, (step, _) -> rate(step), grad_clip,
                new AdamW.Options(adam_beta1, adam_beta2, adam_eps, weight_decay), eval_every, save_every, recompute,
                json());
    }

    Partition.Options partition() {
        return new Partition.Options(Stage.of(zero), dtype.equals("bf16") ? DType.BF16 : DType.F32,
                this::frozen, offload.isEmpty() ? Optional.empty() : Optional.of(Path.of(offload)));
    }

    /// The rows of a step's micro-batches on all ranks.
    List<Long> positions(long step, int microBatch) {
        List<Long> all = new ArrayList<>();
        long first = (step * grad_accum + microBatch) * batch_size;
        for (int i = 0; i < batch_size; i++) {
            all.add(first + i);
        }
        return all;
    }

    /// As JSON, for a checkpoint.
    public JsonObject json() {
        return GSON.toJsonTree(this).getAsJsonObject();
    }

    static AlignOptions read(JsonObject json) {
        try {
            AlignOptions o = GSON.fromJson(json, AlignOptions.class);
            if (o == null || o.method == null) {
                throw new IllegalArgumentException("options: those of an alignment run are expected");
            }
            return o;
        } catch (JsonParseException e) {
            throw new IllegalArgumentException("options: " + e.getMessage(), e);
        }
    }
}
