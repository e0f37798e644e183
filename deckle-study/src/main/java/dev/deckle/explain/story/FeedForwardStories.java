package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.nn.Activations;
import dev.deckle.nn.HandWrittenMlp;
import dev.deckle.nn.Mlp;
import dev.deckle.nn.SwiGluMlp;
import dev.deckle.nn.Weights;
import dev.deckle.memory.ModelMemory;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Activations and the layers around them.
final class FeedForwardStories {
    private static final String GROUP = "feed-forward";

    private FeedForwardStories() {}

    static List<Part> parts() {
        return List.of(
                new Part("activations", GROUP, "the usual bends, side by side", Activations.class, Set.of("values"),
                        FeedForwardStories::activations),
                new Part("gelu", GROUP, "x times the chance that a normal number is below x", Activations.class,
                        Set.of("values"),
                        FeedForwardStories::gelu),
                new Part("mlp", GROUP, "two layers, forward and backward by hand", Mlp.class, Set.of("seed"),
                        FeedForwardStories::mlp),
                new Part("swiglu", GROUP, "one projection gates another", SwiGluMlp.class, Set.of("seed"),
                        FeedForwardStories::swiGlu));
    }

    private static Explanation activations(Options options) {
        float[] v = Small.values(options, -2, -1, 0, 1, 2);
        Tensor x = Tensor.of(v, v.length);
        Story story =
                new Story("activations", "Activation functions", "Without a bend between them, many linear layers are "
                        + "one linear layer.");
        story.given("Some numbers; the default ones are the notebook's", "x", x);
        story.step("Sigmoid: to between 0 and 1", "1 / (1 + e⁻ˣ)", "", "sigmoid", x.sigmoid())
                .step("Tanh: to between -1 and 1", "(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)", "", "tanh", x.tanh())
                .step("ReLU: negative ones to 0", "max(0, x)", "", "relu", x.relu())
                .step("Leaky ReLU: they leak", "x if x > 0 else α x", "", "α = 0.01", Activations.leakyRelu(x, 0.01),
                        "α = 0.2", Activations.leakyRelu(x, 0.2))
                .step("ELU: they level out", "x if x > 0 else α (eˣ - 1), α = 1", "", "elu", Activations.elu(x, 1))
                .step("Swish: smooth, and not monotonic", "x · sigmoid(x)", "", "swish", x.silu())
                .step("GELU: the same idea with the normal distribution", "x Φ(x)", "", "gelu", x.gelu());
        Tensor far = Tensor.of(new float[] {-1000, 0, 1000});
        return story.result("Softmax: all together to probabilities", "eˣ / Σ eˣ", "", "softmax", x.softmax(-1))
                .mistake("Tanh by its formula", "(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)",
                        "Both exponentials overflow at 1000: infinity "
                                + "over infinity.",
                        "x", far, "wrong",
                        far.exp().sub(far.neg().exp()).div(far.exp().add(far.neg().exp())), "right", far.tanh())
                .tell();
    }

    private static Explanation gelu(Options options) {
        float[] v = Small.values(options, -3, -1, -0.5, 0, 1, 3);
        Tensor x = Tensor.of(v, v.length).requireGrad();
        Story story =
                new Story("gelu", "Gaussian error linear unit", "Lets a number through by how likely a normal number "
                        + "is below it: ReLU with soft shoulders.");
        story.given("Some numbers", "x", x);
        story.step("The chance", "Φ(x) = (1 + erf(x / √2)) / 2", "", "Φ(x)",
                x.detach().mul(Math.sqrt(0.5)).erf().add(1).div(2));
        Tensor y = story.watch(() -> x.gelu());
        story.output("gelu", "y", "The number times its chance", "y = x Φ(x)");
        story.step("By tanh, as GPT-2 has it", "0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))",
                "Close, not equal: at -3 it is -0.00364 in place of -0.00405.", "by tanh",
                x.detach().geluTanh(), "difference", x.detach().geluTanh().sub(y.detach()));
        y.sum().backward();
        return story
                .gradient("Its slope", "Φ(x) + x φ(x)", "0 near -0.75 and below 0 left of it: GELU is not "
                        + "monotonic.", "∂y/∂x", x.grad())
                .mistake("x · sigmoid(x)", "silu in its place",
                        "That is Swish; 1.702 x inside would come close to GELU.",
                        "wrong", x.detach().silu(), "right", y)
                .tell();
    }

