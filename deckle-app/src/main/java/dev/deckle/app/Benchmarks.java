package dev.deckle.app;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.models.Llama;
import dev.deckle.nn.Pass;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/// The measurements of `deckle bench`. Each checks a property of its result, so that a fast wrong answer is no figure.
final class Benchmarks {
    /// @param more other numbers about it, by their names in JSON
    /// @param unit the name in JSON: `gflops`, `tok_per_s`
    record Figure(String name, Map<String, Number> more, double value, String unit) {
        Figure(String name, double value, String unit) {
            this(name, Map.of(), value, unit);
        }
    }

    /// The sizes of the presets: vocabulary, width, layers, heads, batch, context.
    private record Size(int vocab, int hidden, int layers, int heads, int batch, int context) {}

    private static final int WARM_UP = 4;
    private static final int MEASURED = 8;

    private final Size size;

    Benchmarks(boolean small) {
        size = small ? new Size(65, 384, 6, 6, 12, 256) : new Size(32_000, 512, 8, 8, 4, 512);
    }

    private Llama model(int context) {
        int ffn = size.hidden * 8 / 3 / 64 * 64;
        return Llama.create(Llama.Config.of(size.vocab, size.hidden, ffn, size.layers, size.heads, size.heads, context,
                false), 0, 1);
    }

    /// Forward, backward, clipping and AdamW on random tokens: the median of 8 steps after 4.
    List<Figure> train() {
        try (Llama model = model(size.context);
                AdamW optimizer = new AdamW(model.parameters(), new AdamW.Options(0.9, 0.999, 1e-8, 0.01),
                        AdamW::isMatrix)) {
            Generator random = new Generator(1);
            double[] seconds = new double[MEASURED];
            double first = 0;
            double last = 0;
            for (int i = 0; i < WARM_UP + MEASURED; i++) {
                long[] x = ids(random, size.batch * size.context);
                long[] y = ids(random, size.batch * size.context);
                long start = System.nanoTime();
                try (Workspace _ = Workspace.open()) {
                    Tensor logits = model.forward(Tensor.of(x, size.batch, size.context), Pass.train(random));
                    Tensor loss = Functional.crossEntropy(logits.reshape(-1, size.vocab), Tensor.of(y), -100).mean();
                    loss.backward();
                    last = loss.item();
                }
                optimizer.step(3e-4, AdamW.clip(optimizer.gradNorm(), 1));
                if (i >= WARM_UP) {
                    seconds[i - WARM_UP] = (System.nanoTime() - start) / 1e9;
                }
                first = i == 0 ? last : first;
            }
            require(Math.abs(first - Math.log(size.vocab)) < 0.5 && last < first + 0.5,
                    "the loss of random tokens is " + first + " then " + last);
            return List.of(new Figure("train", size.batch * size.context / median(seconds), "tok_per_s"));
        }
    }

    /// @param weights the type of the second operand
    List<Figure> gemm(DType weights) {
        int[][] shapes = {{2048, 2048, 2048}, {3072, 1024, 384}, {3072, 384, 1024}, {512, 2048, 2048}, {64, 64, 64}};
        List<Figure> figures = new ArrayList<>();
        for (int[] s : shapes) {
            Tensor a = new Generator(1).randn(s[0], s[2]);
            Tensor b = new Generator(2).randn(s[1], s[2]).to(weights);
            double flops = 2.0 * s[0] * s[1] * s[2];
            double seconds = time(flops, () -> a.matmul(b.t()));
            try (Workspace _ = Workspace.open()) {
                Tensor row = a.slice(0, 1, 2).to(weights).to(DType.F32);
                double expected = row.mul(b.slice(0, 2, 3).to(DType.F32)).sum().item();
                require(Math.abs(a.matmul(b.t()).at(1, 2) - expected) < 1e-2, "a product is wrong");
            }
            figures.add(new Figure(s[0] + "x" + s[1] + "x" + s[2], flops / seconds / 1e9, "gflops"));
        }
        return figures;
    }

    List<Figure> attention() {
        List<Figure> figures = new ArrayList<>();
        for (int[] s : new int[][] {{12, 6, 256, 64}, {1, 6, 2048, 64}}) {
            Generator random = new Generator(1);
            Tensor q = random.randn(s[0], s[1], s[2], s[3]).requireGrad();
            Tensor k = random.randn(s[0], s[1], s[2], s[3]).requireGrad();
            Tensor v = random.randn(s[0], s[1], s[2], s[3]).requireGrad();
            double scale = 1 / Math.sqrt(s[3]);
            double flops = 2.0 * s[0] * s[1] * s[2] * (s[2] + 1) * s[3]; // two products, half of the scores each
            double forward = time(flops, () -> {
                try (NoGrad _ = NoGrad.open()) {
                    return Functional.attention(q, k, v, Optional.empty(), true, scale);
                }
            });
            double both = time(3.5 * flops, () -> {
                Tensor y = Functional.attention(q, k, v, Optional.empty(), true, scale);
                y.backward(Tensor.full(DType.F32, 1, s));
                return y;
            });
            String name = s[0] + "x" + s[1] + "x" + s[2] + "x" + s[3];
            figures.add(new Figure(name + " forward", flops / forward / 1e9, "gflops"));
            figures.add(new Figure(name + " backward", 2.5 * flops / (both - forward) / 1e9, "gflops"));
        }
        return figures;
    }

    /// The median time of a call, after warming up.
    private static double time(double flops, Supplier<Tensor> call) {
        int inner = (int) Math.max(1, 2e8 / flops);
        double[] seconds = new double[21];
        for (int i = -10; i < seconds.length; i++) {
            long start = System.nanoTime();
            for (int j = 0; j < inner; j++) {
                try (Workspace _ = Workspace.open()) {
                    call.get();
                }
            }
            seconds[Math.max(0, i)] = (System.nanoTime() - start) / 1e9 / inner;
        }
        return median(seconds);
    }

    private long[] ids(Generator random, int n) {
        long[] ids = new long[n];
        Arrays.setAll(ids, _ -> random.nextInt((long) size.vocab));
        return ids;
    }

    static double median(double[] x) {
        double[] s = x.clone();
        Arrays.sort(s);
        return s[s.length / 2];
    }

    static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalStateException("the measurement is worthless: " + otherwise);
        }
    }
}
