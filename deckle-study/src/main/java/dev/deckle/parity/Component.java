package dev.deckle.parity;

import dev.deckle.tensor.Tensor;
import java.util.Map;

/// What a golden case tries out: from its inputs, parameters and settings to its outputs by their names. The registry
/// is [Components]; a mistake that a learner would make is one too, which must be found out.
@FunctionalInterface
public interface Component {
    Map<String, Tensor> forward(GoldenCase.Run run);
}
