package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.nn.BatchNorm;
import dev.deckle.nn.LayerNorm;
import dev.deckle.nn.Pass;
import dev.deckle.nn.RmsNorm;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Set;

/// The three norms.
final class NormStories {
    private static final String GROUP = "norms";

    private NormStories() {}

    static List<Part> parts() {
        return List.of(
                new Part("layer-norm", GROUP, "each row to mean 0 and variance 1", LayerNorm.class, Set.of("values"),
                        NormStories::layerNorm),
                new Part("rms-norm", GROUP, "each row to root mean square 1", RmsNorm.class, Set.of("values"),
                        NormStories::rmsNorm),
                new Part("batch-norm", GROUP, "each column to mean 0 and variance 1, over the batch", BatchNorm.class,
                        Set.of("seed"),
                        NormStories::batchNorm));
    }

    private static Tensor row(Options options) {
        float[] v = Small.values(options, 1, 2, 4, 5);
        return Tensor.of(v, 1, v.length).requireGrad();
    }

    private static Explanation layerNorm(Options options) {
        Tensor x = row(options);
        int width = x.dim(1);
        double eps = 1e-5;
        var layer = Small.layer(new Generator(1), w -> new LayerNorm(w, width, eps));
        Story story =
                new Story("layer-norm", "Layer normalisation", "Brings each row to mean 0 and variance 1, whatever "
                        + "came before, so that the next layer always sees numbers of the same size.");
        story.given("One row; weight is 1 and bias 0 at first", "x", x);
        Tensor y = story.watch(() -> layer.forward(x));
        story.skip("sum")
                .then("Affine", "mean", "The mean of the row", "μ = Σ x / n")
                .then("sub", "x - μ", "Centred", "x - μ")
                .skip("sum")
                .then("Affine", "var", "The variance, divided by n: the biased one", "σ² = Σ (x - μ)² / n")
                .then("rsqrt", "1/σ", "One over its root, with a little added inside", "1 / √(σ² + ε), ε = 0.00001")
                .output("LayerNorm", "y", "Normalised, scaled and shifted", "y = (x - μ) / σ · weight + bias");
        y.slice(1, 0, 1).sum().backward();
        story.gradient("What moves the first result", "∂y₀/∂x", "They sum to 0: raising the whole row changes nothing.",
                "∂y₀/∂x", x.grad());
        Tensor centred = x.detach().sub(x.detach().mean(-1, true));
        Tensor unbiased = centred.square().sum(-1, true).div(Math.max(1, width - 1));
        return story.mistake("The unbiased variance", "σ² = Σ (x - μ)² / (n - 1)",
                "torch.var divides by n - 1 unless it is told not to: every result is a little too small.", "wrong",
                centred.mul(unbiased.add(eps).rsqrt()), "right", y).tell();
    }

    private static Explanation rmsNorm(Options options) {
        Tensor x = row(options);
        int width = x.dim(1);
        double eps = 1e-6;
        var layer = Small.layer(new Generator(1), w -> new RmsNorm(w, width, eps));
        Story story =
                new Story("rms-norm", "Root mean square normalisation", "Layer normalisation without the mean: one "
                        + "sum less, and as good in practice.");
        story.given("One row; weight is 1 at first", "x", x);
        Tensor y = story.watch(() -> layer.forward(x));
        story.then("mul", "x²", "Squares", "x²")
                .skip("sum")
                .then("Affine", "mean square", "Their mean", "Σ x² / n")
                .then("rsqrt", "1/rms", "One over the root", "1 / √(mean + ε), ε = 0.000001")
                .output("RmsNorm", "y", "Each number in terms of the row's size", "y = x / rms · weight");
        y.slice(1, 0, 1).sum().backward();
        Tensor plain = x.detach();
        return story.gradient("What moves the first result", "∂y₀/∂x", "", "∂y₀/∂x", x.grad())
                .mistake("ε outside of the root", "x / (√mean + ε)",
                        "Nothing to be seen on this row; for a row of numbers near zero, such as 0.0001, it is "
                                + "the difference between 0.0995 and 0.9901.",
                        "wrong", small(1e-4, eps, true), "right", small(1e-4, eps, false), "this row, wrong",
                        plain.div(plain.square().mean(-1, true).sqrt().add(eps)))
                .tell();
    }

    private static double small(double x, double eps, boolean outside) {
        return outside ? x / (Math.sqrt(x * x) + eps) : x / Math.sqrt(x * x + eps);
    }

    private static Explanation batchNorm(Options options) {
        Generator random = new Generator(options.seed());
        Tensor x = Small.numbers(random, 4, 2);
        BatchNorm[] layer = new BatchNorm[1];
        Tensor[] running = new Tensor[2];
        Small.layer(random, w -> {
            layer[0] = new BatchNorm(w, 2, 1e-5, 0.1, BatchNorm.Variance.UNBIASED);
            running[0] = w.finish().get("running_mean");
            running[1] = w.finish().get("running_var");
            return layer[0];
        });
        Story story =
                new Story("batch-norm", "Batch normalisation", "Brings each column (channel) to mean 0 and variance 1 "
                        + "over the examples of the batch; in evaluation it uses running statistics instead.");
        story.given("Four examples of two channels; running mean 0 and variance 1", "x", x);
        Tensor y = story.watch(() -> layer[0].forward(x, Pass.train(random)));
        story.skip("sum")
                .then("Affine", "mean", "Each channel's mean over the batch", "μ = Σ x / n")
                .skip("sum")
                .then("Affine", "var", "Its variance, the biased one", "σ² = Σ (x - μ)² / n")
                .step("The running statistics move a tenth of the way",
                        "running = 0.9 running + 0.1 batch; the variance that enters is σ² n / (n - 1)",
                        "PyTorch normalises with the biased variance and remembers the unbiased one.", "running_mean",
                        running[0], "running_var", running[1]);
        story.result("Training: normalised with the batch's own statistics", "y = (x - μ) / √(σ² + ε) · weight + bias",
                "",
                "y", y);
        story.step("Evaluation: with the running ones", "y = (x - running_mean) / √(running_var + ε) · weight + bias",
                "An example's result no longer depends on its neighbours.", "y in evaluation",
                layer[0].forward(x, Pass.evaluate()));
        Tensor lone = x.slice(0, 0, 1);
        return story.mistake("The batch's statistics in evaluation", "batch of one: x - μ = 0",
                "An example by itself gives 0, whatever it is: model.eval() was forgotten. PyTorch refuses such "
                        + "a batch in training.",
                "x", lone, "wrong",
                lone.sub(lone.mean(0, true)), "right", layer[0].forward(lone, Pass.evaluate())).tell();
    }
}
