package dev.deckle.parity;

import dev.deckle.align.DpoLoss;
import dev.deckle.align.Gae;
import dev.deckle.align.GrpoLoss;
import dev.deckle.align.KlEstimator;
import dev.deckle.align.PpoLoss;
import dev.deckle.align.RewardModelLoss;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Activations;
import dev.deckle.nn.Attended;
import dev.deckle.nn.AttentionMask;
import dev.deckle.nn.BatchNorm;
import dev.deckle.nn.ClassWeights;
import dev.deckle.nn.CrossEntropy;
import dev.deckle.nn.Dropout;
import dev.deckle.nn.FeedForward;
import dev.deckle.nn.FocalLoss;
import dev.deckle.nn.GroupedQueryAttention;
import dev.deckle.nn.LatentQueryAttention;
import dev.deckle.nn.LayerNorm;
import dev.deckle.nn.Linear;
import dev.deckle.nn.Mlp;
import dev.deckle.nn.Pass;
import dev.deckle.nn.RmsNorm;
import dev.deckle.nn.RopeScaling;
import dev.deckle.nn.RotaryEmbedding;
import dev.deckle.nn.SelfAttention;
import dev.deckle.nn.SwiGluMlp;
import dev.deckle.nn.Weights;
import dev.deckle.optim.AdamW;
import dev.deckle.optim.CosineSchedule;
import dev.deckle.optim.Sgd;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// Our parts under the names of the golden cases: each reads its settings and calls the class that models use.
public final class Components {
    private static final Map<String, Component> ALL = new LinkedHashMap<>();
    private static final Map<String, String> NORM = Map.of("weight", "gamma", "bias", "beta");

    private Components() {}

    static {
        activation("relu", Tensor::relu);
        activation("sigmoid", Tensor::sigmoid);
        activation("tanh", Tensor::tanh);
        activation("swish", Tensor::silu);
        activation("gelu", Tensor::gelu);
        activation("gelu_tanh", Tensor::geluTanh);
        ALL.put("leaky_relu", r -> y(Activations.leakyRelu(r.input("x"), r.config().real("alpha"))));
        ALL.put("elu", r -> y(Activations.elu(r.input("x"), r.config().real("alpha"))));
        ALL.put("softmax", r -> y(r.input("x").softmax(r.config().integer("dim"))));
        ALL.put("log_softmax", r -> y(r.input("x").logSoftmax(r.config().integer("dim"))));
        ALL.put("mlp", r -> y(new Mlp(r.weights(Map.of()), r.config().integer("input_size"),
                r.config().integer("hidden_size"), r.config().integer("output_size")).forward(r.input("x"))));
        ALL.put("relu_ffn", r -> feedForward(r, Tensor::relu));
        ALL.put("gelu_ffn", r -> feedForward(r, Tensor::gelu));
        ALL.put("gelu_tanh_ffn", r -> feedForward(r, Tensor::geluTanh));
        ALL.put("swiglu_ffn", r -> y(new SwiGluMlp(r.weights(Map.of()), r.config().integer("hidden_size"),
                r.config().integer("intermediate_size")).forward(r.input("x"))));
        ALL.put("layer_norm", r -> y(new LayerNorm(r.weights(NORM), r.config().integer("hidden_size"),
                r.config().real("eps")).forward(r.input("x"))));
        ALL.put("rms_norm", r -> y(new RmsNorm(r.weights(NORM), r.config().integer("hidden_size"),
                r.config().real("eps")).forward(r.input("x"))));
        ALL.put("batch_norm", Components::batchNorm);
        ALL.put("self_attention", Components::selfAttention);
        ALL.put("multi_head_attention", Components::groupedQueryAttention);
        ALL.put("multi_query_attention", Components::groupedQueryAttention);
        ALL.put("grouped_query_attention", Components::groupedQueryAttention);
        ALL.put("latent_query_attention", r -> attended(new LatentQueryAttention(r.weights(Map.of()),
                r.config().integer("hidden_size"), r.config().integer("head_num"), r.config().integer("latent_len"),
                new Dropout(0)).forwardWithWeights(r.input("x"), r.find("mask"), Pass.evaluate())));
        ALL.put("scaled_dot_product_attention", Components::scaledDotProductAttention);
        ALL.put("rope", Components::rope);
        ALL.put("cross_entropy", r -> y(new CrossEntropy(r.findBuffer("weight"),
                r.config().whole("ignore_index", -100), r.config().real("label_smoothing", 0),
                reduction(r.config())).forward(r.input("logits"), r.input("target"))));
        ALL.put("weighted_cross_entropy", r -> {
            CrossEntropy.Reduction mean = reduction(r.config());
            return y(CrossEntropy.weighted(r.buffer("class_weights"), mean == CrossEntropy.Reduction.MEAN
                    ? CrossEntropy.Reduction.MEAN_OVER_EXAMPLES
                    : mean).forward(r.input("logits"), r.input("target")));
        });
        ALL.put("focal_loss", r -> y(new FocalLoss(alpha(r), r.config().real("gamma"), reduction(r.config()))
                .forward(r.input("logits"), r.input("target"))));
        ALL.put("class_weights", r -> y(r.config().choice("method", ClassWeights.class, ClassWeights.BALANCED)
                .of(r.input("labels"), r.config().integer("num_classes"))));
        ALL.put("adamw", Components::adamW);
        ALL.put("sgd", Components::sgd);
        ALL.put("cosine_schedule", Components::cosineSchedule);
        ALL.put("torch_generator", Components::generator);
        ALL.put("kl_estimator", r -> y(r.config().choice("kind", KlEstimator.class, KlEstimator.K3)
                .of(r.input("logprobs"), r.buffer("ref_logprobs"))));
        ALL.put("dpo_loss", r -> y(new DpoLoss(r.config().choice("loss_type", DpoLoss.Kind.class, DpoLoss.Kind.SIGMOID),
                r.config().real("beta"), r.config().real("label_smoothing", 0)).forward(r.input("policy_chosen"),
                        r.input("policy_rejected"), r.buffer("ref_chosen"), r.buffer("ref_rejected"))));
        ALL.put("reward_model_loss", r -> y(RewardModelLoss.forward(r.input("chosen"), r.input("rejected"))));
        ALL.put("gae", Components::gae);
        ALL.put("ppo_loss", Components::ppo);
        ALL.put("grpo_loss", Components::grpo);
    }