    private static Explanation mlp(Options options) {
        Generator random = new Generator(options.seed());
        Tensor x = Tensor.of(new float[] {2, -3, -2, 2}, 2, 2).requireGrad();
        ModelMemory memory = new ModelMemory();
        Weights w = Weights.init(memory, random);
        Mlp layer = new Mlp(w, 2, 3, 2);
        Map<String, Tensor> p = w.finish();
        // large enough to turn units off
        p.values().forEach(t -> Small.numbers(random, t.shape().toArray()).copyInto(t));
        Story story =
                new Story("mlp", "Multilayer perceptron", "Linear, bend, linear: the smallest network that can learn "
                        + "what is not linear.");
        story.given("Two examples of width 2, and the weights", "x", x, "W_1", p.get("fc1.weight"), "b_1",
                p.get("fc1.bias"), "W_2", p.get("fc2.weight"), "b_2", p.get("fc2.bias"));
        Tensor y = story.watch(() -> layer.forward(x));
        story.then("Linear", "z", "First layer", "z = x W_1ᵀ + b_1")
                .then("relu", "h", "The bend", "h = max(0, z)")
                .output("Linear", "y", "Second layer", "y = h W_2ᵀ + b_2");
        y.sum().backward();
        HandWrittenMlp hand = new HandWrittenMlp(2, 3, 2, new java.util.Random(1));
        transpose(p.get("fc1.weight"), hand.w1);
        transpose(p.get("fc2.weight"), hand.w2);
        System.arraycopy(p.get("fc1.bias").toDoubles(), 0, hand.b1, 0, 3);
        System.arraycopy(p.get("fc2.bias").toDoubles(), 0, hand.b2, 0, 2);
        double[][] ones = {{1, 1}, {1, 1}};
        hand.forward(new double[][] {{x.at(0, 0), x.at(0, 1)}, {x.at(1, 0), x.at(1, 1)}});
        HandWrittenMlp.Gradients g = hand.backward(ones);
        return story
                .gradient("Backward by hand, with dy = 1",
                        "dW_2 = dyᵀ h; dh = dy W_2 where h > 0; dW_1 = dhᵀ x; dx = dh W_1",
                        "", "dW_1", flat(g.w1()).t(), "db_1", Tensor.of(g.b1()).to(DType.F32), "dW_2", flat(g.w2()).t(),
                        "db_2",
                        g.b2(), "dx", flat(g.x()))
                .gradient("The same by autograd", "y.sum().backward()", "",
                        "fc1.weight",
                        p.get("fc1.weight").grad(), "fc1.bias", p.get("fc1.bias").grad(), "fc2.weight",
                        p.get("fc2.weight").grad(), "fc2.bias", p.get("fc2.bias").grad(), "x", x.grad())
                .mistake("No derivative of ReLU on the way back", "dh = dy W_2 everywhere; shown is db_1",
                        "Units that were off learn too.", "wrong",
                        Tensor.ones(2, 2).matmul(p.get("fc2.weight").detach())
                                .sum(0, false),
                        "right", Tensor.of(g.b1()).to(DType.F32))
                .tell();
    }

    private static void transpose(Tensor weight, double[][] into) {
        for (int i = 0; i < into.length; i++) {
            for (int j = 0; j < into[i].length; j++) {
                into[i][j] = weight.at(j, i);
            }
        }
    }

    private static Tensor flat(double[][] m) {
        double[] all = Arrays.stream(m).flatMapToDouble(Arrays::stream).toArray();
        return Tensor.of(all, m.length, m[0].length).to(DType.F32);
    }

    private static Explanation swiGlu(Options options) {
        Generator random = new Generator(options.seed());
        Tensor x = Small.numbers(random, 2, 3);
        int width = 4;
        var layer = Small.layer(random, w -> new SwiGluMlp(w, 3, width));
        Story story = new Story("swiglu", "SwiGLU",
                "A feed-forward layer with a gate: one projection, bent, decides how much "
                        + "of another passes.");
        story.given("Two positions of width 3; weights from the same seed, not shown", "x", x);
        story.watch(() -> layer.forward(x));
        story.then("Linear", "gate", "The gate's projection", "gate = x W_gateᵀ + b")
                .then("Linear", "up", "The projection that passes", "up = x W_upᵀ + b")
                .then("silu", "silu(gate)", "The gate, bent", "gate · sigmoid(gate)")
                .then("SwiGlu", "gated", "How much passes", "silu(gate) · up")
                .output("Linear", "y", "Back to the width", "y = gated W_downᵀ + b");
        return story
                .step("Its width: as many parameters as two matrices of 4 hidden",
                        "3 hidden m = 2 hidden (4 hidden): m = "
                                + "8/3 hidden",
                        "Rounded up to a multiple of 8.", "hidden", new double[] {256, 384, 768}, "intermediate",
                        new double[] {SwiGluMlp.width(256), SwiGluMlp.width(384), SwiGluMlp.width(768)})
                .mistake("The bend on the wrong side", "gate · silu(up)", "Same shapes, same cost, another function.",
                        "wrong",
                        story.get("gate").mul(story.get("up").silu()), "right", story.get("gated"))
                .tell();
    }
}
