package dev.deckle.align;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.io.Shown;
import dev.deckle.json.StrictJson;
import dev.deckle.json.TextFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/// A line of a file of JSON lines. Its getters refuse what is not of the type that is asked for, in one line naming the
/// file, the line and the key.
///
/// @param where the file and the number of the line, for messages
record Line(JsonObject object, String where) {
    private static final long LARGEST_FILE = 4L << 30;
    private static final Set<String> KNOWN = Set.of("prompt", "completion", "messages", "chosen", "rejected", "text",
            "prompt_ids", "completion_ids", "chosen_ids", "rejected_ids");
    private static final Set<String> EITHER = Set.of("prompt", "chosen", "rejected"); // texts or lists of messages

    /// Makes a row of a line.
    @FunctionalInterface
    interface Maker<R> {
        R of(Line line) throws IOException;
    }

    static Line of(String json, String where) throws IOException {
        return new Line(StrictJson.object(json, where), where);
    }

    /// A row of each line that is not blank. A byte order mark at the beginning of the file is passed over.
    ///
    /// @throws IOException if there is none, or one is not UTF-8, or not a JSON object
    /// @throws IllegalArgumentException if one has other keys than those before it
    static <R> List<R> read(Path file, Maker<R> maker) throws IOException {
        List<R> rows = new ArrayList<>();
        Set<String> keys = Set.of();
        String text = text(file);
        String[] lines = (text.startsWith("\ufeff") ? text.substring(1) : text).split("\n", -1);
        for (int i = 0; i < lines.length; i++) {
            if (lines[i].isBlank()) {
                continue;
            }
            Line line = of(lines[i], file + ", line " + (i + 1));
            keys = line.sameKeys(keys);
            rows.add(maker.of(line));
        }
        if (rows.isEmpty()) {
            throw new IOException(file + ": holds no rows, expected one JSON object a line");
        }
        return rows;
    }

    static String text(Path file) throws IOException {
        try {
            return TextFile.read(file, LARGEST_FILE);
        } catch (IOException e) {
            throw e.getCause() instanceof CharacterCodingException
                    ? new IOException(file + ", line " + undecodable(file) + ": not UTF-8", e)
                    : e;
        }
    }

    /// The first line that is not UTF-8. Its bytes are those between two line feeds, which no longer code contains.
    private static int undecodable(Path file) throws IOException {
        byte[] all = Files.readAllBytes(file);
        int line = 1;
        for (int from = 0, to = 0; to <= all.length; to++) {
            if (to == all.length || all[to] == '\n') {
                try {
                    StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(all, from, to - from));
                } catch (CharacterCodingException _) {
                    break;
                }
                from = to + 1;
                line++;
            }
        }
        return line;
    }

    /// Rows of different kinds in one file are a mistake: half of it would be learned in another way.
    ///
    /// @param keys of the lines before it, empty for the first
    private Set<String> sameKeys(Set<String> keys) {
        Set<String> own = new TreeSet<>();
        for (String key : object.keySet()) {
            if (KNOWN.contains(key)) {
                own.add(EITHER.contains(key) && isList(key) ? key + " (messages)" : key);
            }
        }
        if (!keys.isEmpty() && !keys.equals(own)) {
            throw refused("has the keys " + String.join(", ", own) + ", the rows before it " + String.join(", ", keys));
        }
        return own;
    }

    IllegalArgumentException refused(String why) {
        return new IllegalArgumentException(where + ": " + why);
    }

    /// For a line that has none of the keys that were expected.
    IllegalArgumentException unknown(String expected) {
        return refused("has the keys " + Shown.brief(String.join(", ", object.keySet())) + ", expected " + expected);
    }

    boolean has(String key) {
        return object.has(key);
    }

    boolean isList(String key) {
        return object.get(key) instanceof JsonArray;
    }

    String text(String key) {
        return textOf(object, key);
    }

    /// The role of a message.
    String role(JsonElement message) {
        return textOf(message.getAsJsonObject(), "role");
    }

    private String textOf(JsonObject o, String key) {
        if (o.get(key) instanceof JsonPrimitive p && p.isString()) {
            return p.getAsString();
        }
        throw refused(key + (o.has(key) ? " is no text" : " is missing"));
    }

    double number(String key) {
        return number(object.get(key), key);
    }

    private double number(JsonElement e, String key) {
        if (e instanceof JsonPrimitive p && p.isNumber() && Double.isFinite(p.getAsDouble())) {
            return p.getAsDouble();
        }
        throw refused(key + (e == null ? " is missing" : " is no number"));
    }

    private JsonArray list(String key) {
        if (object.get(key) instanceof JsonArray a) {
            return a;
        }
        throw refused(key + (has(key) ? " is no list" : " is missing"));
    }

    JsonArray messages(String key) {
        JsonArray a = list(key);
        for (JsonElement e : a) {
            if (!e.isJsonObject()) {
                throw refused(key + " holds something that is no message");
            }
        }
        return a;
    }

    float[] floats(String key) {
        JsonArray a = list(key);
        float[] values = new float[a.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) number(a.get(i), key);
        }
        return values;
    }

    int[] ids(String key, int vocabSize) {
        JsonArray a = list(key);
        int[] ids = new int[a.size()];
        for (int i = 0; i < ids.length; i++) {
            double n = number(a.get(i), key);
            if (n != (int) n || n < 0 || n >= vocabSize) {
                throw refused(key + " holds " + a.get(i) + ", the model has ids 0 to " + (vocabSize - 1));
            }
            ids[i] = (int) n;
        }
        return ids;
    }
}
