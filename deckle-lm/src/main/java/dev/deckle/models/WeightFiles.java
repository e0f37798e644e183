package dev.deckle.models;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.deckle.io.AtomicFile;
import dev.deckle.io.Safetensors;
import dev.deckle.io.Shown;
import dev.deckle.json.TextFile;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.stream.Stream;

/// The weights of a model folder as Hugging Face lays them out: `model.safetensors`, or shards that
/// `model.safetensors.index.json` lists.
final class WeightFiles {
    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";
    private static final int MOST_SHARDS = 10_000;
    static final Map<String, String> METADATA = Map.of("format", "pt"); // transformers asks for it

    private WeightFiles() {}

    /// Whether a folder has a model's weights.
    static boolean any(Path folder) {
        return TextFile.exists(folder.resolve(SINGLE)) || TextFile.exists(folder.resolve(INDEX));
    }

    /// All tensors by name, mapped.
    ///
    /// @throws IOException in one line naming the file that is missing or broken
    static Map<String, Tensor> open(Path folder, ModelMemory memory) throws IOException {
        Path single = folder.resolve(SINGLE);
        if (TextFile.exists(single)) {
            return read(single, memory);
        }
        Path index = folder.resolve(INDEX);
        if (TextFile.exists(index)) {
            return shards(index, memory);
        }
        throw new IOException(single + ": there is no such file, nor " + INDEX + foreign(folder));
    }

    private static Map<String, Tensor> shards(Path index, ModelMemory memory) throws IOException {
        ConfigReader reader = ConfigReader.open(index);
        JsonObject places = reader.object("weight_map")
                .orElseThrow(() -> reader.bad("weight_map", "the file of each weight"))
                .json();
        Set<String> files = new LinkedHashSet<>();
        for (var e : places.entrySet()) {
            files.add(fileName(index, e.getKey(), e.getValue()));
        }
        if (files.size() > MOST_SHARDS) {
            throw new IOException(index + ": weight_map names " + files.size() + " files, at most " + MOST_SHARDS
                    + " are read");
        }
        Map<String, Tensor> all = new LinkedHashMap<>();
        Map<String, String> from = new LinkedHashMap<>();
        for (String file : files) {
            for (var e : read(index.resolveSibling(file), memory).entrySet()) {
                if (all.put(e.getKey(), e.getValue()) != null) {
                    throw new IOException(
                            index.resolveSibling(file) + ": holds " + Shown.brief(e.getKey()) + ", and so does "
                                    + from.get(e.getKey()));
                }
                from.put(e.getKey(), file);
            }
        }
        for (var e : places.entrySet()) {
            if (!e.getValue().getAsString().equals(from.get(e.getKey()))) {
                throw new IOException(index + ": weight_map says that " + Shown.brief(e.getKey()) + " is in "
                        + e.getValue().getAsString() + ", it is " + (from.containsKey(e.getKey())
                                ? "in " + from.get(e.getKey())
                                : "not"));
            }
        }
        return all;
    }

    /// A name in the index must be that of a file beside it: it comes from a stranger.
    private static String fileName(Path index, String weight, JsonElement value) throws IOException {
        String name = value.isJsonPrimitive() && value.getAsJsonPrimitive().isString() ? value.getAsString() : "";
        if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,200}\\.safetensors")) {
            throw new IOException(index + ": weight_map puts " + Shown.brief(weight) + " into "
                    + Shown.brief(value.toString()) + ", expected the name of a .safetensors file beside it");
        }
        return name;
    }

    /// All tensors of one file.
    static Map<String, Tensor> read(Path file, ModelMemory memory) throws IOException {
        if (!Files.isRegularFile(file)) { // a pipe would never end
            throw new IOException(file + ": " + (!TextFile.exists(file) ? "there is no such file"
                    : Files.exists(file) ? "is no file" : "is a link to a file that is not there"));
        }
        return Safetensors.open(file, memory).tensors();
    }

    /// Writes `model.safetensors`, or shards and their index where it would have more than `mostBytes`.
    ///
    /// @param dtype of each tensor in the files
    /// @param values what is written for each, of its shape; made when its turn comes, so that one at a time is in
    ///     memory
    static void save(
            Path folder, Map<String, Tensor> tensors, BiFunction<String, Tensor, DType> dtype, long mostBytes,
            BiFunction<String, Tensor, Tensor> values) {
        List<Map<String, Tensor>> shards = new ArrayList<>();
        long total = 0;
        long room = 0;
        for (var e : tensors.entrySet()) {
            long bytes = e.getValue().numel() * dtype.apply(e.getKey(), e.getValue()).bytes();
            if (shards.isEmpty() || bytes > room) {
                shards.add(new LinkedHashMap<>());
                room = mostBytes;
            }
            shards.getLast().put(e.getKey(), e.getValue());
            room -= bytes;
            total += bytes;
        }
        if (shards.size() <= 1) {
            Safetensors.save(folder.resolve(SINGLE), tensors, METADATA, dtype, values);
            return;
        }
        JsonObject places = new JsonObject();
        for (int i = 0; i < shards.size(); i++) {
            String name = String.format("model-%05d-of-%05d.safetensors", i + 1, shards.size());
            Safetensors.save(folder.resolve(name), shards.get(i), METADATA, dtype, values);
            shards.get(i).keySet().forEach(k -> places.addProperty(k, name));
        }
        JsonObject size = new JsonObject();
        size.addProperty("total_size", total);
        JsonObject index = new JsonObject();
        index.add("metadata", size);
        index.add("weight_map", places);
        AtomicFile.write(folder.resolve(INDEX), new GsonBuilder().setPrettyPrinting().create().toJson(index) + "\n");
    }

    /// What a folder holds in place of a model, and what to do about it; empty if it holds nothing known.
    static String foreign(Path folder) {
        List<String> names = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            files.limit(MOST_SHARDS).map(p -> p.getFileName().toString()).sorted().forEach(names::add);
        } catch (IOException _) {
            return "";
        }
        for (String n : names) {
            String what = n.startsWith("adapter_") ? adapter(folder) : foreign(n);
            if (!what.isEmpty()) {
                return "; " + Shown.brief(n) + " is " + what;
            }
        }
        return "";
    }

    private static String foreign(String name) {
        if (name.endsWith(".gguf")) {
            return "GGUF, which is not read yet: take the model's safetensors";
        }
        if (name.matches("pytorch_model.*\\.bin(\\.index\\.json)?") || name.endsWith(".pth") || name.endsWith(".pt")) {
            return "a pickle, which is a program: save the model with safe_serialization, as safetensors";
        }
        if (name.matches("tf_model.*\\.h5|flax_model.*\\.msgpack|.*\\.onnx")) {
            String kind = name.endsWith(".h5") ? "TensorFlow's" : name.endsWith(".onnx") ? "ONNX" : "Flax's";
            return kind + ", which is not read: take the model's safetensors";
        }
        if (name.startsWith("consolidated") && name.endsWith(".safetensors")) {
            return "in Mistral's own layout, which is not read: take the files in Hugging Face's";
        }
        return "";
    }

    /// An adapter is a change to another model, and names it.
    private static String adapter(Path folder) {
        String base = "its base model";
        try {
            base = ConfigReader.open(folder.resolve("adapter_config.json")).text("base_model_name_or_path", base);
        } catch (IOException | IllegalArgumentException _) {
            // without its name then
        }
        return "an adapter of " + Shown.brief(base) + ", not a model: merge it into that first (deckle convert)";
    }
}
