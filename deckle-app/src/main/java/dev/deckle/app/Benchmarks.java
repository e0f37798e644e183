package dev.deckle.app;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
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

    /// @param weights the type of the second operand
    List<Figure> gemm(DType weights) {
        int[][] shapes = {{2048, 2048, 2048}, {3072, 1024, 384}, {3072, 384, 1024}, {512, 2048, 2048}, {64, 64, 64}};
        return Arrays.stream(shapes)
                .map(s -> new Figure(s[0] + "x" + s[1] + "x" + s[2], product(weights, s[0], s[1], s[2]), "gflops"))
                .toList();
    }

    /// GFLOP/s of a product that is large enough to be as fast as any.
    static double peak(DType weights) {
        return product(weights, 2048, 2048, 2048);
    }

    private static double product(DType weights, int m, int n, int k) {
        Tensor a = new Generator(1).randn(m, k);
        Tensor b = new Generator(2).randn(n, k).to(weights);
        double flops = 2.0 * m * n * k;
        double seconds = time(flops, () -> a.matmul(b.t()));
        try (Workspace _ = Workspace.open()) {
            Tensor row = a.slice(0, 1, 2).to(weights).to(DType.F32);
            double expected = row.mul(b.slice(0, 2, 3).to(DType.F32)).sum().item();
            require(Math.abs(a.matmul(b.t()).at(1, 2) - expected) < 1e-2, "a product is wrong");
        }
        return flops / seconds / 1e9;
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
