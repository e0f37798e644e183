package dev.deckle.train;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.io.AtomicFile;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.models.Adapted;
import dev.deckle.models.CausalLm;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Gathered;
import dev.deckle.zero.Partition;
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
import java.util.Set;
import java.util.stream.Stream;

/// A moment of a run from which it goes on bit for bit: weights, moments, and the number of steps, from which the
/// schedule, the data and every random stream follow.
///
/// A checkpoint is a folder, `checkpoints/step-0000040`, written under another name, synced, then renamed: one with
/// such a name is whole. It is a model folder itself, or that of an adapter, where an adapter is all that learns. The
/// two newest are kept.
public record Checkpoint(Path folder, State state) {
    /// @param step optimizer steps that were made
    /// @param seconds how long the run had trained
    /// @param dataChecksum of the tokens that it is trained on and judged by
    /// @param options the run's options
    public record State(long step, double seconds, long dataChecksum, JsonObject options) {
        JsonObject json() {
            JsonObject o = new JsonObject();
            o.addProperty("step", step);
            o.addProperty("seconds", seconds);
            o.addProperty("data_checksum", dataChecksum);
            o.add("options", options);
            return o;
        }

        static State read(JsonObject o) {
            State s = new State(o.get("step").getAsLong(), o.get("seconds").getAsDouble(),
                    o.get("data_checksum").getAsLong(), o.getAsJsonObject("options"));
            if (s.step < 0) {
                throw new IllegalStateException("step " + s.step);
            }
            return s;
        }
    }

    private static final int KEPT = 2;
    private static final String MODEL = "model.safetensors";
    private static final String BESIDE = "beside.safetensors";
    private static final String PREFIX = "step-";

    /// Writes one, and puts its weights in the run's own folder. The state is gathered from all ranks a layer at a
    /// time, so a checkpoint knows no ranks: every rank calls it, and the first one writes.
    ///
    /// @param folder of the first rank
    static void save(
            Optional<RunFolder> folder, CausalLm model, Optional<Adapted> adapted, Partition partition, Task task,
            State state) throws IOException {
        if (folder.isPresent()) {
            write(folder.get(), model, adapted, partition, task, state);
            return;
        }
        try (Gathered whole = partition.gathered()) { // in the order in which the first rank writes them
            Set<String> made = adapted.map(Adapted::parameters).orElse(model.parameters().keySet());
            made.stream().filter(partition.weights()::contains).map(n -> saved(n, task, partition)).forEach(whole::of);
            beside(model, partition).forEach(whole::of);
            partition.optimizerState().forEach(whole::of);
        }
    }

    private static void write(
            RunFolder run, CausalLm model, Optional<Adapted> adapted, Partition partition, Task task, State state)
            throws IOException {
        Path all = Files.createDirectories(run.file("checkpoints"));
        Path done = all.resolve(String.format("%s%07d", PREFIX, state.step));
        Path making = all.resolve(".making");
        delete(making); // what a kill left
        Files.createDirectory(making);
        try {
            try (Gathered whole = partition.gathered()) {
                if (adapted.isPresent()) {
                    adapted.get().save(making, whole::of);
                } else {
                    saveModel(making, model.parameters(), task, partition, whole);
                }
                List<String> beside = beside(model, partition);
                if (!beside.isEmpty()) {
                    Safetensors.save(making.resolve(BESIDE), beside.stream()
                            .map(n -> new Safetensors.Entry(n, whole.dtype(n), whole.shape(n)))
                            .toList(), Map.of("format", "pt"), e -> whole.of(e.name()));
                }
                Safetensors.save(making.resolve("optimizer.safetensors"),
                        partition.optimizerState().stream()
                                .map(n -> new Safetensors.Entry(n, DType.F32, whole.shape(n)))
                                .toList(),
                        Map.of(), e -> whole.of(e.name()));
            }
            for (String name : List.of("config.json", "generation_config.json", "tokenizer.json",
                    "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json")) {
                if (Files.exists(run.file(name))) { // a model of ids alone has no tokenizer
                    AtomicFile.write(making.resolve(name), Files.readAllBytes(run.file(name)));
                }
            }
            AtomicFile.write(making.resolve("state.json"),
                    new GsonBuilder().setPrettyPrinting().create().toJson(state.json()) + "\n");
            task.save(making);
            sync(making);
            delete(done); // of a run that was resumed from before it
            Files.move(making, done, StandardCopyOption.ATOMIC_MOVE);
            sync(all);
        } catch (IOException | RuntimeException | Error e) {
            delete(making);
            throw e;
        }
        for (String file : adapted.isPresent() ? Adapted.FILES : List.of(MODEL)) {
            publish(done.resolve(file), run.file(file));
        }
        List<Path> old = folders(run.path());
        for (Path p : old.subList(Math.min(KEPT, old.size()), old.size())) {
            delete(p);
        }
    }

