package dev.deckle.models;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.nn.Lora;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;
import java.util.List;

/// One layer of a decoder.
interface Block {
    /// x (B, T, hidden) to (B, T, hidden).
    Tensor forward(Tensor x, Pass pass);

    /// x through all layers. Where no gradient will come back, what a layer computed on the way is freed before the
    /// next one begins: a long prompt needs the memory of one layer, not of all. So it is where a gradient will come
    /// and is to find the layers' inputs alone ([Recomputation]).
    static Tensor forward(List<? extends Block> layers, Tensor x, Pass pass) {
        Tensor h = x;
        for (Block layer : layers) {
            if (!NoGrad.recording()) {
                try (Workspace _ = Workspace.open()) {
                    h = run(layer, h, pass).keep();
                }
            } else {
                h = Recomputation.wanted(pass) ? Recomputation.run(layer, h, pass) : run(layer, h, pass);
            }
        }
        return h;
    }

    /// `x + branch`, where nobody else reads the branch: its memory serves again at once.
    static Tensor residual(Tensor x, Tensor branch) {
        Tensor sum = x.add(branch);
        branch.giveUp();
        return sum;
    }

    /// x through one layer, whose adapters know of the pass.
    static Tensor run(Block layer, Tensor x, Pass pass) {
        return Lora.during(pass, () -> layer.forward(x, pass));
    }
}
