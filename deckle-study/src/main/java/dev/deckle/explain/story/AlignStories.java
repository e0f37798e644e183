package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.align.DpoLoss;
import dev.deckle.align.Gae;
import dev.deckle.align.GrpoLoss;
import dev.deckle.align.KlEstimator;
import dev.deckle.align.PpoLoss;
import dev.deckle.align.RewardModelLoss;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// From a language model to a policy.
final class AlignStories {
    private static final String GROUP = "alignment";

    private AlignStories() {}

    static List<Part> parts() {
        return List.of(
                new Part("reward-model", GROUP, "the chosen answer should score higher", RewardModelLoss.class,
                        Set.of("values"),
                        AlignStories::rewardModel),
                new Part("dpo", GROUP, "preferences without a reward model", DpoLoss.class, Set.of("values"),
                        AlignStories::dpo),
                new Part("kl", GROUP, "three estimates of how far a policy has moved", KlEstimator.class,
                        Set.of("values"),
                        AlignStories::kl),
                new Part("gae", GROUP, "advantages from rewards and values", Gae.class, Set.of("values"),
                        AlignStories::gae),
                new Part("ppo", GROUP, "a policy gradient that stops in time", PpoLoss.class, Set.of("values"),
                        AlignStories::ppo),
                new Part("grpo", GROUP, "an answer against its group; with DAPO, Dr. GRPO and GSPO", GrpoLoss.class,
                        Set.of("values"),
                        AlignStories::grpo));
    }

    private static float[] exactly(Options options, int count, double... otherwise) {
        float[] v = Small.values(options, otherwise);
        if (v.length != count) {
            throw Small.bad("--values", count + " numbers are expected");
        }
        return v;
    }

    private static Explanation rewardModel(Options options) {
        float[] v = exactly(options, 2, 1.5, 0.5);
        Tensor chosen = Tensor.of(new float[] {v[0]}).requireGrad();
        Tensor rejected = Tensor.of(new float[] {v[1]}).requireGrad();
        Story story = new Story("reward-model", "Reward model",
                "Learns scores from pairs: the chance that the first answer is "
                        + "preferred is the sigmoid of the difference.");
        story.given("Scores of the chosen and the rejected answer", "r_chosen", chosen, "r_rejected", rejected);
        Tensor loss = story.watch(() -> RewardModelLoss.forward(chosen, rejected));
        story.then("sub", "d", "Their difference", "d = r_chosen - r_rejected")
                .then("log_sigmoid", "log p", "The logarithm of the chance that it is so", "log σ(d)");
        story.result("The loss", "-log σ(d), the mean over pairs", "", "loss", loss);
        loss.backward();
        Tensor far = Tensor.of(new float[] {-200});
        return story.gradient("What the scores are told", "∂loss/∂r_chosen = -σ(-d)", "Little where the order is right "
                + "already.", "∂r_chosen", chosen.grad(), "∂r_rejected", rejected.grad())
                .mistake("In two steps", "-log(sigmoid(d)) at d = -200",
                        "The sigmoid is 0 in f32, its logarithm infinite, "
                                + "and its gradient not a number.",
                        "wrong", far.sigmoid().log().neg(), "right",
                        far.logSigmoid().neg())
                .tell();
    }

    private static Explanation dpo(Options options) {
        float[] v = exactly(options, 4, -10, -12, -11, -10.5);
        Tensor[] p = new Tensor[4];
        for (int i = 0; i < 4; i++) {
            p[i] = Tensor.of(new float[] {v[i]}).requireGrad();
        }
        double beta = 0.1;
        Story story =
                new Story("dpo", "Direct preference optimisation", "Raises the chosen answer against the rejected one, "
                        + "measured from where the reference stood; the reward is the policy's own log-ratio.");
        story.given("Log-probabilities of two whole answers, by the policy and by the reference", "policy_chosen", p[0],
                "policy_rejected", p[1], "ref_chosen", p[2], "ref_rejected", p[3]);
        Tensor loss = story.watch(() -> new DpoLoss(DpoLoss.Kind.SIGMOID, beta, 0).forward(p[0], p[1], p[2], p[3]));
        story.then("sub", "chosen", "How far the chosen one has risen", "log π(chosen) - log ref(chosen)")
                .then("sub", "rejected", "How far the rejected one has", "log π(rejected) - log ref(rejected)")
                .then("sub", "d", "The margin", "d = chosen - rejected")
                .then("Affine", "β d", "Times β", "β d, β = 0.1")
                .then("log_sigmoid", "log σ(β d)", "As in a reward model", "log σ(β d)");
        story.result("The loss", "-log σ(β d)", "log 2 = 0.6931 before anything has moved.", "loss", loss);
        loss.backward();
        return story.gradient("What the policy is told", "∂loss/∂log π(chosen) = -β σ(-β d)",
                "The reference is told nothing.", "∂policy_chosen", p[0].grad(), "∂policy_rejected", p[1].grad())
                .mistake("Without the reference", "-log σ(β (log π(chosen) - log π(rejected)))",
                        "Nothing then holds the policy near where it began.", "wrong",
                        p[0].detach().sub(p[1].detach()).mul(beta).logSigmoid().neg(), "right", loss)
                .tell();
    }

