package dev.deckle.synth;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.List;

/// How records are written, for `align sft` and `align dpo` to read.
///
/// @param messages as conversations; otherwise `prompt` and `completion`, or `prompt`, `chosen` and `rejected`, as
///        texts
/// @param mode what made them
/// @param author the name of the model; empty where none was asked
/// @param seed of the run
record Records(boolean messages, String mode, String author, long seed) {
    /// What a record teaches.
    static final List<String> TAUGHT = List.of("messages", "prompt", "completion", "chosen", "rejected");
    /// Columns of a row with these names would change what `align` reads.
    private static final List<String> TAKEN = List.of("text", "prompt_ids", "completion_ids", "chosen_ids",
            "rejected_ids", "margin", "completions", "provenance");

    /// @param sample which of the row's, from 0
    JsonObject example(SynthRow row, String prompt, String completion, int sample) {
        JsonObject o = new JsonObject();
        if (messages) {
            JsonArray said = said("user", prompt);
            said.addAll(said("assistant", completion));
            o.add("messages", said);
        } else {
            o.addProperty("prompt", prompt);
            o.addProperty("completion", completion);
        }
        return with(row, o, sample);
    }

    JsonObject pair(SynthRow row, String prompt, String chosen, String rejected, int sample) {
        JsonObject o = new JsonObject();
        if (messages) {
            o.add("prompt", said("user", prompt));
            o.add("chosen", said("assistant", chosen));
            o.add("rejected", said("assistant", rejected));
        } else {
            o.addProperty("prompt", prompt);
            o.addProperty("chosen", chosen);
            o.addProperty("rejected", rejected);
        }
        return with(row, o, sample);
    }

    private JsonObject with(SynthRow row, JsonObject o, int sample) {
        for (var column : row.json().entrySet()) {
            if (!TAUGHT.contains(column.getKey()) && !TAKEN.contains(column.getKey())) {
                o.add(column.getKey(), column.getValue());
            }
        }
        JsonObject from = new JsonObject(); // without a date: the same run, the same bytes
        from.addProperty("mode", mode);
        if (!author.isEmpty()) {
            from.addProperty("model", author);
        }
        from.addProperty("seed", seed);
        from.addProperty("line", row.line());
        from.addProperty("sample", sample);
        o.add("provenance", from);
        return o;
    }

    /// Says more about where a record comes from.
    static JsonObject noted(JsonObject made, String key, JsonElement value) {
        made.getAsJsonObject("provenance").add(key, value);
        return made;
    }

    private static JsonArray said(String role, String content) {
        JsonArray a = new JsonArray();
        a.add(LocalAuthor.message(role, content));
        return a;
    }
}
