package dev.deckle.chat;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.io.Shown;
import dev.deckle.jinja.Template;
import dev.deckle.jinja.TemplateException;
import dev.deckle.json.StrictJson;
import dev.deckle.json.TextFile;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.ZonedDateTime;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/// The template by which a model wants its conversations written, rendered as transformers' `apply_chat_template`
/// renders it.
///
/// **Where it is.** `chat_template.jinja` and, by name, `additional_chat_templates/*.jinja`; if there are none of
/// these, `chat_template` of `tokenizer_config.json`: a text or a list of named ones; at last `chat_template.json`.
///
/// **What it sees.** `messages`, `tools`, `documents` (both None if not given) and `add_generation_prompt`; the special
/// tokens of the tokenizer as `bos_token`, `eos_token` and so on; the variables of the [Conversation]; the functions
/// `raise_exception` and `strftime_now`.
///
/// ```java
/// ChatTemplate template = ChatTemplate.load(folder);
/// int[] prompt = tokenizer.encode(template.render(conversation));
/// ```
public final class ChatTemplate {
    private static final long LARGEST_TEMPLATE = 4 << 20;
    private static final int LONGEST_COMPLAINT = 250; // characters of raise_exception
    private static final long LARGEST_CONFIG = 64 << 20;

    /// @param where what messages call it
    private record Source(String where, String text) {}

    private final Path folder;
    private final Map<String, Source> sources;
    private final Map<String, Template> parsed = new ConcurrentHashMap<>();
    private final JsonObject specialTokens;
    private final Clock clock;

    private ChatTemplate(Path folder, Map<String, Source> sources, JsonObject specialTokens, Clock clock) {
        this.folder = folder;
        this.sources = sources;
        this.specialTokens = specialTokens;
        this.clock = clock;
    }

    /// Reads the templates and special tokens of a model's folder.
    ///
    /// @throws IOException if there is no template, or a file is broken
    public static ChatTemplate load(Path folder) throws IOException {
        return find(folder)
                .orElseThrow(() -> new IOException(folder + ": no chat template: neither chat_template.jinja "
                        + "nor chat_template in tokenizer_config.json"));
    }

    /// The same where a model may have none.
    ///
    /// @throws IOException if a file is broken
    public static Optional<ChatTemplate> find(Path folder) throws IOException {
        Path configFile = folder.resolve("tokenizer_config.json");
        JsonObject config = TextFile.exists(configFile) ? json(configFile) : new JsonObject();
        Map<String, Source> sources = files(folder);
        if (sources.isEmpty()) {
            sources = named(config.get("chat_template"), configFile);
        }
        Path legacy = folder.resolve("chat_template.json");
        if (sources.isEmpty() && TextFile.exists(legacy)) {
            sources = named(json(legacy).get("chat_template"), legacy);
        }
        return sources.isEmpty() ? Optional.empty()
                : Optional.of(new ChatTemplate(folder, sources, specialTokens(folder, config),
                        Clock.systemDefaultZone()));
    }

    /// This template at another time: what `strftime_now` tells is the clock's.
    public ChatTemplate at(Clock other) {
        return new ChatTemplate(folder, sources, specialTokens, other);
    }

    /// The prompt.
    ///
    /// @throws TemplateException if the template refuses the conversation, or is broken; the message names its file and
    ///     line
    public String render(Conversation conversation) {
        return rendered(conversation).text();
    }

    /// The same, with the places of what a template marks as the assistant's by `{% generation %}`.
    public Template.Rendered rendered(Conversation conversation) {
        String name = choice(conversation);
        Source source = sources.get(name);
        Template template = parsed.computeIfAbsent(name, _ -> Template.parse(source.where, source.text));
        var variables = new JsonObject();
        variables.add("documents", JsonNull.INSTANCE);
        specialTokens.asMap().forEach(variables::add);
        conversation.variables().asMap().forEach(variables::add);
        variables.add("messages", conversation.messages());
        variables.add("tools", conversation.tools().<JsonElement>map(t -> t).orElse(JsonNull.INSTANCE));
        variables.addProperty("add_generation_prompt", conversation.addGenerationPrompt());
        return template.rendered(
                variables,
                Map.of(
                        "raise_exception", message -> {
                            throw new TemplateException(Shown.brief(message, LONGEST_COMPLAINT));
                        },
                        "strftime_now", format -> Strftime.format(format, ZonedDateTime.now(clock))));
    }

