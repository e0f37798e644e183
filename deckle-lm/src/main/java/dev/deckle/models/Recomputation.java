package dev.deckle.models;

import dev.deckle.nn.Lora;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Optional;
import java.util.function.Supplier;

/// Training in less memory: of each layer the forward pass keeps the input alone, and the backward pass computes the
/// layer again. Losses and gradients are the same to the bit.
/// ```java
/// Tensor loss = Recomputation.during(() -> loss(model.forward(ids, Pass.train(random))));
/// loss.backward();
/// ```
/// It is a scope of this thread and not a part of a [Pass], because who wants less memory is not who knows what a pass
/// is for: a run asks for it around whatever loss it is given.
///
/// - **Formula**: memory of L layers that compute a each from inputs of x: L a becomes L x + a
/// - **Cost**: one more forward pass through the layers: a third of a step, at most
/// - **Source**: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"
/// - **PyTorch**: `torch.utils.checkpoint.checkpoint`; Hugging Face's `gradient_checkpointing_enable`
/// - **Classic mistake**: dropout that draws other numbers the second time; a layer whose input has no gradient, as
///   below an adapter, taken for one that learns nothing
public final class Recomputation {
    private static final ScopedValue<Boolean> ON = ScopedValue.newInstance();

    private Recomputation() {}

    /// What `work` computes, with layers that remember their input alone. The gradients may be asked for later.
    public static <R> R during(Supplier<R> work) {
        return ScopedValue.where(ON, true).call(work::get);
    }

    /// Whether a pass is to remember so little. One that fills a cache is not: the second time would add to it.
    static boolean wanted(Pass pass) {
        return ON.isBound() && pass.cache().isEmpty();
    }

    /// x (B, T, hidden) through a layer, as [Block#run] has it.
    static Tensor run(Block layer, Tensor x, Pass pass) {
        Optional<long[]> start = pass.random().map(Generator::save);
        boolean off = Lora.isOff();
        return Functional.recomputed(x, h -> Block.run(layer, h, pass), h -> {
            Pass same = new Pass(start.map(Generator::restore), pass.cache(), pass.lengths());
            return off ? Lora.off(() -> Block.run(layer, h, same)) : Block.run(layer, h, same);
        });
    }
}