    /// @throws IllegalArgumentException if there is none of that name
    public static Component named(String name) {
        Component c = ALL.get(name);
        if (c == null) {
            throw new IllegalArgumentException("component " + name + " is not known here");
        }
        return c;
    }

    private static Map<String, Tensor> y(Tensor y) {
        return Map.of("y", y);
    }

    private static Map<String, Tensor> attended(Attended a) {
        return Map.of("y", a.output(), "weights", a.weights());
    }

    private static void activation(String name, UnaryOperator<Tensor> f) {
        ALL.put(name, r -> y(f.apply(r.input("x"))));
    }

    private static Map<String, Tensor> feedForward(GoldenCase.Run r, UnaryOperator<Tensor> activation) {
        return y(new FeedForward(r.weights(Map.of()), r.config().integer("hidden_size"),
                r.config().integer("intermediate_size"), activation, new Dropout(0)).forward(r.input("x"),
                        Pass.evaluate()));
    }

    private static Map<String, Tensor> batchNorm(GoldenCase.Run r) {
        Config c = r.config();
        var layer = new BatchNorm(r.weights(NORM), c.integer("num_features"), c.real("eps"), c.real("momentum"),
                c.flag("unbiased_running_var", true) ? BatchNorm.Variance.UNBIASED : BatchNorm.Variance.BIASED);
        return y(layer.forward(r.input("x"),
                c.flag("training", false) ? Pass.train(new Generator(0)) : Pass.evaluate()));
    }

    private static Map<String, Tensor> selfAttention(GoldenCase.Run r) {
        int hidden = r.config().integer("hidden_size");
        int stage = r.config().integer("stage");
        Tensor x = r.input("x");
        Weights w = r.weights(Map.of());
        Dropout none = new Dropout(0);
        return attended(switch (stage) {
            case 1 -> new SelfAttention.Separate(w, hidden).forward(x);
            case 2 -> new SelfAttention.Fused(w, hidden).forward(x);
            case 3 -> new SelfAttention.Masked(w, hidden, none).forward(x, r.find("mask"), Pass.evaluate());
            case 4 -> {
                var layer = new SelfAttention.Complete(w, hidden, none);
                Attended steps = layer.forwardWithWeights(x, r.find("mask"), Pass.evaluate());
                yield new Attended(layer.forward(x, r.find("mask"), Pass.evaluate()), steps.weights());
            }
            default -> throw Config.unknown("stage", Integer.toString(stage));
        });
    }

    /// The output comes through the fused kernel, the weights from the steps.
    private static Map<String, Tensor> groupedQueryAttention(GoldenCase.Run r) {
        Config c = r.config();
        int heads = c.integer("head_num");
        var config = GroupedQueryAttention.Config.grouped(c.integer("hidden_size"), heads, c.integer("kv_head_num"));
        var layer = new GroupedQueryAttention(r.weights(Map.of()),
                c.flag("fused_qkv", false) ? config.withFusedQkv() : config);
        Attended steps = layer.forwardWithWeights(r.input("x"), r.find("mask"), Pass.evaluate());
        return attended(new Attended(layer.forward(r.input("x"), r.find("mask"), Pass.evaluate()), steps.weights()));
    }

