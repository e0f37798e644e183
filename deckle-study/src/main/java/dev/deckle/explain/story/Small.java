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
        float[] f = new float[v.size()];
        for (int i = 0; i < f.length; i++) {
            f[i] = v.get(i).floatValue();
        }
        return f;
    }

    static IllegalArgumentException bad(String flag, String expected) {
        return new IllegalArgumentException(flag + ": " + expected);
    }
}
