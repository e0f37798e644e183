package dev.deckle.synth;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.io.Shown;
import dev.deckle.json.StrictJson;
import dev.deckle.json.TextFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A row of the data that something is made of.
///
/// @param line of its file, from 1
/// @param where its file and line, for messages
record SynthRow(long line, String where, JsonObject json) {
    private static final long LARGEST_FILE = 4L << 30;

    /// @throws IOException naming file, line and key, if a line is no object or has no prompt
    static List<SynthRow> read(Path file) throws IOException {
        String[] lines = TextFile.read(file, LARGEST_FILE).split("\n", -1);
        List<SynthRow> rows = new ArrayList<>();
        for (int i = 0; i < lines.length; i++) {
            if (!lines[i].isBlank()) {
                String where = file + ", line " + (i + 1);
                SynthRow row = new SynthRow(i + 1, where, StrictJson.object(lines[i], where));
                row.text("prompt");
                rows.add(row);
            }
        }
        if (rows.isEmpty()) {
            throw new IOException(file + ": holds no rows, expected one JSON object a line");
        }
        return rows;
    }

    String prompt() throws IOException {
        return text("prompt");
    }

    /// @throws IOException if it is missing, no text or blank
    String text(String key) throws IOException {
        if (json.get(key) instanceof JsonPrimitive p && p.isString() && !p.getAsString().isBlank()) {
            return p.getAsString();
        }
        throw new IOException(where + ": " + (json.has(key) ? key + " is no text, or a blank one"
                : "has the keys " + Shown.brief(String.join(", ", json.keySet())) + ", expected " + key));
    }

    /// The text of the first key that there is.
    String text(String key, String otherwise) throws IOException {
        return text(!json.has(key) && json.has(otherwise) ? otherwise : key);
    }

    String key() {
        return Same.key(json.toString());
    }

    /// For its draws: other rows before it do not change them. Endpoints take 32 bits.
    long seed(long run) {
        return Integer.parseUnsignedInt(Same.key(key(), Long.toString(run)).substring(0, 7), 16);
    }

    Map<String, JsonElement> columns() {
        return new LinkedHashMap<>(json.asMap());
    }
}
