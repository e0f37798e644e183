package dev.deckle.synth;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.Strictness;
import dev.deckle.io.AtomicFile;
import dev.deckle.json.StrictJson;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/// JSON lines that grow at their end. Each line is handed to the system as it is written, so that a killed process
/// loses none; half a line that it may have left is cut off when the file is opened again.
final class LineFile implements AutoCloseable {
    private static final Gson GSON =
            new GsonBuilder().disableHtmlEscaping().setStrictness(Strictness.STRICT).create();

    private final Path file;
    private final FileChannel channel;
    private final List<JsonObject> lines = new ArrayList<>();

    private LineFile(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /// @throws IOException in one line, if the file cannot be written, is in use, or holds what is no JSON object
    static LineFile open(Path file) throws IOException {
        FileChannel channel;
        try {
            channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ,
                    StandardOpenOption.WRITE);
        } catch (NoSuchFileException e) {
            throw new IOException(file + ": there is no folder to put it into", e);
        } catch (IOException e) {
            throw new IOException(file + ": cannot be written: " + AtomicFile.reason(e), e);
        }
        try {
            LineFile lines = new LineFile(file, channel);
            lines.begin();
            return lines;
        } catch (IOException | RuntimeException | Error e) {
            channel.close();
            throw e;
        }
    }

    private void begin() throws IOException {
        try {
            if (channel.tryLock() == null) {
                throw new IOException(file + ": another process writes it");
            }
        } catch (OverlappingFileLockException e) {
            throw new IOException(file + ": is written already", e);
        }
        byte[] bytes = Files.readAllBytes(file);
        int from = 0;
        for (int i = 0; i < bytes.length; i++) {
            if (bytes[i] == '\n') {
                String line = new String(bytes, from, i - from, StandardCharsets.UTF_8);
                lines.add(StrictJson.object(line, file + ", line " + (lines.size() + 1)));
                from = i + 1;
            }
        }
        channel.truncate(from);
        channel.position(from);
    }

    /// What was there when it was opened.
    List<JsonObject> lines() {
        return lines;
    }

    synchronized void append(JsonObject line) throws IOException {
        var b = ByteBuffer.wrap((GSON.toJson(line) + "\n").getBytes(StandardCharsets.UTF_8));
        try {
            while (b.hasRemaining()) {
                channel.write(b);
            }
        } catch (IOException e) {
            throw new IOException(file + ": cannot be written: " + AtomicFile.reason(e), e);
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
