package dev.deckle.autograd;

import dev.deckle.compute.Elements;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.function.Supplier;

/// Compares gradients with finite differences. Meaningful in F64 only.
public final class GradCheck {
    private GradCheck() {}

    /// The largest error `|analytic - numeric| / max(1, |numeric|)` over all elements of all leaves, of the gradient of
    /// `loss` (a single number, computed anew from the leaves each time). Central differences with step `h`.
    public static double worst(Supplier<Tensor> loss, List<Tensor> leaves, double h) {
        leaves.forEach(x -> x.leaf().orElseThrow().zero());
        loss.get().backward();
        double worst = 0;
        for (Tensor x : leaves) {
            if (x.dtype() != DType.F64 || !x.isContiguous()) {
                throw new IllegalArgumentException(
                        "gradients are checked in F64 on contiguous leaves, not " + x.dtype());
            }
            double[] analytic = x.leaf().orElseThrow().isEmpty() ? new double[(int) x.numel()] : x.grad().toDoubles();
            for (int i = 0; i < analytic.length; i++) {
                double at = Elements.get(DType.F64, x.address(), i);
                Elements.set(DType.F64, x.address(), i, at + h);
                double up = value(loss);
                Elements.set(DType.F64, x.address(), i, at - h);
                double down = value(loss);
                Elements.set(DType.F64, x.address(), i, at);
                double numeric = (up - down) / (2 * h);
                double error = Math.abs(analytic[i] - numeric) / Math.max(1, Math.abs(numeric));
                worst = error > worst || error != error ? error : worst;
            }
        }
        return worst;
    }

    private static double value(Supplier<Tensor> loss) {
        try (NoGrad _ = NoGrad.open()) {
            return loss.get().item();
        }
    }
}
