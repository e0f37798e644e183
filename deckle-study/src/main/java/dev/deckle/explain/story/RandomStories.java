package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.random.Generator;
import java.util.List;
import java.util.Set;

/// PyTorch's random stream.
final class RandomStories {
    private RandomStories() {}

    static List<Part> parts() {
        return List.of(new Part("random", "random numbers", "PyTorch's stream: the same seed, the same numbers",
                Generator.class, Set.of("seed"), RandomStories::random));
    }

    private static Explanation random(Options options) {
        long seed = options.seed();
        Story story =
                new Story("random", "The Mersenne Twister", "624 words of state, stirred together every 624 draws. Who "
                        + "makes uniform and normal numbers of them in the same way gets the same network from "
                        + "the same seed.");
        story.given("torch.manual_seed(seed)", "seed", seed);
        Generator bits = new Generator(seed);
        double[] words = new double[4];
        for (int i = 0; i < words.length; i++) {
            words[i] = bits.nextInt() & 0xFFFFFFFFL;
        }
        story.step("The stream itself: 32 bits a draw", "y ^= y >>> 11; y ^= y << 7 & ...", "", "words", words)
                .step("Uniform: the lower 24 bits", "u = (word mod 2²⁴) / 2²⁴", "torch.rand(4)", "u",
                        new Generator(seed).rand(4))
                .step("Normal, fewer than 16: by pairs of doubles", "√(-2 log(1 - u₂)) cos 2πu₁, and sin for the next",
                        "torch.randn(4)", "z", new Generator(seed).randn(4))
                .step("Normal, 16 and more: by blocks", "element j is paired with j + 8",
                        "torch.randn(16): another stream, "
                                + "the same seed.",
                        "z", new Generator(seed).randn(16))
                .step("Integers: the remainder", "word mod 10", "torch.randint(0, 10, (6,))", "i",
                        new Generator(seed).randint(0, 10, 6))
                .result("A permutation: swapped from the front", "j = i + word mod (n - i)", "torch.randperm(6)",
                        "order",
                        new Generator(seed).randperm(6));
        return story.mistake("randn(4) as the first four of randn(16)", "randn(16)[:4]",
                "From 16 numbers on PyTorch draws in another order.", "wrong",
                new Generator(seed).randn(16).slice(0, 0, 4),
                "right", new Generator(seed).randn(4)).tell();
    }
}
