package dev.deckle.explain.story;

import dev.deckle.explain.Options;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Weights;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/// Small numbers that a person can check with a pencil: random ones are rounded to one decimal.
final class Small {
    private static final int MOST = 64;

    private Small() {}

    /// Normal numbers with one decimal.
    static Tensor numbers(Generator random, int... dims) {
        return rounded(random.randn(dims));
    }

    /// A layer whose parameters have one decimal.
    static <T> T layer(Generator random, Function<Weights, T> constructor) {
        ModelMemory memory = new ModelMemory(); // a few hundred bytes, given back with the process
        Weights w = Weights.init(memory, random);
        T layer = constructor.apply(w);
        w.finish().values().forEach(p -> rounded(p.detach()).copyInto(p));
        return layer;
    }

    static Tensor rounded(Tensor t) {
        float[] v = t.toFloats();
        for (int i = 0; i < v.length; i++) {
            v[i] = Math.round(v[i] * 10) / 10f;
        }
        return Tensor.of(v, v.length).reshape(t.shape());
    }

    /// The reader's numbers, or these.
    static float[] values(Options options, double... otherwise) {
        List<Double> v = options.values().orElseGet(() -> Arrays.stream(otherwise).boxed().toList());
        if (v.size() > MOST) {
            throw bad("--values", "at most " + MOST + " numbers can be shown");
        }
        float[] f = new float[v.size()];
        for (int i = 0; i < f.length; i++) {
            f[i] = v.get(i).floatValue();
            if (!Float.isFinite(f[i])) {
                throw bad("--values", v.get(i) + " is beyond f32 (3.4e38)");
            }
        }
        return f;
    }

    static IllegalArgumentException bad(String flag, String expected) {
        return new IllegalArgumentException(flag + ": " + expected);
    }

    /// A number without a needless point.
    static String plain(float x) {
        return x == Math.rint(x) && Math.abs(x) < 1e9 ? Long.toString((long) x) : Float.toString(x);
    }

    static String count(int n, String one, String many) {
        return n + " " + (n == 1 ? one : many);
    }
}
