package dev.deckle.train;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import dev.deckle.io.AtomicFile;
import dev.deckle.models.Adapted;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Conversion;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;

/// The folder of a training run, held by one process at a time: a Hugging Face model folder, or one of PEFT with an
/// adapter, the run's records, and its checkpoints.
public final class RunFolder implements AutoCloseable {
    private static final List<String> SIGNS =
            List.of("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors", "checkpoints");

    private final Path path;
    private final FileChannel channel;

    private RunFolder(Path path, FileChannel channel) {
        this.path = path;
        this.channel = channel;
    }

    /// A folder for a new run.
    ///
    /// @throws IOException in one line, if it is a file, cannot be written, is in use, or holds a run already
    public static RunFolder create(Path path) throws IOException {
        RunFolder folder = open(path);
        for (String sign : SIGNS) {
            if (Files.exists(path.resolve(sign))) {
                folder.close();
                throw new IOException(path + ": holds another run already (" + sign + "): give another --out, or go on "
                        + "with it by --resume " + path);
            }
        }
        return folder;
    }

    /// The folder of a run that exists.
    ///
    /// @throws IOException in one line, if there is none, or it is in use
    public static RunFolder resume(Path path) throws IOException {
        if (!Files.isDirectory(path)) {
            throw new IOException(path + ": there is no such run to resume");
        }
        return open(path);
    }

    private static RunFolder open(Path path) throws IOException {
        try {
            Files.createDirectories(path);
        } catch (FileAlreadyExistsException e) {
            throw new IOException(path + ": is a file, a folder is needed", e);
        } catch (IOException e) {
            throw new IOException(path + ": cannot be made: " + AtomicFile.reason(e), e);
        }
        FileChannel channel;
        try {
            channel = FileChannel.open(path.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        } catch (IOException e) {
            throw new IOException(path + ": cannot be written: " + AtomicFile.reason(e), e);
        }
        try {
            FileLock lock = channel.tryLock();
            if (lock != null) {
                return new RunFolder(path, channel);
            }
        } catch (OverlappingFileLockException _) {
            // another run of this very process: refused like any other
        }
        channel.close();
        throw new IOException(path + ": another run is writing there: wait for it, or give another --out");
    }

    /// A folder under `parent` that does not exist yet: run-1, run-2, ...
    public static Path next(Path parent) throws IOException {
        int highest = 0;
        if (Files.isDirectory(parent)) {
            try (Stream<Path> there = Files.list(parent)) {
                highest = there.map(p -> p.getFileName().toString())
                        .filter(n -> n.matches("run-\\d{1,9}"))
                        .mapToInt(n -> Integer.parseInt(n.substring(4)))
                        .max()
                        .orElse(0);
            }
        }
        return parent.resolve("run-" + (highest + 1));
    }

    public Path path() {
        return path;
    }

    /// A file of the folder.
    public Path file(String name) {
        return path.resolve(name);
    }

    /// Writes the files that make the run folder a Hugging Face model folder; the weights come with each checkpoint.
    ///
    /// @param init the folder of the model that is trained on, empty for a new one
    public void describe(CausalLm model, Tokenizer tokenizer, String init) throws IOException {
        var gson = new GsonBuilder().setPrettyPrinting().serializeNulls().create();
        AtomicFile.write(file("config.json"), gson.toJson(model.configJson()) + "\n");
        if (!init.isEmpty()) {
            Conversion.copyBeside(Path.of(init), path); // templates and end tokens stay those of the model
            return;
        }
        JsonObject generation = new JsonObject();
        int end = tokenizer.endOfText().orElseThrow();
        generation.addProperty("bos_token_id", end);
        generation.addProperty("eos_token_id", end);
        AtomicFile.write(file("generation_config.json"), gson.toJson(generation) + "\n");
        tokenizer.save(path);
    }

    /// The same for a run that makes an adapter: tokenizer and templates of the model below. What makes the folder that
    /// of an adapter comes with each checkpoint.
    public void describe(Adapted adapted) throws IOException {
        Conversion.copyWords(adapted.base(), path);
    }

    /// Takes away what a run that did not start left: its lock, and the folder if nothing else is in it.
    void discard() throws IOException {
        close();
        Files.deleteIfExists(file(".lock"));
        try {
            Files.delete(path);
        } catch (DirectoryNotEmptyException _) {
            // somebody's files: they stay
        }
    }

    @Override
    public void close() throws IOException {
        channel.close(); // gives the lock up
    }
}
