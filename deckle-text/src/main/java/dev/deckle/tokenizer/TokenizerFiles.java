package dev.deckle.tokenizer;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.json.StrictJson;
import dev.deckle.json.TextFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/// The two files of a tokenizer, kept as they were read so that they can be written again.
///
/// @param json `tokenizer.json`
/// @param config `tokenizer_config.json`, empty if there is none
record TokenizerFiles(JsonObject json, JsonObject config, TokenizerJson.Definition definition) {
    private static final long LARGEST_FILE = 256 << 20;
    private static final String JSON = "tokenizer.json";
    private static final String CONFIG = "tokenizer_config.json";

    /// @throws IllegalArgumentException if `json` is no tokenizer that is supported
    TokenizerFiles(JsonObject json, JsonObject config) {
        this(json, config, TokenizerJson.read(json, config));
    }

    static TokenizerFiles read(Path fileOrFolder) throws IOException {
        boolean folder = Files.isDirectory(fileOrFolder);
        Path file = folder ? fileOrFolder.resolve(JSON) : fileOrFolder;
        Path configFile = file.resolveSibling(CONFIG);
        if (folder && !TextFile.exists(file)) {
            throw new IOException(file + ": no such file" + instead(fileOrFolder));
        }
        JsonObject config = TextFile.exists(configFile) ? parse(configFile) : new JsonObject();
        JsonObject json = parse(file);
        try {
            return new TokenizerFiles(json, config);
        } catch (IllegalArgumentException e) {
            String message = e.getMessage().replaceAll("\\R", " ");
            boolean inConfig = message.startsWith(CONFIG + ": ");
            throw new IOException(inConfig ? configFile + message.substring(CONFIG.length()) : file + ": " + message,
                    e);
        }
    }

    /// What there is in place of `tokenizer.json`, and what to do.
    private static String instead(Path folder) {
        for (String other : List.of("tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")) {
            if (Files.exists(folder.resolve(other))) {
                return "; there is " + other
                        + ", which does not say how text is cut: AutoTokenizer.from_pretrained(...)"
                        + ".save_pretrained(...) of transformers writes a tokenizer.json";
            }
        }
        return "";
    }

    void write(Path folder) throws IOException {
        Files.createDirectories(folder);
        write(folder.resolve(JSON), json);
        if (!config.isEmpty()) {
            write(folder.resolve(CONFIG), config);
        }
    }

    TokenizerFiles withMaxLength(int tokens) {
        JsonObject changed = config.deepCopy();
        changed.addProperty("model_max_length", tokens);
        return new TokenizerFiles(json, changed, definition);
    }

    /// A special token by its role: a string, or an object with its `content`.
    Optional<String> configToken(String role) {
        JsonElement value = config.get(role);
        JsonElement content = value instanceof JsonObject o ? o.get("content") : value;
        return content instanceof JsonPrimitive p && p.isString() ? Optional.of(p.getAsString()) : Optional.empty();
    }

    String fingerprint() {
        try {
            var sha = MessageDigest.getInstance("SHA-256");
            return HexFormat.of().formatHex(sha.digest(json.toString().getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has SHA-256", e);
        }
    }

    private static JsonObject parse(Path file) throws IOException {
        return StrictJson.object(TextFile.read(file, LARGEST_FILE), file.toString());
    }

    /// To a name of its own first, so that a reader never meets half a file.
    private static void write(Path file, JsonObject object) throws IOException {
        Path partial = file.resolveSibling(file.getFileName() + ".partial");
        var gson = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().serializeNulls().create();
        Files.writeString(partial, gson.toJson(object) + "\n");
        Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE);
    }
}
