package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.explain.Step;
import dev.deckle.explain.Values;
import dev.deckle.optim.AdamW;
import dev.deckle.optim.CosineSchedule;
import dev.deckle.optim.GradientDescent;
import dev.deckle.optim.Sgd;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.DoubleUnaryOperator;

/// How parameters move.
final class OptimStories {
    private static final String GROUP = "optimizers";

    private OptimStories() {}

    static List<Part> parts() {
        return List.of(
                new Part("gradient-descent", GROUP, "downhill on x² + x + 1, by hand and by autograd",
                        GradientDescent.class, Set.of("values"),
                        OptimStories::gradientDescent),
                new Part("sgd", GROUP, "momentum: steps that remember", Sgd.class, Set.of("values"), OptimStories::sgd),
                new Part("adamw", GROUP, "each number its own step size", AdamW.class, Set.of("values"),
                        OptimStories::adamW),
                new Part("clipping", GROUP, "a long gradient made shorter, its direction kept", AdamW.class,
                        Set.of("values"),
                        OptimStories::clipping),
                new Part("cosine", GROUP, "the learning rate: up in a line, down a cosine", CosineSchedule.class,
                        Set.of(),
                        OptimStories::cosine));
    }

    private static Explanation gradientDescent(Options options) {
        float[] own = Small.values(options, 2);
        if (own.length != 1) {
            throw Small.bad("--values", "one number is expected: where to start");
        }
        double start = own[0];
        DoubleUnaryOperator slope = x -> 2 * x + 1;
        Story story = new Story("gradient-descent", "Gradient descent", "Go against the slope, a little at a time. The "
                + "smallest x² + x + 1 is at x = -0.5.");
        story.given("Where to start", "x", start);
        double[] path = new GradientDescent(0.3).path(slope, start, 10);
        story.step("By hand, ten steps of rate 0.3", "f'(x) = 2x + 1; x = x - 0.3 f'(x)", "", "x", path);
        Tensor x = Tensor.of(new float[] {(float) start}).requireGrad();
        double[] automatic = new double[11];
        try (Sgd optimizer = new Sgd(Map.of("x", x), 0, 0, false)) {
            for (int i = 0; i < 11; i++) {
                automatic[i] = Values.of(x).values().getFirst();
                x.square().add(x).add(1).sum().backward();
                optimizer.step(0.3);
            }
        }
        story.step("The same by autograd", "loss = x² + x + 1; loss.backward(); step", "", "x", automatic);
        story.result("After 100 steps", "x → -1/2", "", "x", new GradientDescent(0.3).path(slope, start, 100)[100]);
        return story.mistake("A rate above 2 / f''(x) = 1", "x = x - 1.1 (2x + 1)",
                "Every step lands further from -0.5 than the last, on the other side.", "wrong",
                new GradientDescent(1.1).path(slope, start, 6)).tell();
    }

    private static Tensor gradients(Options options) {
        float[] g = Small.values(options, 1, 1, 1, -1);
        return Tensor.of(g, g.length);
    }

    private static Explanation sgd(Options options) {
        Tensor all = gradients(options);
        Story story =
                new Story("sgd", "Gradient descent with momentum", "A running sum of the gradients: steps in the same "
                        + "direction grow, steps to and fro cancel.");
        story.given("One parameter at 0, the gradients that it will get, lr 0.1, momentum 0.9", "g", all);
        Tensor w = Tensor.of(new float[] {0}).requireGrad();
        double last = 0;
        try (Sgd optimizer = new Sgd(Map.of("w", w), 0.9, 0, false)) {
            for (int t = 0; t < all.dim(0); t++) {
                w.mul(all.at(t)).sum().backward();
                optimizer.step(0.1);
                Tensor velocity = optimizer.state().get("w");
                last = velocity.item();
                story.step("Step " + (t + 1), "v = 0.9 v + g; w = w - 0.1 v", "", "g", all.at(t), "v", velocity, "w",
                        w);
            }
        }
        story.result("Where it ends", "", "", "w", w);
        double average = 0;
        for (int t = 0; t < all.dim(0); t++) {
            average = 0.9 * average + 0.1 * all.at(t);
        }
        return story.mistake("An average in place of a sum", "v = 0.9 v + 0.1 g; shown is v after the last gradient",
                "Ten times smaller steps at the same rate.",
                "wrong", average, "right", (float) last).tell();
    }

