package dev.deckle.models;

import com.google.gson.GsonBuilder;
import dev.deckle.io.AtomicFile;
import dev.deckle.io.Safetensors;
import dev.deckle.nn.Lora;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/// A model of which an adapter learns and nothing else ([Models#adapt]).
/// ```java
/// try (Adapted adapted = Models.adapt(Path.of("Qwen3-0.6B"), new Lora(8, 16, 0, List.of("q_proj", "v_proj")), 1)) {
///     CausalLm policy = adapted.model();
///     Tensor reference = Lora.off(() -> policy.forward(ids, Pass.evaluate()));
///     // ... train ...
///     adapted.save(Path.of("runs/adapter"));
/// }
/// ```
///
/// @param base the folder of the model below
public record Adapted(CausalLm model, Lora lora, Path base) implements AutoCloseable {
    /// What [#save] writes.
    public static final List<String> FILES = List.of(Adapter.CONFIG, Adapter.WEIGHTS);

    /// The parameters that learn, by the names of the model: the adapter's, and the score of a model that judges.
    public Set<String> parameters() {
        Set<String> names = new LinkedHashSet<>(model.parameters().keySet());
        names.removeIf(n -> Lora.isBase(n) && !(judges() && n.equals(SequenceClassifier.SCORE)));
        return names;
    }

    private boolean judges() {
        return model instanceof SequenceClassifier;
    }

    /// How many numbers learn.
    public long parameterCount() {
        return parameters().stream().mapToLong(n -> model.parameters().get(n).numel()).sum();
    }

    /// Writes `adapter_config.json` and `adapter_model.safetensors`, as PEFT reads them and [Models#open] and
    /// [Models#openClassifier] do.
    public void save(Path folder) throws IOException {
        Map<String, Tensor> all = model.parameters();
        save(folder, all::get);
    }

    /// The same with parameters that are elsewhere, as those that ranks have divided among them.
    ///
    /// @param values a parameter by its name, in the type that the model has it in; asked for each of [#parameters()]
    ///     once, in their order
    public void save(Path folder, Function<String, Tensor> values) throws IOException {
        Files.createDirectories(folder);
        Map<String, Tensor> all = model.parameters();
        List<Safetensors.Entry> entries = parameters().stream()
                .map(n -> new Safetensors.Entry(Adapter.PREFIX + n, all.get(n).dtype(), all.get(n).shape()))
                .toList();
        Safetensors.save(folder.resolve(Adapter.WEIGHTS), entries, WeightFiles.METADATA,
                e -> values.apply(e.name().substring(Adapter.PREFIX.length())).detach());
        Set<String> layers = new LinkedHashSet<>();
        parameters().stream().filter(Lora::isAdapter).forEach(n -> layers.add(Adapter.layer(n)));
        var gson = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();
        AtomicFile.write(folder.resolve(Adapter.CONFIG),
                gson.toJson(Adapter.config(lora, base, layers, Models.liesTransposed(model.configJson()), judges()))
                        + "\n");
    }

    @Override
    public void close() {
        model.close();
    }
}