    private static Explanation kl(Options options) {
        float[] v = Small.values(options, -1, -2, -0.5);
        Tensor logp = Tensor.of(v, v.length);
        Tensor ref = logp.add(Tensor.of(spread(v.length)));
        Story story = new Story("kl", "Estimates of the divergence",
                "How far the policy is from the reference, from the tokens "
                        + "that the policy drew, one number a token.");
        story.given("Log-probabilities of drawn tokens", "policy", logp, "reference", ref);
        story.step("The log-ratio", "log r = log ref - log π", "", "log r", ref.sub(logp))
                .step("k1: right on average, of any sign", "-log r", "", "k1", KlEstimator.K1.of(logp, ref))
                .step("k2: its gradient is the right one", "(log r)² / 2", "", "k2", KlEstimator.K2.of(logp, ref))
                .result("k3: right on average and never negative", "r - 1 - log r", "GRPO's.", "k3",
                        KlEstimator.K3.of(logp, ref));
        return story.mistake("The ratio upside down", "1/r - 1 + log r",
                "That estimates the other divergence, for tokens of the "
                        + "other model.",
                "wrong", KlEstimator.K3.of(ref, logp), "right", KlEstimator.K3.of(logp, ref)).tell();
    }

    private static float[] spread(int n) {
        float[] s = new float[n];
        for (int i = 0; i < n; i++) {
            s[i] = (i % 3 - 1) * 0.5f;
        }
        return s;
    }

    private static Explanation gae(Options options) {
        float[] r = Small.values(options, 0, 0, 1);
        double[] rewards = new double[r.length];
        double[] values = new double[r.length];
        for (int t = 0; t < r.length; t++) {
            rewards[t] = r[t];
            values[t] = 0.5;
        }
        Gae gae = new Gae(0.99, 0.95);
        Gae.Result a = gae.of(rewards, values);
        Story story = new Story("gae", "Generalised advantage estimation",
                "How much better things went than expected, from the "
                        + "end backwards.");
        story.given("Rewards and expected values; γ = 0.99, λ = 0.95", "rewards", rewards, "values", values);
        double[] deltas = new Gae(0.99, 0).of(rewards, values).advantages();
        story.step("One step's surprise", "δ = r + γ V' - V, V' = 0 after the end", "This is λ = 0.", "δ", deltas)
                .step("Surprises to come count too", "A = δ + γ λ A'", "", "A", a.advantages())
                .result("What the value should have been", "returns = A + V", "", "returns", a.returns());
        double[] wrong = a.advantages().clone();
        wrong[wrong.length - 1] += 0.99 * values[values.length - 1];
        for (int t = wrong.length - 2; t >= 0; t--) {
            wrong[t] = deltas[t] + 0.99 * 0.95 * wrong[t + 1];
        }
        return story
                .mistake("A value after the end", "δ_T = r + γ V - V", "The episode is over: nothing follows.", "wrong",
                        wrong, "right", a.advantages())
                .tell();
    }

