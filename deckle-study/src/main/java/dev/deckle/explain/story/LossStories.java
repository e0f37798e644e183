package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.nn.ClassWeights;
import dev.deckle.nn.CrossEntropy;
import dev.deckle.nn.FocalLoss;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// Losses of classification.
final class LossStories {
    private static final String GROUP = "losses";

    private LossStories() {}

    static List<Part> parts() {
        return List.of(
                new Part("cross-entropy", GROUP, "how surprised the model is by the truth", CrossEntropy.class,
                        Set.of("values"),
                        LossStories::crossEntropy),
                new Part("label-smoothing", GROUP, "a target that is not quite sure", CrossEntropy.class,
                        Set.of("values"),
                        LossStories::labelSmoothing),
                new Part("class-weights", GROUP, "rare classes count more: two means", ClassWeights.class, Set.of(),
                        LossStories::classWeights),
                new Part("focal", GROUP, "loses interest in what is already right", FocalLoss.class, Set.of("values"),
                        LossStories::focal));
    }

    private static Tensor logits(Options options) {
        float[] v = Small.values(options, 2, 1, 0);
        if (v.length < 2) {
            throw Small.bad("--values", "the logits of at least 2 classes are expected");
        }
        return Tensor.of(v, 1, v.length).requireGrad();
    }

    private static final Tensor FIRST = Tensor.of(new long[] {0});

    private static Explanation crossEntropy(Options options) {
        Tensor z = logits(options);
        Story story =
                new Story("cross-entropy", "Cross entropy", "The negative logarithm of the probability that the model "
                        + "gave to what happened. 0 if it was sure, and large if it was surprised.");
        story.given("Logits of one example; the right class is the first", "z", z);
        Tensor loss = story.watch(() -> CrossEntropy.mean().forward(z, FIRST));
        story.then("max", "m", "The largest logit", "m = max(z)")
                .then("sub", "z - m", "Shifted", "z - m")
                .then("exp", "e", "Exponentials", "e = exp(z - m)")
                .then("log", "log d", "The logarithm of their sum", "log d = log Σ e")
                .then("sub", "log p", "Log-probabilities, without rounding twice", "log p = z - m - log d")
                .then("Gather", "log p_y", "That of the right class", "log p_y");
        story.result("The loss", "loss = -log p_y", "exp(-loss) is the probability of the right class.", "loss",
                loss);
        loss.backward();
        story.gradient("What each logit is told", "∂loss/∂z = softmax(z) - onehot(y)",
                "The right one up, the others down, in proportion to their shares.", "∂loss/∂z", z.grad());
        Tensor twice = CrossEntropy.mean().forward(z.detach().softmax(-1), FIRST);
        return story.mistake("Softmax before the loss", "cross_entropy(softmax(z), y)",
                "The loss takes softmax itself: taken twice, it can never come below "
                        + "log(1 + (C - 1) / e), and gradients are faint.",
                "wrong", twice, "right", loss).tell();
    }

    private static Explanation labelSmoothing(Options options) {
        Tensor z = logits(options);
        int classes = z.dim(1);
        double e = 0.1;
        Story story =
                new Story("label-smoothing", "Label smoothing", "A tenth of the target is spread over all classes, the "
                        + "right one included, so that the model need not become ever more certain.");
        story.given("Logits; the right class is the first; e = 0.1", "z", z);
        Tensor target = Tensor.full(z.dtype(), e / classes, 1, classes);
        Tensor smooth = target.add(onehot(classes).mul(1 - e));
        story.step("The target", "t = (1 - e) onehot(y) + e / C", "", "t", smooth);
        story.step("Log-probabilities", "log p = log softmax(z)", "", "log p", z.detach().logSoftmax(-1));
        var loss = new CrossEntropy(Optional.empty(), -100, e, CrossEntropy.Reduction.MEAN);
        Tensor value = loss.forward(z, FIRST);
        story.result("The loss", "-Σ t log p", "", "loss", value, "without smoothing",
                CrossEntropy.mean().forward(z.detach(), FIRST));
        value.backward();
        story.gradient("What each logit is told", "softmax(z) - t", "0 at p = t: there is such a thing as too sure.",
                "∂loss/∂z", z.grad());
        Tensor others = onehot(classes).mul(-1).add(1).mul(e / (classes - 1)).add(onehot(classes).mul(1 - e));
        return story.mistake("Spread over the other classes only", "t_y = 1 - e",
                "PyTorch gives the right class 1 - e + e / C.", "wrong",
                others.mul(z.detach().logSoftmax(-1)).sum().neg(), "right", value).tell();
    }

