package dev.deckle.nn;

import dev.deckle.tensor.Tensor;

/// Weights that make rare classes count as much as frequent ones.
///
/// - **Formula**: balanced w_c = n / (C count_c), 0 for a class that does not occur; inverse w_c = 1 / (count_c + 1e-8)
/// - **Shapes**: labels (n) I64 to weights (C)
/// - **Cost**: one pass over the labels
/// - **Source**: King and Zeng 2001
/// - **PyTorch**: none; scikit-learn's `compute_class_weight("balanced")`
/// - **Classic mistake**: the number of classes that occur in place of all; a class that does not occur divides by zero
public enum ClassWeights {
    BALANCED,
    INVERSE;

    /// @throws IllegalArgumentException if a label is not in 0..classes-1
    public Tensor of(Tensor labels, int classes) {
        float[] count = new float[classes];
        for (long label : labels.toLongs()) {
            if (label < 0 || label >= classes) {
                throw new IllegalArgumentException("label " + label + " is not in 0.." + (classes - 1));
            }
            count[(int) label]++;
        }
        float[] w = new float[classes];
        for (int c = 0; c < classes; c++) {
            w[c] = switch (this) {
                case BALANCED -> count[c] == 0 ? 0 : labels.numel() / (classes * count[c]);
                case INVERSE -> 1 / (count[c] + 1e-8f);
            };
        }
        return Tensor.of(w, classes);
    }
}
