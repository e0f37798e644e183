package dev.deckle.explain.page;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Step;
import dev.deckle.explain.Values;
import dev.deckle.explain.story.Parts;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// Explanations with what pages find hard: masks, many dimensions, long names, numbers that are none.
final class Samples {
    private Samples() {}

    /// The samples, and every part that there is.
    static List<Explanation> all() {
        List<Explanation> all = new ArrayList<>(List.of(softmax(), attention(), hard()));
        Parts.all().forEach(part -> all.add(part.explain(Options.defaults())));
        return all;
    }

    /// All steps of an explanation, but with something in each name that only escaping gets through.
    static Explanation hostile() {
        String evil = "</td><script>alert('\"&amp;{{css}}$1\\')</script>\u0000\u001b[31m";
        Values v = Values.of(new double[] {1, 2}, 1, 2);
        return new Explanation(evil, evil, evil, List.of(step(Step.Kind.STEP, evil, evil, evil, evil, v,
                "cube heads " + evil, Values.of(new double[] {1, 2, 3, 4}, 2, 1, 2), "one " + evil, Values.of(1))));
    }

    static Explanation softmax() {
        double[] x = {5, 1, 0};
        double[] e = Arrays.stream(x).map(v -> Math.exp(v - 5)).toArray();
        double sum = Arrays.stream(e).sum();
        double[] p = Arrays.stream(e).map(v -> v / sum).toArray();
        double[] g = {p[0] - 1, p[1], p[2]};
        return new Explanation("softmax", "Softmax",
                "Turns any numbers into probabilities: all positive, together 1, the order kept.",
                List.of(step(Step.Kind.INPUT, "The scores", "", "", "x", Values.of(x)),
                        step(Step.Kind.STEP, "The largest score", "m = maxⱼ xⱼ", "It is taken away so that exp cannot "
                                + "overflow; the result does not change.", "m", Values.of(5)),
                        step(Step.Kind.STEP, "Exponentials", "eᵢ = exp(xᵢ − m)", "", "e", Values.of(e), "sum",
                                Values.of(sum)),
                        step(Step.Kind.OUTPUT, "Each one’s share", "pᵢ = eᵢ / Σⱼ eⱼ", "", "p", Values.of(p), "loss",
                                Values.of(9.78002879)),
                        step(Step.Kind.GRADIENT, "Of the negative log-probability of class 0", "∂L/∂xᵢ = pᵢ − [i = 0]",
                                "", "grad x", Values.of(g)),
                        step(Step.Kind.MISTAKE, "Without taking the maximum away", "exp(1000) / Σⱼ exp(xⱼ)",
                                "exp(1000) is infinite, and infinity by infinity is not a number.", "exp",
                                Values.of(new double[] {Double.POSITIVE_INFINITY, Math.E, 1}), "p",
                                Values.of(new double[] {Double.NaN, 0, 0}), "sum", Values.of(Double.NaN))));
    }

    private static Values perHead(double[] values) {
        return Values.of(values, 1, 2, 4, 4).named(List.of("batch", "head", "query", "key"));
    }

    static Explanation attention() {
        double[] scores = DoubleStream.iterate(0.37, v -> Math.sin(v * 7 + 1) * 1.8).limit(32).toArray();
        double[] mask = IntStream.range(0, 16)
                .mapToDouble(i -> i % 4 > i / 4 ? Double.NEGATIVE_INFINITY : 0)
                .toArray();
        double[] masked = IntStream.range(0, 32).mapToDouble(i -> scores[i] + mask[i % 16]).toArray();
        double[] weights = new double[32];
        for (int r = 0; r < 8; r++) {
            double sum = 0;
            for (int c = 0; c < 4; c++) {
                sum += Math.exp(masked[r * 4 + c]);
            }
            for (int c = 0; c < 4; c++) {
                weights[r * 4 + c] = Math.exp(masked[r * 4 + c]) / sum;
            }
        }
        return new Explanation("attention", "Scaled dot-product attention",
                "Each position looks at the positions before it and takes from them what fits: a weighted mean "
                        + "of their "
                        + "values, with weights from how well query and key agree.",
                List.of(step(Step.Kind.STEP, "How well each query and key agree", "S = Q·Kᵀ / √d", "", "scores",
                        perHead(scores)),
                        step(Step.Kind.STEP, "No position sees what comes after it", "Sᵢⱼ = −∞ where j > i",
                                "The mask is added to the scores before the softmax.", "mask", Values.of(mask, 4, 4),
                                "masked scores", perHead(masked)),
                        step(Step.Kind.OUTPUT, "Weights: each row sums to 1", "P = softmax(S)", "", "weights",
                                perHead(weights)),
                        step(Step.Kind.MISTAKE, "Masked after the softmax", "P = softmax(S) ⊙ mask",
                                "The rows no longer sum to 1.", "row sums",
                                Values.of(new double[] {.31, .52, .77, 1}))));
    }

    static Explanation hard() {
        double[] many = IntStream.range(0, 120).mapToDouble(i -> (i - 60) * Math.pow(10, i % 9 - 6)).toArray();
        double[] wide = IntStream.range(0, 40 * 50).mapToDouble(i -> i / 7.0 - 100).toArray();
        String name = "a_name_that_is_longer_than_any_that_a_developer_in_his_right_mind_would_give_to_a_tensor";
        return new Explanation("hard", "What is hard to show",
                "Long names, many dimensions, nothing at all: " + name + ".",
                List.of(step(Step.Kind.INPUT, "Four dimensions " + name, name + " = " + name, name, "x",
                        Values.of(many, 2, 3, 4, 5)),
                        step(Step.Kind.STEP, "Wide and high", "手撕 α̂", "", "wide", Values.of(wide, 40, 50), "row",
                                Values.of(wide), "cubes", Values.of(wide, 20, 4, 5, 5)),
                        step(Step.Kind.STEP, "Five dimensions", "", "", "five", Values.of(many, 2, 1, 3, 4, 5),
                                "three", Values.of(many, 3, 5, 8)),
                        step(Step.Kind.STEP, "A sentence is enough", "", "Nothing is computed."),
                        step(Step.Kind.OUTPUT, "Single numbers", "", "", name, Values.of(-1.5e-30), "count",
                                Values.of(7),
                                "one", Values.of(new double[] {-0.0}, 1, 1), "empty", Values.of(new double[0], 0, 3),
                                "large", Values.of(-123456789.25), "all", Values.of(new double[] {Double.NaN,
                                    Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY, -0.0, Double.MIN_VALUE,
                                    Double.MAX_VALUE, 1e9, 0.1f}, 2, 4))));
    }

    static Step step(Step.Kind kind, String title, String formula, String note, Object... namesAndValues) {
        Map<String, Values> tensors = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            tensors.put((String) namesAndValues[i], (Values) namesAndValues[i + 1]);
        }
        return new Step(kind, title, formula, tensors, note);
    }

    static Stream<Double> numbers(Explanation e) {
        return e.steps().stream().flatMap(s -> s.tensors().values().stream()).flatMap(v -> v.values().stream());
    }
}
