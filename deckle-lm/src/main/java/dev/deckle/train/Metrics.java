package dev.deckle.train;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import dev.deckle.io.AtomicFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// The record of a run, `metrics.jsonl`: one JSON object a line, most of them with a `step`.
///
/// Each line is handed to the system as it is written, so that a killed process loses none. A resumed run first calls
/// [#cutBack], which takes away what the interrupted one wrote beyond its checkpoint.
public final class Metrics implements AutoCloseable {
    private static final Gson GSON =
            new GsonBuilder().disableHtmlEscaping().setStrictness(Strictness.STRICT).create();

    private final FileChannel channel;

    private Metrics(FileChannel channel) {
        this.channel = channel;
    }

    /// Goes on at the end of `file`, or begins it.
    public static Metrics open(Path file) throws IOException {
        return new Metrics(FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND));
    }

    /// @throws IllegalArgumentException if a number is not finite, which JSON cannot say
    public void write(JsonObject line) throws IOException {
        var b = ByteBuffer.wrap((GSON.toJson(line) + "\n").getBytes(StandardCharsets.UTF_8));
        while (b.hasRemaining()) {
            channel.write(b);
        }
    }

    /// Returns when what was written is on the disk: to be called before a checkpoint that relies on it.
    public void sync() throws IOException {
        channel.force(false);
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    /// Takes out all lines of steps after `step` and a last line that was torn by a kill. The file is replaced as a
    /// whole: a kill meanwhile leaves the old one or the new one. Without a file there is nothing to do.
    ///
    /// @throws IOException if a whole line is not a JSON object; the message says which
    public static void cutBack(Path file, long step) throws IOException {
        if (!Files.exists(file)) {
            return;
        }
        String text = Files.readString(file);
        var kept = new StringBuilder();
        int number = 1;
        for (int from = 0, end; (end = text.indexOf('\n', from)) >= 0; from = end + 1, number++) {
            String line = text.substring(from, end);
            if (stepOf(file, number, line) <= step) {
                kept.append(line).append('\n');
            }
        }
        AtomicFile.write(file, kept.toString());
    }

    /// A line without a step belongs to the run as a whole, so to before its first step.
    private static long stepOf(Path file, int number, String line) throws IOException {
        try {
            JsonElement step = JsonParser.parseString(line).getAsJsonObject().get("step");
            return step == null ? 0 : step.getAsLong();
        } catch (JsonParseException | IllegalStateException | NumberFormatException | UnsupportedOperationException e) {
            throw new IOException(file + ": line " + number + " should be a JSON object with a step that is a number",
                    e);
        }
    }
}
