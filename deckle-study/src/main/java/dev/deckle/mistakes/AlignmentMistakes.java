package dev.deckle.mistakes;

import dev.deckle.parity.Component;
import dev.deckle.parity.Config;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Losses of alignment by the formulas.
public final class AlignmentMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        NO_REFERENCE("the policy's own margin, not measured from where the reference stood"),
        CHOSEN_AND_REJECTED_SWAPPED("the model is taught to prefer what was rejected: one sign in a long line"),
        SUM_IN_PLACE_OF_MEAN("the sum over pairs: the rate then depends on the batch size"),
        BETA_OUTSIDE("beta log s(d) in place of log s(beta d): the loss is scaled, not the margin"),
        LOG_OF_SIGMOID("log(sigmoid(x)) in two steps is minus infinity at -800: use logsigmoid"),
        NO_LOGARITHM("the probability of being right itself: it hardly learns where it is wrong"),
        SQUARED_MARGIN("(chosen - rejected)^2 does not care which is larger"),
        SMALLER_FOR_LARGER("min where the sign is already inside: the loss of the bolder step is taken"),
        PADDING_COUNTED("a plain mean counts padding: the mask multiplies but does not divide"),
        NOT_CLIPPED("the ratio is never cut: a policy gradient without its brake"),
        VALUE_NOT_CLIPPED("the value function moves without its brake"),
        LOG_RATIO_FOR_RATIO("logp - logp_old without exp: near 0 where the ratio is near 1"),
        BIASED_DEVIATION("std over n in place of n - 1, numpy's default against PyTorch's"),
        NOT_CENTRED("rewards divided by the deviation but not measured from the group's mean"),
        EACH_SEQUENCE_ALIKE("means of sequences where the sum over all tokens was meant: long answers count less"),
        ALL_TOKENS_ALIKE("one mean over all tokens where each sequence should count the same"),
        ONE_EPSILON("epsilon_high is ignored: the upper bound is as near as the lower one"),
        TOKEN_RATIOS("one ratio a token where GSPO takes one a sequence"),
        KL_UPSIDE_DOWN("log r = logp - logp_ref: the fraction is turned over, k3 with it"),
        NO_KL("beta is taken and never used"),
        HALF_FORGOTTEN("(log r)^2 without the half: its gradient is twice the divergence's"),
        MINUS_ONE_FORGOTTEN("r - log r is 1 where the models agree; r - 1 - log r is 0"),
        ABSOLUTE_VALUE("|log r| is never negative as a divergence should be, and biased"),
        VALUE_AFTER_THE_END("the last value is used again after the end, where nothing follows"),
        ONE_STEP_ONLY("advantages are the deltas alone: the sum with gamma lambda is left out"),
        LAMBDA_FORGOTTEN("gamma alone carries the sum back: lambda = 1, whatever it was set to"),
        RETURNS_WITHOUT_VALUES("returns = advantages: the value function is taught what it lacks"),
        FORWARDS("the sum runs from the first step on: each advantage knows the past, not the future");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private AlignmentMistakes() {}

    /// log s(x), finite for any x.
    private static Tensor logSigmoid(Tensor x, Slip slip) {
        if (slip == Slip.LOG_OF_SIGMOID) {
            return x.neg().exp().add(1).reciprocal().log();
        }
        Tensor least = x.minimum(zero(x)); // min(x, 0) - log(1 + e^-|x|)
        return least.sub(x.abs().neg().exp().add(1).log());
    }

    /// Margins of the policy over the reference (n) to a loss.
    public static Tensor dpo(Tensor margins, String kind, double beta, Slip slip) {
        Tensor d = slip == Slip.CHOSEN_AND_REJECTED_SWAPPED ? margins.neg() : margins;
        Tensor losses = switch (kind) {
            case "sigmoid" -> slip == Slip.BETA_OUTSIDE ? logSigmoid(d, slip).mul(-beta)
                    : logSigmoid(d.mul(beta), slip).neg();
            case "hinge" -> d.mul(-beta).add(1).maximum(zero(d));
            case "ipo" -> d.sub(1 / (2 * beta)).square();
            default -> throw Config.unknown("loss_type", kind);
        };
        return slip == Slip.SUM_IN_PLACE_OF_MEAN ? losses.sum() : losses.mean();
    }

    /// Rewards of chosen and rejected answers (n) to a loss.
    public static Tensor reward(Tensor chosen, Tensor rejected, Slip slip) {
        Tensor d = chosen.sub(rejected);
        return switch (slip) {
            case CHOSEN_AND_REJECTED_SWAPPED -> logSigmoid(d.neg(), slip).neg().mean();
            case NO_LOGARITHM -> logSigmoid(d, slip).exp().neg().mean();
            case SQUARED_MARGIN -> d.square().neg().mean();
            case SUM_IN_PLACE_OF_MEAN -> logSigmoid(d, slip).neg().sum();
            default -> logSigmoid(d, slip).neg().mean();
        };
    }

    /// An estimate of KL(policy || reference) for each token.
    public static Tensor kl(Tensor logp, Tensor ref, String kind, Slip slip) {
        Tensor logR = slip == Slip.KL_UPSIDE_DOWN ? logp.sub(ref) : ref.sub(logp);
        return switch (kind) {
            case "k1" -> slip == Slip.ABSOLUTE_VALUE ? logR.abs() : logR.neg();
            case "k2" -> logR.square().mul(slip == Slip.HALF_FORGOTTEN ? 1 : 0.5);
            case "k3" -> logR.exp().sub(slip == Slip.MINUS_ONE_FORGOTTEN ? 0 : 1).sub(logR);
            default -> throw Config.unknown("kind", kind);
        };
    }

    /// Advantages and returns of one episode.
    public static double[][] gae(double[] rewards, double[] values, double gamma, double lambda, Slip slip) {
        int n = rewards.length;
        double[] advantages = new double[n];
        double[] returns = new double[n];
        double l = slip == Slip.LAMBDA_FORGOTTEN ? 1 : slip == Slip.ONE_STEP_ONLY ? 0 : lambda;
        double sum = 0;
        for (int step = 0; step < n; step++) {
            int t = slip == Slip.FORWARDS ? step : n - 1 - step;
            double end = slip == Slip.VALUE_AFTER_THE_END ? values[n - 1] : 0;
            double delta = rewards[t] + gamma * (t + 1 < n ? values[t + 1] : end) - values[t];
            sum = delta + gamma * l * sum;
            advantages[t] = sum;
            returns[t] = slip == Slip.RETURNS_WITHOUT_VALUES ? sum : sum + values[t];
        }
        return new double[][] {advantages, returns};
    }

    /// The policy's loss of PPO, all (B, T).
    public static Tensor ppoPolicy(Tensor logp, Tensor old, Tensor advantages, Tensor mask, double clip, Slip slip) {
        Tensor ratio = slip == Slip.LOG_RATIO_FOR_RATIO ? logp.sub(old) : logp.sub(old).exp();
        Tensor plain = ratio.mul(advantages).neg();
        Tensor cut = clip(ratio, 1 - clip, 1 + clip).mul(advantages).neg();
        return mean(switch (slip) {
            case NOT_CLIPPED -> plain;
            case SMALLER_FOR_LARGER -> plain.minimum(cut);
            default -> plain.maximum(cut);
        }, mask, slip);
    }

    /// The value function's loss of PPO.
    public static Tensor ppoValue(Tensor values, Tensor old, Tensor returns, Tensor mask, double clip, Slip slip) {
        Tensor plain = values.sub(returns).square();
        Tensor near = old.add(clip(values.sub(old), -clip, clip)).sub(returns).square();
        Tensor worse = slip == Slip.VALUE_NOT_CLIPPED ? plain : plain.maximum(near);
        return mean(worse, mask, slip).mul(slip == Slip.HALF_FORGOTTEN ? 1 : 0.5);
    }

    private static Tensor mean(Tensor x, Tensor mask, Slip slip) {
        return slip == Slip.PADDING_COUNTED ? x.mul(mask).mean() : x.mul(mask).sum().div(mask.sum());
    }

    private static Tensor clip(Tensor x, double low, double high) {
        return x.maximum(zero(x).add(low)).minimum(zero(x).add(high));
    }

    /// How much better each answer of one prompt is than its group.
    public static Tensor groupAdvantages(Tensor rewards, boolean scale, Slip slip) {
        Tensor centred = rewards.sub(rewards.mean());
        int n = slip == Slip.BIASED_DEVIATION ? rewards.dim(0) : rewards.dim(0) - 1;
        Tensor std = centred.square().sum().div(n).sqrt();
        Tensor from = slip == Slip.NOT_CENTRED ? rewards : centred;
        return scale ? from.div(std.add(1e-4)) : from;
    }

    private static Tensor zero(Tensor x) {
        return Tensor.zeros(x.dtype(), Shape.SCALAR);
    }

    static List<Exercise> exercises() {
        Tensor far = Tensor.of(new double[] {-800});
        Tensor none = Tensor.of(new double[] {0});
        return List.of(
                Exercise.of("dpo-loss").golden("dpo_loss", AlignmentMistakes::dpo, Slip.NONE,
                        List.of(Slip.NO_REFERENCE, Slip.CHOSEN_AND_REJECTED_SWAPPED, Slip.SUM_IN_PLACE_OF_MEAN,
                                Slip.BETA_OUTSIDE)),
                Exercise.of("reward-model-loss").golden("reward_model_loss", AlignmentMistakes::reward, Slip.NONE,
                        List.of(Slip.CHOSEN_AND_REJECTED_SWAPPED, Slip.NO_LOGARITHM, Slip.SQUARED_MARGIN,
                                Slip.SUM_IN_PLACE_OF_MEAN))
                        .numbers(() -> new double[] {800}, s -> reward(far, none, s).toDoubles(), Slip.NONE,
                                List.of(Slip.LOG_OF_SIGMOID)),
                Exercise.of("kl-estimator").golden("kl_estimator", AlignmentMistakes::kl, Slip.NONE,
                        List.of(Slip.KL_UPSIDE_DOWN, Slip.HALF_FORGOTTEN, Slip.MINUS_ONE_FORGOTTEN,
                                Slip.ABSOLUTE_VALUE)),
                Exercise.of("gae").golden("gae", AlignmentMistakes::gae, Slip.NONE,
                        List.of(Slip.VALUE_AFTER_THE_END, Slip.ONE_STEP_ONLY, Slip.LAMBDA_FORGOTTEN,
                                Slip.RETURNS_WITHOUT_VALUES, Slip.FORWARDS)),
                Exercise.of("ppo-loss").golden("ppo_loss", AlignmentMistakes::ppo, Slip.NONE,
                        List.of(Slip.SMALLER_FOR_LARGER, Slip.PADDING_COUNTED, Slip.NOT_CLIPPED,
                                Slip.VALUE_NOT_CLIPPED, Slip.LOG_RATIO_FOR_RATIO, Slip.HALF_FORGOTTEN)),
                Exercise.of("grpo-loss").golden("grpo_loss", AlignmentMistakes::grpo, Slip.NONE,
                        List.of(Slip.BIASED_DEVIATION, Slip.NOT_CENTRED, Slip.EACH_SEQUENCE_ALIKE,
                                Slip.ALL_TOKENS_ALIKE, Slip.ONE_EPSILON, Slip.TOKEN_RATIOS, Slip.KL_UPSIDE_DOWN,
                                Slip.NO_KL, Slip.NOT_CLIPPED, Slip.PADDING_COUNTED)));
    }

    private static Component dpo(Slip slip) {
        return r -> {
            Tensor policy = r.input("policy_chosen").sub(r.input("policy_rejected"));
            Tensor reference = r.buffer("ref_chosen").sub(r.buffer("ref_rejected"));
            return Map.of("y", dpo(slip == Slip.NO_REFERENCE ? policy : policy.sub(reference),
                    r.config().text("loss_type", "sigmoid"), r.config().real("beta"), slip));
        };
    }

    private static Component reward(Slip slip) {
        return r -> Map.of("y", reward(r.input("chosen"), r.input("rejected"), slip));
    }

    private static Component kl(Slip slip) {
        return r -> Map.of("y", kl(r.input("logprobs"), r.buffer("ref_logprobs"), r.config().text("kind", "k3"), slip));
    }

    private static Component gae(Slip slip) {
        return r -> {
            double[][] a = gae(r.input("rewards").toDoubles(), r.input("values").toDoubles(), r.config().real("gamma"),
                    r.config().real("lam"), slip);
            return Map.of("advantages", Tensor.of(a[0]).to(DType.F32), "returns", Tensor.of(a[1]).to(DType.F32));
        };
    }

    private static Component ppo(Slip slip) {
        return r -> {
            Tensor mask = r.buffer("mask");
            Map<String, Tensor> out = new LinkedHashMap<>();
            out.put("policy_loss", ppoPolicy(r.input("logprobs"), r.buffer("old_logprobs"), r.buffer("advantages"),
                    mask, r.config().real("cliprange"), slip));
            out.put("value_loss", ppoValue(r.input("values"), r.buffer("old_values"), r.buffer("returns"), mask,
                    r.config().real("cliprange_value"), slip));
            return out;
        };
    }

    private static Component grpo(Slip slip) {
        return r -> {
            Config c = r.config();
            String type = c.text("loss_type", "grpo");
            boolean sequence = c.text("importance_sampling_level", "token").equals("sequence");
            double low = c.real("epsilon");
            double high = c.real("epsilon_high", low);
            double beta = c.real("beta", 0);
            int longest = c.has("max_completion_length") ? c.integer("max_completion_length") : 0;
            Tensor mask = r.buffer("mask"); // (B, T)
            Tensor logp = r.input("logprobs");
            Tensor a = groupAdvantages(r.buffer("rewards"), c.flag("scale_rewards", true), slip).unsqueeze(1);
            Tensor counts = slip == Slip.PADDING_COUNTED ? Tensor.ones(mask.shape().toArray()) : mask;
            Tensor logRatio = logp.sub(r.buffer("old_logprobs"));
            if (sequence && slip != Slip.TOKEN_RATIOS) {
                logRatio = logRatio.mul(mask).sum(1, true).div(mask.sum(1, true)); // (B, 1)
            }
            Tensor ratio = logRatio.exp();
            Tensor cut = clip(ratio, 1 - low, 1 + (slip == Slip.ONE_EPSILON ? low : high));
            Tensor gain = slip == Slip.NOT_CLIPPED ? ratio.mul(a) : ratio.mul(a).minimum(cut.mul(a));
            Tensor losses = gain.neg(); // (B, T), or (B, 1)
            Optional<Tensor> ref = r.findBuffer("ref_logprobs");
            if (beta != 0 && slip != Slip.NO_KL) {
                losses = losses.add(kl(logp, ref.orElseThrow(), "k3", slip).mul(beta));
            }
            Tensor each = losses.mul(mask);
            boolean alike = type.equals("grpo") ? slip != Slip.ALL_TOKENS_ALIKE : slip == Slip.EACH_SEQUENCE_ALIKE;
            Tensor all = type.equals("dr_grpo") && slip != Slip.ALL_TOKENS_ALIKE
                    ? each.sum().div((double) mask.dim(0) * longest)
                    : each.sum().div(counts.sum());
            return Map.of("y", alike ? each.sum(1, true).div(counts.sum(1, true)).mean() : all);
        };
    }
}
