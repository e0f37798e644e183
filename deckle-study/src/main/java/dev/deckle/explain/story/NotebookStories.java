package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.ClassWeights;
import dev.deckle.nn.CrossEntropy;
import dev.deckle.nn.FocalLoss;
import dev.deckle.nn.Mlp;
import dev.deckle.nn.Weights;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// The notebook's own printed numbers, from its own seeds.
final class NotebookStories {
    private NotebookStories() {}

    static List<Part> parts() {
        return List.of(new Part("notebook", "the notebook", "its printed losses and gradients, from its own seeds",
                CrossEntropy.class, Set.of(), NotebookStories::notebook));
    }

    private static Explanation notebook(Options options) {
        Story story = new Story("notebook", "The notebook's numbers",
                "The PyTorch notebook that this project comes from "
                        + "prints losses and gradients after torch.manual_seed. The same seeds give the same "
                        + "numbers here, to the "
                        + "last digit that it shows.");
        Tensor logits = new Generator(42).randn(4, 3);
        Tensor targets = Tensor.of(new long[] {0, 1, 2, 0});
        story.given("torch.manual_seed(42); torch.randn(4, 3); four targets", "logits", logits, "targets", targets);
        losses(story, logits, targets, Tensor.of(new float[] {1, 2, 1.5f}),
                "1.5879, weighted 2.3334, focal 1.0318, smoothed 1.5592");
        story.step("Balanced class weights of these targets", "n / (C count_c)", "It printed 0.6667, 1.3333, 1.3333.",
                "w",
                ClassWeights.BALANCED.of(targets, 3));
        try (ModelMemory memory = new ModelMemory()) {
            classifier(story, memory);
        }
        return story.tell();
    }

    private static void losses(Story story, Tensor logits, Tensor targets, Tensor weights, String printed) {
        var smoothed = new CrossEntropy(Optional.empty(), -100, 0.1, CrossEntropy.Reduction.MEAN);
        story.step("Its four losses", "cross entropy; weighted, over N; focal, γ = 2; smoothed by 0.1",
                "It printed " + printed
                        + ".",
                "cross entropy", CrossEntropy.mean().forward(logits, targets), "weighted",
                CrossEntropy.weighted(weights, CrossEntropy.Reduction.MEAN_OVER_EXAMPLES).forward(logits, targets),
                "focal",
                new FocalLoss(1, 2, CrossEntropy.Reduction.MEAN).forward(logits, targets), "smoothed",
                smoothed.forward(logits, targets));
    }

    /// Seed 123: the layers are drawn first, then the examples, then their classes.
    private static void classifier(Story story, ModelMemory memory) {
        Generator random = new Generator(123);
        Weights w = Weights.init(memory, random);
        Mlp model = new Mlp(w, 10, 64, 5);
        Map<String, Tensor> parameters = w.finish();
        Tensor x = random.randn(8, 10);
        Tensor y = random.randint(0, 5, 8);
        Tensor logits = model.forward(x);
        story.step("torch.manual_seed(123); Linear(10, 64), ReLU, Linear(64, 5); randn(8, 10); randint(0, 5, (8,))",
                "logits = fc2(relu(fc1(x)))", "It printed the classes 2, 2, 0, 1, 3, 1, 4, 1.", "y", y, "logits",
                logits);
        losses(story, logits.detach(), y, Tensor.of(new float[] {1, 3, 1, 2, 1}),
                "1.5823, weighted 3.1239, focal 1.0083, smoothed 1.5906");
        Tensor loss = CrossEntropy.mean().forward(logits, y);
        loss.backward();
        story.result("The length of each gradient", "‖∂loss/∂p‖", "It printed 0.4830, 0.1058, 1.0065, 0.2360.",
                "fc1.weight",
                norm(parameters, "fc1.weight"), "fc1.bias", norm(parameters, "fc1.bias"), "fc2.weight",
                norm(parameters, "fc2.weight"), "fc2.bias", norm(parameters, "fc2.bias"));
        Generator other = new Generator(123);
        Tensor early = other.randn(8, 10);
        story.mistake("The examples drawn before the layers", "x = randn(8, 10); model = ...",
                "A seed fixes the stream, not who draws from it: another order is another network.", "wrong",
                loss(other, memory, early, y), "right", loss);
    }

    private static Tensor loss(Generator random, ModelMemory memory, Tensor x, Tensor y) {
        return CrossEntropy.mean().forward(new Mlp(Weights.init(memory, random), 10, 64, 5).forward(x), y).detach();
    }

    private static Tensor norm(Map<String, Tensor> parameters, String name) {
        return parameters.get(name).grad().square().sum().sqrt();
    }
}
