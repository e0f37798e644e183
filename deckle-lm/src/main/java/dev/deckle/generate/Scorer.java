package dev.deckle.generate;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;

/// How likely a model finds a sequence of tokens.
public final class Scorer {
    /// @param logprobs the natural logarithm of the probability of each token but the first, given those before it
    /// @param lastLogits the logits after the last token
    public record Score(double[] logprobs, float[] lastLogits) {
        /// exp of the mean negative log-probability.
        public double perplexity() {
            return Math.exp(-Arrays.stream(logprobs).average().orElse(0));
        }
    }

    private Scorer() {}

    /// @throws IllegalArgumentException if an id is not the model's or there are more than it has positions
    /// @throws IllegalStateException naming the first parameter that is not finite, if a result is not
    public static Score score(CausalLm model, int[] ids) {
        if (ids.length == 0 || ids.length > model.maxPositionEmbeddings()) {
            throw new IllegalArgumentException(ids.length + " tokens cannot be scored: the model takes 1 to "
                    + model.maxPositionEmbeddings());
        }
        for (int id : ids) {
            if (id < 0 || id >= model.vocabSize()) {
                throw new IllegalArgumentException("token id " + id + " is not in 0.." + (model.vocabSize() - 1));
            }
        }
        try (NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
            long[] wide = Arrays.stream(ids).asLongStream().toArray();
            Tensor logits = model.forward(Tensor.of(wide, 1, ids.length), Pass.evaluate()).squeeze(0); // (T, V)
            double[] logprobs = new double[ids.length - 1];
            if (ids.length > 1) {
                Tensor next = Tensor.of(Arrays.copyOfRange(wide, 1, wide.length), ids.length - 1, 1);
                logprobs = logits.slice(0, 0, ids.length - 1).logSoftmax(-1).gather(1, next).toDoubles();
            }
            float[] last = logits.slice(0, ids.length - 1, ids.length).toFloats();
            for (float f : last) {
                check(model, f);
            }
            for (double d : logprobs) {
                check(model, d);
            }
            return new Score(logprobs, last);
        }
    }

    private static void check(CausalLm model, double value) {
        if (!Double.isFinite(value)) {
            throw new IllegalStateException("a result is not finite" + Finite.firstBad(model.parameters())
                    .map(n -> ": weight " + n + " holds NaN or infinity")
                    .orElse(", although all weights are: they are too large for f32"));
        }
    }
}