    private static Explanation adamW(Options options) {
        Tensor all = gradients(options);
        Story story = new Story("adamw", "AdamW",
                "The mean of the gradients over the root of the mean of their squares: a step "
                        + "of about lr, whatever the gradient's size. Decay acts on the weight itself.");
        story.given("A matrix of one number, 1, the gradients that it will get; lr 0.1, β 0.9 and 0.999, ε 1e-8, "
                + "decay 0.1",
                "g",
                all);
        Tensor w = Tensor.of(new float[] {1}, 1, 1).requireGrad();
        double first = 1;
        var settings = new AdamW.Options(0.9, 0.999, 1e-8, 0.1);
        try (AdamW optimizer = new AdamW(Map.of("w", w), settings)) {
            for (int t = 0; t < all.dim(0); t++) {
                w.mul(all.at(t)).sum().backward();
                optimizer.step(0.1, 1);
                double m = optimizer.state().get("w.m").item();
                double v = optimizer.state().get("w.v").item();
                story.step("Step " + (t + 1),
                        "m = 0.9 m + 0.1 g; v = 0.999 v + 0.001 g²; w = w - lr 0.1 w - lr m̂ / (√v̂ + ε)",
                        t == 0 ? "m̂ = m / (1 - 0.9ᵗ) and v̂ = v / (1 - 0.999ᵗ): both began at 0." : "",
                        "m", (float) m, "v", (float) v, "m̂", (float) (m / (1 - Math.pow(0.9, t + 1))), "v̂",
                        (float) (v / (1 - Math.pow(0.999, t + 1))), "w", w);
                first = t == 0 ? w.item() : first;
            }
        }
        story.result("Where it ends", "", "", "w", w);
        double g = all.at(0);
        double uncorrected = 1 - 0.1 * 0.1 - 0.1 * 0.1 * g / (Math.sqrt(0.001 * g * g) + 1e-8);
        return story.mistake("No correction of the beginning", "w = w - lr 0.1 w - lr m / (√v + ε)",
                "m starts ten times too small and √v thirty times: the first step is three times too long.", "wrong",
                (float) uncorrected, "right", (float) first).tell();
    }

    private static Explanation clipping(Options options) {
        float[] v = Small.values(options, 3, 4);
        Tensor w = Tensor.zeros(v.length).requireGrad();
        Tensor g = Tensor.of(v, v.length);
        Story story =
                new Story("clipping", "Gradient clipping", "Where the vector of all gradients is longer than a bound, "
                        + "all of it is scaled down: the direction stays.");
        story.given("Gradients; the bound is 1", "g", g);
        w.mul(g).sum().backward();
        try (AdamW optimizer = new AdamW(Map.of("w", w), new AdamW.Options(0.9, 0.999, 1e-8, 0))) {
            double norm = optimizer.gradNorm();
            double scale = AdamW.clip(norm, 1);
            return story.step("Their length, over all parameters", "‖g‖ = √Σ g²", "", "norm", norm)
                    .step("The factor", "min(1, 1 / (‖g‖ + 0.000001))", "", "scale", (float) scale)
                    .result("Clipped", "g · scale", "", "clipped", g.mul(scale))
                    .mistake("Each number by itself", "min(max(g, -1), 1)", "That bends the direction.", "wrong",
                            g.minimum(Tensor.scalar(1)).maximum(Tensor.scalar(-1)), "right", g.mul(scale))
                    .tell();
        }
    }

    private static Explanation cosine(Options options) {
        var schedule = new CosineSchedule(1, 0.1, 4);
        double[] rates = new double[21];
        double[] restarts = new double[21];
        for (int t = 0; t <= 20; t++) {
            rates[t] = schedule.at(t, 20L);
            restarts[t] = schedule.withRestarts(t, 8, 1);
        }
        Story story =
                new Story("cosine", "Cosine annealing", "Warm up while the moments are unreliable; then come down "
                        + "slowly, fast, slowly, to a floor.");
        story.given("Peak 1, floor 0.1, 4 steps of warm-up, 20 in all", "peak", 1, "floor", 0.1);
        story.step("Up in a line", "lr = peak t / 4", "", "t = 0 ... 4", java.util.Arrays.copyOf(rates, 5))
                .step("Half way down", "p = (12 - 4) / (20 - 4) = 1/2; lr = floor + (peak - floor) (1 + cos πp) / 2",
                        "cos(π/2) = 0: the middle between peak and floor.", "lr", rates[12])
                .result("All steps", "0 at first, the floor at last", "", "lr", rates)
                .step("With restarts every 8 steps", "p starts again from 0", "", "lr", restarts);
        double[] wrong = new double[21];
        for (int t = 0; t <= 20; t++) {
            wrong[t] = t < 4 ? t / 4.0 : 0.1 + 0.9 * 0.5 * (1 + Math.cos(Math.PI * t / 20));
        }
        return story.mistake("The cosine over all steps", "p = t / T, warm-up included",
                "When the warm-up ends the cosine has already come down to 0.9141: the peak is never "
                        + "reached.",
                "wrong", wrong,
                "right",
                rates).tell();
    }
}
