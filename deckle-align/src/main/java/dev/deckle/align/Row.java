package dev.deckle.align;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.Map;

/// A row of a data set, as tokens.
sealed interface Row {
    /// To be learned as it is.
    record Example(Sequence sequence) implements Row {}

    /// Of two completions of a prompt the better and the worse.
    ///
    /// @param margin by how much, at least
    record Pair(Sequence chosen, Sequence rejected, double margin) implements Row {}

    /// To be completed.
    ///
    /// @param columns the rest of the row
    record Prompt(String text, int[] ids, Map<String, JsonElement> columns) implements Row {}

    /// A completion that was drawn and judged before.
    ///
    /// @param reward NaN where nobody judged it
    /// @param logprobs of its tokens, as they were drawn
    /// @param counts whether it is learned from; one that was cut off may not be
    /// @param ended whether it ends by itself
    record Rollout(int[] prompt, int[] completion, double reward, float[] logprobs, boolean counts, boolean ended)
            implements Row {
        /// What is learned of it: nothing where nobody judged it.
        Sequence sequence() {
            Sequence s = Sequence.of(prompt, completion);
            return learned() ? s : new Sequence(s.ids(), new boolean[s.length()]);
        }

        boolean learned() {
            return counts && !Double.isNaN(reward);
        }

        /// Tokens that are learned.
        int tokens() {
            return learned() ? completion.length : 0;
        }

        JsonObject json() {
            JsonObject o = new JsonObject();
            o.add("prompt_ids", Rows.array(prompt));
            o.add("completion_ids", Rows.array(completion));
            if (!Double.isNaN(reward)) {
                o.addProperty("reward", reward);
            }
            if (!counts) {
                o.addProperty("counts", false);
            }
            if (!ended) {
                o.addProperty("ended", false);
            }
            o.add("logprobs", Rows.array(logprobs));
            return o;
        }
    }
}