    private static Map<String, Tensor> scaledDotProductAttention(GoldenCase.Run r) {
        String causal = r.config().text("causal", "none");
        if (!causal.equals("none") && !causal.equals("bottom_right")) {
            throw Config.unknown("causal", causal);
        }
        Tensor q = r.input("q");
        Tensor k = r.input("k");
        Optional<Tensor> mask = r.find("mask").map(m -> AttentionMask.additive(
                AttentionMask.visible(m, q.dim(0), q.dim(1), q.dim(2), k.dim(2)), q.dtype()));
        Optional<Tensor> bias = r.find("bias");
        Optional<Tensor> added = mask.isPresent() && bias.isPresent() ? Optional.of(bias.get().add(mask.get()))
                : bias.or(() -> mask);
        double scale = r.config().real("scale", 1 / Math.sqrt(q.dim(3)));
        return y(Functional.attention(q, k, r.input("v"), added, causal.equals("bottom_right"), scale));
    }

    private static Map<String, Tensor> rope(GoldenCase.Run r) {
        var layout = r.config().choice("layout", RotaryEmbedding.Layout.class, RotaryEmbedding.Layout.HALF);
        var rope = new RotaryEmbedding(r.config().integer("dim"), r.config().real("base"), new RopeScaling.None(),
                layout);
        Tensor positions = r.input("position_ids");
        return Map.of("q", rope.rotate(r.input("q"), positions), "k", rope.rotate(r.input("k"), positions));
    }

    private static CrossEntropy.Reduction reduction(Config c) {
        return switch (c.text("reduction", "mean")) {
            case "mean" -> CrossEntropy.Reduction.MEAN;
            case "sum" -> CrossEntropy.Reduction.SUM;
            case "none" -> CrossEntropy.Reduction.NONE;
            case String other -> throw Config.unknown("reduction", other);
        };
    }

    /// A number or one for each class in the settings, or a buffer of these.
    private static Tensor alpha(GoldenCase.Run r) {
        List<Double> set = r.config().reals("alpha");
        return r.findBuffer("alpha").orElseGet(() -> switch (set.size()) {
            case 0 -> Tensor.scalar(1);
            case 1 -> Tensor.scalar(set.getFirst());
            default -> Tensor.of(set.stream().mapToDouble(d -> d).toArray()).to(DType.F32);
        });
    }

    private static Map<String, Tensor> adamW(GoldenCase.Run r) {
        Config c = r.config();
        Tensor w = r.parameter("w");
        double clip = c.real("clip_grad_norm", 0);
        var options = new AdamW.Options(c.real("beta1"), c.real("beta2"), c.real("eps"), c.real("weight_decay"));
        Map<String, Tensor> out = new LinkedHashMap<>();
        try (AdamW optimizer = new AdamW(Map.of("w", w), options)) {
            for (int i = 0; r.find("grad" + i).isPresent(); i++) {
                w.mul(r.input("grad" + i).detach()).sum().backward();
                double norm = optimizer.gradNorm();
                optimizer.step(c.real("lr"), AdamW.clip(norm, clip));
                out.put("step" + i, w.keep());
                if (clip > 0) {
                    out.put("norm" + i, Tensor.scalar(norm));
                }
            }
        }
        return out;
    }

    private static Map<String, Tensor> sgd(GoldenCase.Run r) {
        Config c = r.config();
        Tensor w = r.parameter("w");
        Map<String, Tensor> out = new LinkedHashMap<>();
        try (Sgd optimizer = new Sgd(Map.of("w", w), c.real("momentum", 0), c.real("weight_decay", 0),
                c.flag("nesterov", false))) {
            for (int i = 0; r.find("grad" + i).isPresent(); i++) {
                w.mul(r.input("grad" + i).detach()).sum().backward();
                optimizer.step(c.real("lr"));
                out.put("step" + i, w.keep());
            }
        }
        return out;
    }

    private static Map<String, Tensor> cosineSchedule(GoldenCase.Run r) {
        Config c = r.config();
        int total = c.integer("total_steps");
        if (total < 0 || total > 1 << 24) {
            throw Config.unknown("total_steps", Integer.toString(total));
        }
        var schedule = new CosineSchedule(c.real("max_lr"), c.real("min_lr", 0), c.integer("warmup_steps"));
        double[] rates = new double[total + 1];
        for (int step = 0; step <= total; step++) {
            rates[step] = schedule.at(step, total);
        }
        return y(Tensor.of(rates, total + 1));
    }

