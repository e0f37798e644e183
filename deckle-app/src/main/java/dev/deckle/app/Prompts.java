package dev.deckle.app;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.deckle.io.AtomicFile;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Option;

/// What shall be continued: texts, ids, or a file of many.
final class Prompts {
    /// @param text as the user wrote it, unless it was ids
    record Prompt(int[] ids, Optional<String> text) {}

    @Option(names = "--prompt", paramLabel = "TEXT", arity = "1..*",
            description = "what to continue; several are continued together")
    private List<String> texts = List.of();

    @Option(names = "--ids", paramLabel = "1,2,3", arity = "1..*",
            description = "the same as token ids; needs no tokenizer")
    private List<String> ids = List.of();

    @Option(names = "--prompts", paramLabel = "FILE",
            description = "a prompt a line; with .jsonl an object a line: prompt, a text, or prompt_ids")
    private Path file;

    /// Whether a tokenizer is needed to read them.
    boolean texts() {
        return !texts.isEmpty() || file != null;
    }

    List<Prompt> read(Verb verb, Optional<Tokenizer> tokenizer) throws IOException {
        List<Prompt> all = new ArrayList<>();
        for (String text : texts) {
            all.add(prompt(text, tokenizer.orElseThrow()));
        }
        for (String list : ids) {
            all.add(new Prompt(Ids.parse(verb, "--ids", list), Optional.empty()));
        }
        if (file != null) {
            List<String> lines = lines();
            boolean json = file.toString().endsWith(".jsonl");
            for (int n = 1; n <= lines.size(); n++) {
                String line = lines.get(n - 1);
                if (!line.isBlank()) {
                    all.add(json ? object(line, file + ", line " + n, tokenizer.orElseThrow())
                            : prompt(line, tokenizer.orElseThrow()));
                }
            }
            if (all.isEmpty()) {
                throw new IOException(file + ": there is no prompt in it");
            }
        }
        return all;
    }

    private List<String> lines() throws IOException {
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            throw new IOException(file + (e instanceof NoSuchFileException ? ": there is no such file"
                    : ": cannot be read: " + AtomicFile.reason(e)), e);
        }
    }

    private static Prompt object(String line, String where, Tokenizer tokenizer) throws IOException {
        try {
            JsonObject o = JsonParser.parseString(line).getAsJsonObject();
            if (o.has("prompt_ids")) {
                int[] ids = o.getAsJsonArray("prompt_ids").asList().stream().mapToInt(JsonElement::getAsInt).toArray();
                return new Prompt(ids, Optional.empty());
            }
            return prompt(o.getAsJsonPrimitive("prompt").getAsString(), tokenizer);
        } catch (JsonParseException | IllegalStateException | ClassCastException | NullPointerException
                | NumberFormatException e) {
            throw new IOException(where + ": an object with prompt, a text, or prompt_ids, a list of token ids, is "
                    + "expected", e);
        }
    }

    private static Prompt prompt(String text, Tokenizer tokenizer) {
        return new Prompt(tokenizer.begin(text), Optional.of(text));
    }
}