    private String choice(Conversation conversation) {
        String name = conversation
                .template()
                .orElse(conversation.tools().isPresent() && sources.containsKey("tool_use") ? "tool_use" : "default");
        if (!sources.containsKey(name)) {
            throw new IllegalArgumentException(folder + ": there is no chat template named '" + name + "'; there is "
                    + String.join(", ", sources.keySet()));
        }
        return name;
    }

    private static Map<String, Source> files(Path folder) throws IOException {
        Map<String, Source> sources = new TreeMap<>();
        Path single = folder.resolve("chat_template.jinja");
        if (TextFile.exists(single)) {
            sources.put("default", new Source(single.toString(), TextFile.read(single, LARGEST_TEMPLATE)));
        }
        Path more = folder.resolve("additional_chat_templates");
        if (Files.isDirectory(more)) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(more, "*.jinja")) {
                for (Path file : files) {
                    String name = file.getFileName().toString().replaceFirst("\\.jinja$", "");
                    sources.put(name, new Source(file.toString(), TextFile.read(file, LARGEST_TEMPLATE)));
                }
            }
        }
        return sources;
    }

    /// A text, or a list of `{"name", "template"}`.
    private static Map<String, Source> named(JsonElement value, Path file) throws IOException {
        Map<String, Source> sources = new TreeMap<>();
        switch (value) {
            case null -> {}
            case JsonNull _ -> {}
            case JsonPrimitive p when p.isString() -> sources.put("default",
                    new Source(file + ", chat_template", p.getAsString()));
            case JsonArray list -> {
                for (JsonElement entry : list) {
                    if (!(entry instanceof JsonObject o && isText(o.get("name")) && isText(o.get("template")))) {
                        throw new IOException(
                                file + ": an entry of chat_template is expected to have a name and a template");
                    }
                    String name = o.get("name").getAsString();
                    String where = file + ", chat_template '" + name + "'";
                    sources.put(name, new Source(where, o.get("template").getAsString()));
                }
            }
            default -> throw new IOException(file + ": chat_template is expected to be a text or a list of named ones");
        }
        return sources;
    }

    private static boolean isText(JsonElement value) {
        return value instanceof JsonPrimitive p && p.isString();
    }

    /// All that `tokenizer_config.json` calls `..._token`, and its named extra tokens. What an older
    /// `special_tokens_map.json` says goes before it, unless the config lists its added tokens itself.
    private static JsonObject specialTokens(Path folder, JsonObject config) throws IOException {
        var tokens = new JsonObject();
        addTokens(tokens, config);
        Path map = folder.resolve("special_tokens_map.json");
        if (!config.has("added_tokens_decoder") && TextFile.exists(map)) {
            addTokens(tokens, json(map));
        }
        return tokens;
    }

    private static void addTokens(JsonObject tokens, JsonObject from) {
        from.asMap().forEach((key, value) -> {
            if (key.endsWith("_token")) {
                token(value).ifPresent(text -> tokens.addProperty(key, text));
            }
        });
        if (from.get("extra_special_tokens") instanceof JsonObject extra) {
            extra.asMap().forEach((key, value) -> token(value).ifPresent(text -> tokens.addProperty(key, text)));
        }
    }

    /// A token is its text, or an object with its `content`.
    private static Optional<String> token(JsonElement value) {
        JsonElement content = value instanceof JsonObject o ? o.get("content") : value;
        return isText(content) ? Optional.of(content.getAsString()) : Optional.empty();
    }

    private static JsonObject json(Path file) throws IOException {
        return StrictJson.object(TextFile.read(file, LARGEST_CONFIG), file.toString());
    }
}