    private static Tensor onehot(int classes) {
        float[] v = new float[classes];
        v[0] = 1;
        return Tensor.of(v, 1, classes);
    }

    private static Explanation classWeights(Options options) {
        Tensor labels = Tensor.of(new long[] {0, 0, 0, 1});
        Tensor z = Tensor.of(new float[] {2, 0, 1, 0, 0, 1, 1, 1}, 4, 2);
        Story story =
                new Story("class-weights", "Class weights", "Makes a rare class count as much as a frequent one.");
        story.given("Four examples of two classes", "labels", labels, "logits", z);
        Tensor w = ClassWeights.BALANCED.of(labels, 2);
        story.step("Balanced", "w_c = n / (C count_c)", "", "w", w)
                .step("Inverse", "w_c = 1 / count_c", "", "w", ClassWeights.INVERSE.of(labels, 2));
        Tensor each = CrossEntropy.weighted(w, CrossEntropy.Reduction.NONE).forward(z, labels);
        story.step("Weighted losses", "w_y · -log p_y, balanced", "", "losses", each);
        var pytorch = CrossEntropy.weighted(w, CrossEntropy.Reduction.MEAN);
        var notebook = CrossEntropy.weighted(w, CrossEntropy.Reduction.MEAN_OVER_EXAMPLES);
        story.step("The notebook's mean", "Σ losses / N", "", "loss", notebook.forward(z, labels));
        Tensor odd = Tensor.of(new float[] {1, 3});
        return story
                .result("PyTorch's mean", "Σ losses / Σ w_y", "Equal here, because balanced weights sum to N.", "loss",
                        pytorch.forward(z, labels))
                .mistake("One mean taken for the other", "weights [1, 3]: Σ w_y = 6, N = 4",
                        "F.cross_entropy(weight=w) is not (F.cross_entropy(reduction='none') * w[y]).mean().", "wrong",
                        CrossEntropy.weighted(odd, CrossEntropy.Reduction.MEAN_OVER_EXAMPLES).forward(z, labels),
                        "right", CrossEntropy.weighted(odd, CrossEntropy.Reduction.MEAN).forward(z, labels))
                .tell();
    }

    private static Explanation focal(Options options) {
        Tensor z = logits(options);
        Story story =
                new Story("focal", "Focal loss", "Cross entropy times a factor that vanishes as the example becomes "
                        + "easy, so that many easy examples do not drown a few hard ones.");
        story.given("Logits; the right class is the first; γ = 2, α = 1", "z", z);
        Tensor ce = CrossEntropy.mean().forward(z.detach(), FIRST);
        float p = (float) Math.exp(-ce.item());
        story.step("Cross entropy", "ce = -log p_y", "", "ce", ce)
                .step("The probability of the right class", "p_y = exp(-ce)", "", "p_y", p)
                .step("The factor", "(1 - p_y)^γ", "", "factor", (float) Math.pow(1 - p, 2));
        Tensor loss = new FocalLoss(1, 2, CrossEntropy.Reduction.MEAN).forward(z, FIRST);
        story.result("The loss", "α (1 - p_y)^γ ce", "", "loss", loss);
        loss.backward();
        return story
                .gradient("What each logit is told", "∂loss/∂z",
                        "Smaller than cross entropy's, and the factor's own slope "
                                + "is in it.",
                        "∂loss/∂z", z.grad())
                .mistake("The factor upside down", "p_y^γ ce", "Then easy examples count and hard ones do not.",
                        "wrong",
                        (float) (p * p * ce.item()), "right", loss)
                .tell();
    }
}
