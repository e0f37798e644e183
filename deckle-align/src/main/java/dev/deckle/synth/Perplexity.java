package dev.deckle.synth;

import dev.deckle.generate.Scorer;
import dev.deckle.lm.Model;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.util.Arrays;

/// How surprising an answer is after a reasoning: exp of the mean negative log-probability of its tokens,
/// PPL(answer | prompt, reasoning).
@FunctionalInterface
interface Perplexity {
    /// @param ask without a system prompt: what the answer is judged by is what is trained on
    /// @param before what the author has said so far
    /// @param after what is judged; at least one token
    double of(Author.Ask ask, String before, String after) throws IOException;

    /// @param begins whether the tokenizer's own beginning goes before the text
    static double of(Model model, boolean begins, String before, String after) throws UnusableRow {
        Tokenizer t = model.tokenizer();
        int[] start = begins ? t.begin(before) : t.encode(before);
        // tokenised apart: the same tokens are judged whatever the reasoning ends with
        int[] judged = t.encodeOrdinary(after);
        int[] all = Arrays.copyOf(start, start.length + judged.length);
        System.arraycopy(judged, 0, all, start.length, judged.length);
        if (start.length == 0 || judged.length == 0 || all.length > model.network().maxPositionEmbeddings()) {
            throw new UnusableRow("prompt, reasoning and answer have " + all.length + " tokens, the model takes at "
                    + "most " + model.network().maxPositionEmbeddings() + ", and an answer has one at least");
        }
        double[] logprobs = Scorer.score(model.network(), all).logprobs();
        double sum = 0;
        for (int i = start.length - 1; i < logprobs.length; i++) {
            sum -= logprobs[i];
        }
        return Math.exp(sum / judged.length);
    }
}