    private static Explanation ppo(Options options) {
        float[] v = Small.values(options, 0.5, -0.5, 0.1);
        Tensor old = Tensor.zeros(1, v.length).sub(1);
        Tensor now = old.add(Tensor.of(v, 1, v.length)).detach().requireGrad();
        Tensor advantages = Tensor.ones(1, v.length);
        Tensor mask = Tensor.ones(1, v.length);
        PpoLoss loss = new PpoLoss(0.2, 0.2);
        Story story = new Story("ppo", "Proximal policy optimisation",
                "Follows the advantage, but not past a ratio of 1 ± 0.2: "
                        + "beyond it, on the side that the advantage asks for, the gradient is zero.");
        story.given("Log-probabilities now and when the tokens were drawn; every advantage is 1", "logprobs", now,
                "old_logprobs", old, "advantages", advantages);
        Tensor value = story.watch(() -> loss.policy(now, old, advantages, mask));
        story.then("exp", "ratio", "How much likelier a token has become", "r = exp(log π - log π_old)")
                .then("mul", "-A r", "The plain objective", "-A r")
                .then("min", "clipped", "The ratio, kept near 1", "clip(r, 0.8, 1.2)")
                .then("mul", "-A clip(r)", "The careful one", "-A clip(r)")
                .then("max", "worse", "The worse of the two", "max(-A r, -A clip(r))");
        story.result("The loss", "the mean over tokens that count", "", "loss", value);
        value.backward();
        return story.gradient("What the log-probabilities are told", "-A r / n, or 0 where the careful one is "
                + "the worse", "", "∂logprobs",
                now.grad())
                .mistake("min once the sign is inside", "min(-A r, -A clip(r))",
                        "The bound then holds on the wrong side: the "
                                + "policy runs away where it should stop.",
                        "wrong",
                        story.get("-A r").minimum(story.get("-A clip(r)")).mean(), "right", value)
                .tell();
    }

    private static Explanation grpo(Options options) {
        float[] r = Small.values(options, 1, 0, 0, 1);
        int n = r.length;
        Tensor rewards = Tensor.of(r, n);
        float[] lengths = new float[2 * n];
        float[] change = new float[2 * n];
        for (int i = 0; i < n; i++) {
            lengths[2 * i] = 1;
            lengths[2 * i + 1] = i % 2; // every other answer has one token
            change[2 * i] = 0.3f;
            change[2 * i + 1] = -0.1f;
        }
        Tensor mask = Tensor.of(lengths, n, 2);
        Tensor old = Tensor.zeros(n, 2).sub(1);
        Tensor now = old.add(Tensor.of(change, n, 2)).detach().requireGrad();
        Story story = new Story("grpo", "Group relative policy optimisation",
                "Several answers to one prompt: each is measured "
                        + "against the group's mean, so that no value function is needed.");
        story.given("Rewards of the answers to one prompt; which tokens count; log-probabilities then and now",
                "rewards",
                rewards, "mask", mask, "old_logprobs", old, "logprobs", now);
        Tensor a = GrpoLoss.advantages(rewards, n, true);
        story.step("Advantages", "A = (r - mean) / (std + 0.0001), std with n - 1", "Were all rewards equal, "
                + "every A would be 0, and nothing would be learned.",
                "A", a);
        Tensor loss =
                story.watch(() -> loss(new GrpoLoss.Norm.EachSequence(), false).forward(now, old, Optional.empty(), a,
                        mask));
        story.then("exp", "ratio", "How much likelier each token has become", "w = exp(log π - log π_old)")
                .then("neg", "losses", "The careful objective of each token", "-min(w A, clip(w, 0.8, 1.2) A)");
        story.result("GRPO: a mean for each answer, then over answers", "1/B Σ (1/|o| Σ losses)",
                "A token of a long answer "
                        + "counts less.",
                "loss", loss);
        loss.backward();
        story.gradient("What the log-probabilities are told", "", "", "∂logprobs", now.grad());
        story.step("DAPO: every token alike (and a wider bound upwards, not shown)", "Σ losses / tokens", "", "loss",
                loss(new GrpoLoss.Norm.AllTokens(), false).forward(now, old, Optional.empty(), a, mask))
                .step("Dr. GRPO: a constant, and no std", "Σ losses / (B · 2), A = r - mean", "", "loss",
                        loss(new GrpoLoss.Norm.Constant(2), false).forward(now, old, Optional.empty(),
                                GrpoLoss.advantages(rewards, n, false), mask))
                .step("GSPO: one ratio for each answer", "w = exp(mean of log π - log π_old)", "", "loss",
                        loss(new GrpoLoss.Norm.EachSequence(), true).forward(now, old, Optional.empty(), a, mask));
        Tensor centred = rewards.sub(rewards.mean());
        return story
                .mistake("The biased standard deviation", "std with n", "PyTorch and TRL divide by n - 1; in a "
                        + "small group that is no small difference.",
                        "wrong", centred.div(centred.square().mean().sqrt().add(1e-4)), "right", a)
                .tell();
    }

    private static GrpoLoss loss(GrpoLoss.Norm norm, boolean sequence) {
        return new GrpoLoss(norm, sequence, 0.2, 0.2, 0);
    }
}