    /// The stream of one seed: the settings list what is drawn, in order. What is drawn a second time, or has no name
    /// of its own among the outputs, is called `randn_after` and so on.
    private static Map<String, Tensor> generator(GoldenCase.Run r) {
        Generator g = new Generator(r.config().whole("seed", 0));
        Map<String, Tensor> out = new LinkedHashMap<>();
        for (String drawn : r.config().texts("order")) {
            String kind = drawn.split(" ")[0];
            int[] n = sizes(drawn);
            if (kind.equals("linear")) {
                linear(g, n[0], n[1], out);
                continue;
            }
            int last = n[n.length - 1];
            String own = kind + last;
            out.put(r.expects(own) && !out.containsKey(own) ? own : kind + "_after", switch (kind) {
                case "randn" -> g.randn(n);
                case "rand" -> g.rand(n);
                case "randint" -> g.randint(n[0], n[1], last);
                case "randperm" -> g.randperm(last);
                default -> throw Config.unknown("order", drawn);
            });
        }
        return out;
    }

    /// The numbers after a word: `randint 0 5 9`.
    private static int[] sizes(String drawn) {
        int words = drawn.startsWith("randint ") ? 4 : drawn.startsWith("linear ") ? 3 : 2;
        if (!drawn.matches("[a-z]+( -?\\d{1,9})+") || drawn.split(" ").length < words) {
            throw Config.unknown("order", drawn);
        }
        return Arrays.stream(drawn.split(" ")).skip(1).mapToInt(Integer::parseInt).toArray();
    }

    private static void linear(Generator g, int in, int outputs, Map<String, Tensor> out) {
        try (ModelMemory memory = new ModelMemory()) {
            Weights w = Weights.init(memory, g);
            new Linear(w, in, outputs, true);
            w.finish().forEach((name, t) -> out.put("linear_" + name, t.keep()));
        }
    }

    /// Each row (T) of (..., T) by itself.
    private static Map<String, Tensor> gae(GoldenCase.Run r) {
        Gae gae = new Gae(r.config().real("gamma"), r.config().real("lam"));
        Tensor rewards = r.input("rewards");
        double[] all = rewards.toDoubles();
        double[] values = r.input("values").toDoubles();
        double[] advantages = new double[all.length];
        double[] returns = new double[all.length];
        int t = rewards.dim(-1);
        for (int from = 0; from < all.length; from += t) {
            Gae.Result a = gae.of(Arrays.copyOfRange(all, from, from + t), Arrays.copyOfRange(values, from, from + t));
            System.arraycopy(a.advantages(), 0, advantages, from, t);
            System.arraycopy(a.returns(), 0, returns, from, t);
        }
        int[] shape = rewards.shape().toArray();
        return Map.of("advantages", Tensor.of(advantages, shape).to(DType.F32), "returns",
                Tensor.of(returns, shape).to(DType.F32));
    }

    private static Map<String, Tensor> ppo(GoldenCase.Run r) {
        PpoLoss loss = new PpoLoss(r.config().real("cliprange"), r.config().real("cliprange_value"));
        Tensor mask = r.buffer("mask");
        return Map.of(
                "policy_loss",
                loss.policy(r.input("logprobs"), r.buffer("old_logprobs"), r.buffer("advantages"), mask),
                "value_loss",
                loss.value(r.input("values"), r.buffer("old_values"), r.buffer("returns"), mask));
    }

    /// All completions of a case answer one prompt, unless it says how many make a group.
    private static Map<String, Tensor> grpo(GoldenCase.Run r) {
        Config c = r.config();
        String level = c.text("importance_sampling_level", "token");
        if (!level.equals("token") && !level.equals("sequence")) {
            throw Config.unknown("importance_sampling_level", level);
        }
        int longest = (int) c.whole("max_completion_length", r.input("logprobs").dim(-1));
        GrpoLoss.Norm norm = switch (c.text("loss_type", "grpo")) {
            case "grpo" -> new GrpoLoss.Norm.EachSequence();
            case "dapo", "bnpo" -> new GrpoLoss.Norm.AllTokens();
            case "dr_grpo" -> new GrpoLoss.Norm.Constant(longest);
            case String other -> throw Config.unknown("loss_type", other);
        };
        double epsilon = c.real("epsilon");
        var loss = new GrpoLoss(norm, level.equals("sequence"), epsilon, c.real("epsilon_high", epsilon),
                c.real("beta", 0));
        Tensor rewards = r.buffer("rewards");
        int group = (int) c.whole("num_generations", rewards.dim(0));
        Tensor advantages = GrpoLoss.advantages(rewards, group, c.flag("scale_rewards", true));
        return y(loss.forward(r.input("logprobs"), r.buffer("old_logprobs"), r.findBuffer("ref_logprobs"), advantages,
                r.buffer("mask")));
    }
}
