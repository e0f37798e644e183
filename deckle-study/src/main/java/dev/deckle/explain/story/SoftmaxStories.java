package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.autograd.Definitions;
import dev.deckle.autograd.NoGrad;
import dev.deckle.kernel.FlashAttention;
import dev.deckle.memory.Workspace;
import dev.deckle.nn.Activations;
import dev.deckle.nn.OnlineSoftmax;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/// Softmax, softmax one key at a time, and attention by tiles.
final class SoftmaxStories {
    private static final String GROUP = "softmax and attention kernels";

    private SoftmaxStories() {}

    static List<Part> parts() {
        return List.of(
                new Part("softmax", GROUP, "scores to probabilities, without overflow", Activations.class,
                        Set.of("values"),
                        SoftmaxStories::softmax),
                new Part("online-softmax", GROUP, "softmax-weighted values, one key at a time", OnlineSoftmax.class,
                        Set.of("values"),
                        SoftmaxStories::online),
                new Part("flash-attention", GROUP, "attention by tiles, memory linear in the length",
                        FlashAttention.class, Set.of("seed"),
                        SoftmaxStories::flash));
    }

    private static Explanation softmax(Options options) {
        float[] v = Small.values(options, 5, 1, 0);
        Tensor x = Tensor.of(v, v.length).requireGrad();
        Story story =
                new Story("softmax", "Softmax", "Turns scores into probabilities: larger scores get larger shares, "
                        + "and the shares sum to 1.");
        story.given("Scores", "x", x);
        Tensor y = story.watch(() -> x.softmax(-1));
        story.then("max", "m", "The largest score", "m = max(x)")
                .then("sub", "x - m", "Shifted, so that the largest is 0", "x - m",
                        "The result is the same, because e^(x - m) = e^x / e^m; but e^(x - m) is never above 1.")
                .then("exp", "e", "Exponentials", "e = exp(x - m)")
                .then("sum", "d", "Their sum", "d = Σ e")
                .output("Softmax", "y", "Each one's share", "y = e / d");
        y.slice(0, 0, 1).sum().backward();
        story.gradient("What moves the first probability", "∂y₀/∂xⱼ = y₀ (δ₀ⱼ - yⱼ)",
                "They sum to 0: raising every score alike changes nothing.", "∂y₀/∂x", x.grad());
        Tensor large = Tensor.of(new float[] {1000, 999, 0});
        return story.mistake("Exponentials first", "exp(x) / Σ exp(x)",
                "e^1000 is infinite in f32 (above 88.7), and infinity / infinity is not a number.",
                "x", large, "wrong", Activations.naiveSoftmax(large, -1), "right", large.softmax(-1)).tell();
    }

    private static Explanation online(Options options) {
        float[] scores = Small.values(options, 5, 1, 0);
        double[] values = new double[scores.length];
        Arrays.setAll(values, j -> j == 0 ? 10 : 1);
        Story story =
                new Story("online-softmax", "Online softmax", "A query's attention, one key at a time: three numbers "
                        + "are kept, and no list of scores. FlashAttention does this with blocks of keys.");
        story.given("One query, its scores with the keys, and the keys' values", "scores",
                Tensor.of(scores), "values", values);
        OnlineSoftmax state = new OnlineSoftmax(1);
        double before = Double.NEGATIVE_INFINITY;
        for (int j = 0; j < scores.length; j++) {
            state.accept(scores[j], values[j]);
            double scale = Math.exp(before - state.max());
            story.step("Key " + j + ", score " + Small.plain(scores[j]),
                    "m = max(m, s); a = exp(m_before - m); d = a d + exp(s - m); o = a o + exp(s - m) v",
                    scale == 1 || j == 0 ? "" : "A larger score: what was gathered is scaled down by a.",
                    "m", state.max(), "a", scale, "d", state.denominator(), "o", state.numerator()[0]);
            before = state.max();
        }
        story.result("The weighted mean", "y = o / d", "The same as softmax(scores) · values, in one pass.", "y",
                state.result()[0]);
        OnlineSoftmax ascending = new OnlineSoftmax(1);
        double wrong = 0;
        for (int j = scores.length - 1; j >= 0; j--) { // from the other end, where the maximum does grow
            ascending.accept(scores[j], values[j]);
            wrong += Math.exp(scores[j] - ascending.max()) * values[j];
        }
        return story.mistake("o is not scaled when the maximum grows", "o = o + exp(s - m) v",
                "It goes unnoticed while the largest score comes first: here the keys come in reverse order.",
                "wrong", wrong / ascending.denominator(), "right", ascending.result()[0]).tell();
    }

