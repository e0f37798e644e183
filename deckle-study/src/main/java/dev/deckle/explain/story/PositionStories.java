package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.nn.RopeScaling;
import dev.deckle.nn.RotaryEmbedding;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Set;

/// Positions.
final class PositionStories {
    private PositionStories() {}

    static List<Part> parts() {
        return List.of(new Part("rope", "positions", "each pair turned by an angle that grows with the position",
                RotaryEmbedding.class, Set.of("values"), PositionStories::rope));
    }

    private static Explanation rope(Options options) {
        float[] v = Small.values(options, 1, 2, 3, 4);
        int width = v.length;
        if (width < 2 || width % 2 != 0) {
            throw Small.bad("--values", "an even number of them is expected: positions turn pairs");
        }
        int positions = 4;
        Tensor one = Tensor.of(v, 1, 1, 1, width);
        Tensor x = one.expand(1, 1, positions, width).contiguous(); // the same vector at every position
        var half = new RotaryEmbedding(width, 10_000, new RopeScaling.None(), RotaryEmbedding.Layout.HALF);
        var inter = new RotaryEmbedding(width, 10_000, new RopeScaling.None(), RotaryEmbedding.Layout.INTERLEAVED);
        Story story =
                new Story("rope", "Rotary position embedding", "Position p turns each pair of numbers by p times its "
                        + "own frequency. The product of a turned query and a turned key then depends on their "
                        + "distance alone.");
        story.axes("batch head position width", "y").axes("batch head position position", "scores");
        story.given("One vector, at positions 0 to 3", "x", one);
        double[] frequency = new double[width / 2];
        for (int i = 0; i < frequency.length; i++) {
            frequency[i] = Math.pow(10_000, -2.0 * i / width);
        }
        story.step("Frequencies, from fast to slow", "θᵢ = 10000^(-2i/D)", "In radians a position.", "θ", frequency);
        Tensor y = story.watch(() -> half.rotate(x, 0));
        story.output("Rope", "y", "Half layout: pairs (i, i + D/2), as in Hugging Face's checkpoints",
                "y₁ = x₁ cos pθ - x₂ sin pθ; y₂ = x₂ cos pθ + x₁ sin pθ");
        story.step("Interleaved layout: pairs (2i, 2i + 1), as in Meta's and DeepSeek's",
                "the same angles, other pairs", "",
                "y", inter.rotate(x, 0));
        Tensor scores = y.matmul(y.t());
        story.step("Products of the turned vectors with each other", "y yᵀ",
                "Equal along each diagonal: only the distance counts.", "scores", scores);
        Tensor fresh = half.rotate(one, 0);
        Tensor right = half.rotate(one, 3);
        return story.mistake("Decoding that starts at position 0 again", "rope(q, 0) at step t",
                "With a cache the new token stands at position T₀ + t; its product with the cached keys 0, 1 and "
                        + "2 must be "
                        + "that of position 3.",
                "wrong", product(fresh, y), "right", product(right, y)).tell();
    }

    private static Tensor product(Tensor q, Tensor y) {
        return q.matmul(y.slice(2, 0, 3).t());
    }

}
