package dev.deckle.train;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.deckle.io.AtomicFile;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.models.CausalLm;
import dev.deckle.optim.AdamW;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/// A moment of a run from which it goes on bit for bit: weights, moments, and the number of steps, from which the
/// schedule, the data and every random stream follow.
///
/// A checkpoint is a folder, `checkpoints/step-0000040`, written under another name, synced, then renamed: one with
/// such a name is whole. It is a model folder itself. The two newest are kept.
///
/// @param step optimizer steps that were made
/// @param seconds how long the run had trained
/// @param options the run's options
record Checkpoint(Path folder, long step, double seconds, TrainOptions options) {
    private static final int KEPT = 2;
    private static final String PREFIX = "step-";

    /// Writes one, and puts its weights in the run's own folder.
    static Checkpoint save(
            RunFolder run, CausalLm model, AdamW optimizer, long step, double seconds, TrainOptions options)
            throws IOException {
        Path all = Files.createDirectories(run.file("checkpoints"));
        Path done = all.resolve(String.format("%s%07d", PREFIX, step));
        Path making = all.resolve(".making-" + done.getFileName());
        delete(making);
        Files.createDirectory(making);
        try {
            Safetensors.save(making.resolve("model.safetensors"), model.parameters(), Map.of("format", "pt"));
            Safetensors.save(making.resolve("optimizer.safetensors"), optimizer.state(), Map.of());
            for (String name : List.of("config.json", "generation_config.json", "tokenizer.json",
                    "tokenizer_config.json")) {
                Files.copy(run.file(name), making.resolve(name));
            }
            JsonObject state = new JsonObject();
            state.addProperty("step", step);
            state.addProperty("seconds", seconds);
            state.add("options", options.json());
            AtomicFile.write(making.resolve("state.json"),
                    new GsonBuilder().setPrettyPrinting().create().toJson(state) + "\n");
            sync(making);
            delete(done); // of a run that was resumed from before it
            Files.move(making, done, StandardCopyOption.ATOMIC_MOVE);
            sync(all);
        } catch (IOException | RuntimeException e) {
            delete(making);
            throw e;
        }
        publish(done.resolve("model.safetensors"), run.file("model.safetensors"));
        List<Path> old = folders(run.path());
        for (Path p : old.subList(Math.min(KEPT, old.size()), old.size())) {
            delete(p);
        }
        return new Checkpoint(done, step, seconds, options);
    }

    /// The newest checkpoint of a run folder that can be read.
    static Optional<Checkpoint> newest(Path run) throws IOException {
        for (Path p : folders(run)) {
            Path file = p.resolve("state.json");
            try {
                JsonObject state = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
                return Optional.of(new Checkpoint(p, state.get("step").getAsLong(), state.get("seconds").getAsDouble(),
                        TrainOptions.read(state.getAsJsonObject("options"))));
            } catch (JsonParseException | IllegalStateException | NullPointerException | NumberFormatException
                    | ClassCastException e) {
                throw new IOException(file + ": not the state of a run", e);
            }
        }
        return Optional.empty();
    }

    /// Puts the moments back into an optimizer.
    void restore(AdamW optimizer) {
        Path file = folder.resolve("optimizer.safetensors");
        try (ModelMemory memory = new ModelMemory()) {
            Map<String, Tensor> saved = Safetensors.open(file, memory).tensors();
            optimizer.state().forEach((name, own) -> {
                Tensor t = saved.get(name);
                if (t == null || !t.shape().equals(own.shape()) || t.dtype() != own.dtype()) {
                    throw new IllegalArgumentException(file + ": " + name + " is "
                            + (t == null ? "missing" : t.dtype() + " " + t.shape()) + ", expected " + own.dtype() + " "
                            + own.shape());
                }
                t.copyInto(own);
            });
        }
        optimizer.restore(step);
    }

    /// The same data under another name, as a link where the file system has such; whole or not at all.
    private static void publish(Path from, Path to) throws IOException {
        Path link = to.resolveSibling(to.getFileName() + ".link");
        Files.deleteIfExists(link);
        try {
            Files.createLink(link, from);
        } catch (UnsupportedOperationException | java.nio.file.FileSystemException e) {
            Files.copy(from, link);
        }
        Files.move(link, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    /// Checkpoints, the newest first.
    private static List<Path> folders(Path run) throws IOException {
        Path all = run.resolve("checkpoints");
        if (!Files.isDirectory(all)) {
            return List.of();
        }
        try (Stream<Path> there = Files.list(all)) {
            return there.filter(p -> p.getFileName().toString().matches(PREFIX + "\\d{7,18}"))
                    .sorted(Comparator.<Path>comparingLong(
                            p -> Long.parseLong(p.getFileName().toString().substring(PREFIX.length())))
                            .reversed())
                    .toList();
        }
    }

    private static void sync(Path folder) throws IOException {
        try (FileChannel c = FileChannel.open(folder, StandardOpenOption.READ)) {
            c.force(true);
        }
    }

    private static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            try (Stream<Path> tree = Files.walk(folder)) {
                for (Path p : tree.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(p);
                }
            }
        }
    }
}
