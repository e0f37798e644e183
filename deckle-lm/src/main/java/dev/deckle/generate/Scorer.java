package dev.deckle.generate;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Functional;
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

    private static final int ROWS = 256;

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
        try (ModelMemory.Lease _ = model.lease(); NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
            long[] wide = Arrays.stream(ids).asLongStream().toArray();
            Tensor hidden = model.hidden(Tensor.of(wide, 1, ids.length), Pass.evaluate()).squeeze(0); // (T, hidden)
            double[] logprobs = new double[ids.length - 1];
            for (int from = 0; from < logprobs.length; from += ROWS) {
                int to = Math.min(from + ROWS, logprobs.length);
                try (Workspace _ = Workspace.open()) { // logits of a piece at a time: a vocabulary is large
                    Tensor next = Tensor.of(Arrays.copyOfRange(wide, from + 1, to + 1));
                    double[] losses =
                            Functional.crossEntropy(model.head(hidden.slice(0, from, to)), next, -1).toDoubles();
                    for (int i = from; i < to; i++) {
                        Finite.require(losses[i - from], model.parameters());
                        logprobs[i] = -losses[i - from];
                    }
                }
            }
            float[] last = model.head(hidden.slice(0, ids.length - 1, ids.length)).toFloats();
            return new Score(logprobs, Finite.require(last, model.parameters()));
        }
    }
}