    private static Explanation flash(Options options) {
        int t = 4;
        int width = 2;
        int block = 2;
        Generator random = new Generator(options.seed());
        Tensor q = Small.numbers(random, 1, 1, t, width);
        Tensor k = Small.numbers(random, 1, 1, t, width);
        Tensor v = Small.numbers(random, 1, 1, t, width);
        double scale = 1 / Math.sqrt(width);
        Story story = new Story("flash-attention", "FlashAttention", "Attention over blocks of keys, each with its own "
                + "softmax, merged by the rule of online softmax. The (T, T) matrix of weights never exists.");
        story.axes("batch head position width", "q", "k", "v", "y", "dq");
        story.given("Queries, keys and values of one head", "q", q, "k", k, "v", v);
        Tensor scores = q.matmul(k.t()).mul(scale);
        int row = t - 1;
        OnlineSoftmax whole = new OnlineSoftmax(width);
        for (int from = 0; from < t; from += block) {
            OnlineSoftmax part = new OnlineSoftmax(width);
            double[] s = new double[block];
            for (int j = from; j < from + block; j++) {
                s[j - from] = scores.at(0, 0, row, j);
                part.accept(s[j - from], v.at(0, 0, j, 0), v.at(0, 0, j, 1));
            }
            whole.merge(part);
            story.step("The last query meets keys " + from + " to " + (from + block - 1),
                    "scores of the block; then m = max(m, m_block), d and o scaled to it and added", "",
                    "scores", s, "m", whole.max(), "d", whole.denominator(), "o", whole.numerator());
        }
        story.step("What the backward pass keeps of a row: one number", "lse = m + ln d",
                "With it each weight is computed again when it is needed: p = exp(s - lse).", "lse", whole.logSumExp());
        Tensor y = story.watch(() -> Functional.attention(q, k, v, Optional.empty(), false, scale));
        story.output("Attention", "y", "The kernel's result, for all queries", "y = softmax(q kᵀ / √D) v");
        story.step("The same row, block by block", "o / d", "", "last row of y", whole.result());
        Tensor qg = q.detach().requireGrad();
        Functional.attention(qg, k, v, Optional.empty(), false, scale).sum().backward();
        story.gradient("Backward, tile by tile", "dS = p (dO vᵀ - Σ dO·O); dq = dS k / √D", "Here dO is 1 "
                + "everywhere.", "dq", qg.grad());
        double[][] memory = memory();
        return story.step("Memory of the step, in bytes, as the workspace counts it",
                "kernel: grows with T; weights written out: grows with T²", "One head of width 8.", "T", memory[0],
                "kernel", memory[1], "written out", memory[2])
                .mistake("Blocks added up as they are", "Σ over blocks of softmax(block) v",
                        "Each block's weights sum to 1 by themselves: two blocks count double.", "wrong",
                        blockwise(scores, v, row, block), "right", whole.result())
                .tell();
    }

    /// Lengths, and the most memory in use by the kernel and by the definition at each.
    private static double[][] memory() {
        double[] lengths = {128, 256, 512};
        double[][] bytes = {lengths, new double[3], new double[3]};
        for (int i = 0; i < lengths.length; i++) {
            int n = (int) lengths[i];
            Tensor x = new Generator(1).randn(1, 1, n, 8);
            Op.Attention op = new Op.Attention(x, x, x, Optional.empty(), false, 0, 1, false, Tensor.empty(x.dtype(),
                    Shape.of(1, 1, n)));
            bytes[1][i] = used(() -> Functional.attention(x, x, x, Optional.empty(), false, 1));
            bytes[2][i] = used(() -> Definitions.of(op).orElseThrow());
        }
        return bytes;
    }

    private static double used(Supplier<Tensor> work) {
        try (NoGrad _ = NoGrad.open(); Workspace step = Workspace.open()) {
            work.get();
            return step.usedBytes();
        }
    }

    private static double[] blockwise(Tensor scores, Tensor v, int row, int block) {
        Tensor sum = Tensor.zeros(1, 2);
        for (int from = 0; from < v.dim(2); from += block) {
            Tensor s = scores.select(0, 0).select(0, 0).slice(0, row, row + 1).slice(1, from, from + block);
            sum = sum.add(s.softmax(-1).matmul(v.select(0, 0).select(0, 0).slice(0, from, from + block)));
        }
        return sum.toDoubles();
    }
}
