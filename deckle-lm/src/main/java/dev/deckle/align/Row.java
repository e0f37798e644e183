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
    /// @param logprobs of its tokens, as they were drawn
    record Rollout(int[] prompt, int[] completion, double reward, float[] logprobs) implements Row {
        Sequence sequence() {
            return Sequence.of(prompt, completion);
        }

        JsonObject json() {
            JsonObject o = new JsonObject();
            o.add("prompt_ids", Rows.array(prompt));
            o.add("completion_ids", Rows.array(completion));
            o.addProperty("reward", reward);
            var list = new com.google.gson.JsonArray();
            for (float f : logprobs) {
                list.add(f);
            }
            o.add("logprobs", list);
            return o;
        }
    }
}
