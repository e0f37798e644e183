package dev.deckle.json;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import dev.deckle.io.Shown;
import java.io.IOException;
import java.io.StringReader;

/// JSON by the standard (RFC 8259) and nothing else: no comments, no bare words, nothing after the end.
public final class StrictJson {
    private StrictJson() {}

    /// The object that is all of `text`.
    ///
    /// @param where begins the message of a failure: the file, perhaps with a line
    public static JsonObject object(String text, String where) throws IOException {
        var reader = new JsonReader(new StringReader(text));
        reader.setStrictness(Strictness.STRICT);
        try {
            JsonElement root = JsonParser.parseReader(reader);
            if (root instanceof JsonObject object && reader.peek() == JsonToken.END_DOCUMENT) {
                return object;
            }
        } catch (JsonParseException | IOException e) {
            throw new IOException(where + ": not JSON" + place(e.getMessage()), e);
        }
        throw new IOException(where + ": expected one JSON object");
    }

    /// The useful part of the parser's message: around it are class names and a web address.
    private static String place(String message) {
        String first = message.lines().findFirst().orElse("");
        int at = first.indexOf(" at line ");
        return Shown.brief(at >= 0 ? first.substring(at) : ": " + first.replaceFirst("^[\\w.]*Exception: ", ""), 120);
    }
}
