package dev.deckle.models;

import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Weights;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/// The families of models by the `model_type` of their `config.json`, and how a folder is opened.
public final class Models {
    /// Builds a model of one family.
    @FunctionalInterface
    private interface Family {
        CausalLm build(ConfigReader config, Weights weights, ModelMemory memory);
    }

    private static final Map<String, Family> FAMILIES = new TreeMap<>(Map.of(
            "llama", (c, w, m) -> new Llama(Llama.Config.read(c), c.json(), w, m)));

    private Models() {}

    /// Opens a Hugging Face model folder for running: weights are mapped, not copied, where they are F32.
    ///
    /// @throws IOException in one line naming the file, where one is missing or broken
    /// @throws IllegalArgumentException in one line naming file, key and what was expected, where they do not fit
    public static CausalLm open(Path folder) throws IOException {
        return open(folder, false);
    }

    /// The same with trainable copies of the weights.
    public static CausalLm openTrainable(Path folder) throws IOException {
        return open(folder, true);
    }

    private static CausalLm open(Path folder, boolean trainable) throws IOException {
        if (!Files.isDirectory(folder)) {
            throw new IOException(folder + ": there is no such model folder");
        }
        Path configFile = folder.resolve("config.json");
        ConfigReader config = ConfigReader.open(configFile);
        Family family = FAMILIES.get(config.text("model_type", ""));
        if (family == null) {
            throw config.bad("model_type", "one of " + String.join(", ", FAMILIES.keySet()));
        }
        Path weightsFile = folder.resolve("model.safetensors");
        if (!Files.exists(weightsFile)) {
            throw new IOException(weightsFile + ": there is no such file");
        }
        ModelMemory memory = new ModelMemory();
        try {
            Map<String, Tensor> checkpoint = Safetensors.open(weightsFile, memory).tensors();
            if (trainable) { // the copies are F32, whatever they were copied from
                config.json().remove("torch_dtype");
                config.json().addProperty("dtype", "float32");
            }
            Weights weights = trainable ? Weights.loadTrainable(memory, checkpoint) : Weights.load(memory, checkpoint);
            return family.build(config, weights, memory);
        } catch (IllegalArgumentException e) {
            memory.close();
            String m = String.valueOf(e.getMessage());
            throw m.startsWith(folder.toString()) ? e : new IllegalArgumentException(folder + ": " + m, e);
        } catch (RuntimeException | Error e) {
            memory.close();
            throw e;
        }
    }
}
