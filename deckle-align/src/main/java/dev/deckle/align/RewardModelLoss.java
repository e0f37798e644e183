package dev.deckle.align;

import dev.deckle.tensor.Tensor;

/// Trains a reward model on pairs: the chosen completion should score higher.
///
/// - **Formula**: -log s(r_chosen - r_rejected), the mean over pairs
/// - **Shapes**: rewards (n); result ()
/// - **Cost**: one model on two completions a pair
/// - **Source**: Bradley and Terry 1952; Ouyang et al. 2022
/// - **PyTorch**: TRL's `RewardTrainer`
/// - **Classic mistake**: log(sigmoid(x)) in two steps, which is -infinity at -200
public final class RewardModelLoss {
    private RewardModelLoss() {}

    public static Tensor forward(Tensor chosen, Tensor rejected) {
        return chosen.sub(rejected).logSigmoid().neg().mean();
    }
}
