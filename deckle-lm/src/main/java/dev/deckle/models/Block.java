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
    /// next one begins: a long prompt needs the memory of one layer, not of all.
    static Tensor forward(List<? extends Block> layers, Tensor x, Pass pass) {
        Tensor h = x;
        for (Block layer : layers) {
            if (NoGrad.recording()) {
                h = run(layer, h, pass);
            } else {
                try (Workspace _ = Workspace.open()) {
                    h = run(layer, h, pass).keep();
                }
            }
        }
        return h;
    }

    private static Tensor run(Block layer, Tensor x, Pass pass) {
        return Lora.during(pass, () -> layer.forward(x, pass));
    }
}