    private static void saveModel(
            Path making, Map<String, Tensor> parameters, Task task, Partition partition, Gathered whole)
            throws IOException {
        Set<String> divided = partition.weights();
        Safetensors.save(making.resolve(MODEL),
                parameters.entrySet().stream()
                        .map(e -> new Safetensors.Entry(e.getKey(), divided.contains(e.getKey())
                                ? whole.dtype(saved(e.getKey(), task, partition))
                                : e.getValue().dtype(), e.getValue().shape()))
                        .toList(),
                Map.of("format", "pt"),
                e -> divided.contains(e.name())
                        ? whole.of(saved(e.name(), task, partition))
                        : parameters.get(e.name()));
    }

    /// The name of what is written as a parameter.
    private static String saved(String name, Task task, Partition partition) {
        return task.savesMasters() ? partition.master(name) : name;
    }

    /// The newest checkpoint of a run folder whose state can be read.
    ///
    /// @throws IOException if there are checkpoints and none can be read
    static Optional<Checkpoint> newest(Path run) throws IOException {
        IOException first = null;
        for (Path p : folders(run)) {
            Path file = p.resolve("state.json");
            try {
                return Optional.of(new Checkpoint(p,
                        State.read(JsonParser.parseString(Files.readString(file)).getAsJsonObject())));
            } catch (IOException | RuntimeException e) { // damaged from outside: there is an older one
                first = first != null ? first : new IOException(file + ": not the state of a run", e);
            }
        }
        if (first != null) {
            throw first;
        }
        return Optional.empty();
    }

    /// The newest one of a run that is to go on.
    public static Checkpoint toResume(Path run) throws IOException {
        return newest(run).orElseThrow(() -> new IOException(run + ": holds no checkpoint to resume from"
                + (Files.exists(run.resolve("metrics.jsonl"))
                        ? ": the run ended before its first one; start it anew with another --out"
                        : "")));
    }

    /// Weights that learn and are no part of the model that comes out, as a critic's.
    private static List<String> beside(CausalLm model, Partition partition) {
        return partition.weights().stream()
                .filter(n -> !model.parameters().containsKey(n) && partition.learns(n))
                .toList();
    }

    /// Puts this rank's part of the optimizer's state back, and of what learns beside the model.
    void restore(CausalLm model, Partition partition) {
        List<String> beside = beside(model, partition);
        if (!beside.isEmpty()) {
            Path file = folder.resolve(BESIDE);
            try (ModelMemory memory = new ModelMemory()) {
                partition.restore(beside, Safetensors.open(file, memory).tensors());
            } catch (IllegalArgumentException e) {
                throw e.getMessage().startsWith(file.toString()) ? e
                        : new IllegalArgumentException(file + ": " + e.getMessage(), e);
            }
        }
        Path file = folder.resolve("optimizer.safetensors");
        try (ModelMemory memory = new ModelMemory()) {
            partition.restore(Safetensors.open(file, memory).tensors());
        } catch (IllegalArgumentException e) {
            throw e.getMessage().startsWith(file.toString()) ? e
                    : new IllegalArgumentException(file + ": " + e.getMessage(), e);
        }
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
