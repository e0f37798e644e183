package dev.deckle.data;

import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.json.StrictJson;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// The documents of a `.jsonl` file: one JSON object a line with the document in its field `text`.
final class JsonLines {
    /// Where a line is: its number from 1, and its bytes in the file.
    record Line(long number, long offset, int length) {}

    interface Sink {
        void accept(Line line, byte[] text);
    }

    private JsonLines() {}

    /// Gives each line that is not blank with its text, in UTF-8, to `sink`; empty texts are passed over.
    ///
    /// @param file its name for messages
    static void read(InputStream in, String file, Sink sink) throws IOException {
        byte[] buffer = new byte[1 << 12];
        long offset = 0;
        for (long number = 1;; number++) {
            int length = 0;
            int b;
            while ((b = in.read()) >= 0 && b != '\n') {
                if (length == buffer.length) {
                    buffer = Arrays.copyOf(buffer, grown(length, file, number));
                }
                buffer[length++] = (byte) b;
            }
            if (!blank(buffer, length)) {
                byte[] text = text(buffer, length, file + ": line " + number);
                if (text.length > 0) {
                    sink.accept(new Line(number, offset, length), text);
                }
            }
            offset += length + 1L;
            if (b < 0) {
                return;
            }
        }
    }

    /// The `text` of one line.
    ///
    /// @param where file and line for messages
    static byte[] text(byte[] line, int length, String where) throws IOException {
        JsonObject object = StrictJson.object(new String(line, 0, length, StandardCharsets.UTF_8), where);
        if (object.get("text") instanceof JsonPrimitive text && text.isString()) {
            return text.getAsString().getBytes(StandardCharsets.UTF_8);
        }
        throw new IOException(where + ": expected a string in the field \"text\", found "
                + (object.has("text") ? "another type there" : "the fields " + object.keySet()));
    }

    private static boolean blank(byte[] line, int length) {
        for (int i = 0; i < length; i++) {
            if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') {
                return false;
            }
        }
        return true;
    }

    private static int grown(int length, String file, long number) throws IOException {
        if (length > Integer.MAX_VALUE / 2 - 16) {
            throw new IOException(file + ": line " + number + " is longer than 1 GB");
        }
        return length * 2;
    }
}
