package dev.deckle.chat;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.json.StrictJson;
import dev.deckle.json.TextFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/// What a chat template renders.
///
/// @param messages objects, usually with `role` and `content`; at least one
/// @param tools declarations of functions, if any are offered; an empty list is an offer too
/// @param addGenerationPrompt whether the prompt ends where the assistant is to go on
/// @param template which of a model's named templates to use; by itself `tool_use` if there are tools, else `default`
/// @param variables whatever else the template reads, such as `documents` or `enable_thinking`; goes before the special
///     tokens of the tokenizer
public record Conversation(
        JsonArray messages,
        Optional<JsonArray> tools,
        boolean addGenerationPrompt,
        Optional<String> template,
        JsonObject variables) {
    private static final long LARGEST_FILE = 256 << 20;

    /// A conversation and nothing else, to be answered.
    public static Conversation of(JsonArray messages) {
        return new Conversation(messages, Optional.empty(), true, Optional.empty(), new JsonObject());
    }

    /// Reads a file as [#of(JsonObject, String)] reads an object.
    public static Conversation read(Path file) throws IOException {
        return of(StrictJson.object(TextFile.read(file, LARGEST_FILE), file.toString()), file.toString());
    }

    /// `{"messages", "tools"?, "add_generation_prompt"?, "chat_template"?, ...}`: the arguments of transformers'
    /// `apply_chat_template`, and variables. `chat_template` is a name here, never the text of a template.
    ///
    /// @param where begins the message of a failure
    /// @throws IllegalArgumentException if something has not its type
    public static Conversation of(JsonObject request, String where) {
        var variables = new JsonObject();
        request.asMap().forEach(variables::add);
        JsonArray messages = array(variables.remove("messages"), where + ": messages").orElseThrow(
                () -> new IllegalArgumentException(where + ": messages is missing, expected a list of messages"));
        if (messages.isEmpty()) {
            throw new IllegalArgumentException(where + ": messages is empty, expected at least one message");
        }
        Optional<JsonArray> tools = array(variables.remove("tools"), where + ": tools");
        array(variables.get("documents"), where + ": documents");
        if (flag(variables, "continue_final_message", where)) {
            throw new IllegalArgumentException(where + ": continue_final_message is not supported");
        }
        variables.remove("continue_final_message");
        boolean prompt = flag(variables, "add_generation_prompt", where);
        variables.remove("add_generation_prompt");
        JsonElement name = variables.remove("chat_template");
        if (given(name) && !(name instanceof JsonPrimitive p && p.isString())) {
            throw new IllegalArgumentException(where + ": chat_template is " + name + ", expected a name");
        }
        Optional<String> template = given(name) ? Optional.of(name.getAsString()) : Optional.empty();
        return new Conversation(messages, tools, prompt, template, variables);
    }

    private static boolean given(JsonElement value) {
        return value != null && !value.isJsonNull();
    }

    /// A list of objects.
    private static Optional<JsonArray> array(JsonElement value, String what) {
        if (!given(value)) {
            return Optional.empty();
        }
        if (!(value instanceof JsonArray array)) {
            throw new IllegalArgumentException(what + " is " + kind(value) + ", expected a list of objects");
        }
        for (int i = 0; i < array.size(); i++) {
            if (!array.get(i).isJsonObject()) {
                throw new IllegalArgumentException(
                        what + ": entry " + i + " is " + kind(array.get(i)) + ", expected an object");
            }
        }
        return Optional.of(array);
    }

    private static boolean flag(JsonObject variables, String key, String where) {
        JsonElement value = variables.get(key);
        if (given(value) && !(value instanceof JsonPrimitive p && p.isBoolean())) {
            throw new IllegalArgumentException(where + ": " + key + " is " + kind(value) + ", expected true or false");
        }
        return given(value) && value.getAsBoolean();
    }

    private static String kind(JsonElement value) {
        return switch (value) {
            case JsonObject _ -> "an object";
            case JsonArray _ -> "a list";
            case JsonPrimitive p when p.isString() -> "a string";
            default -> value.toString();
        };
    }
}
