package dev.deckle.parity;

import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Init;
import dev.deckle.nn.Weights;
import dev.deckle.tensor.Tensor;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// One file of golden numbers: what goes into a component, and what PyTorch got out of it. A run of a component takes a
/// fresh copy of everything that it may change or derive by.
///
/// Tensors are `param.NAME`, `buffer.NAME`, `input.NAME`, `output.NAME`, `cotangent.NAME`, `grad.param.NAME`,
/// `grad.input.NAME` and `after.buffer.NAME`; the metadata holds `component` and `config` (JSON).
public final class GoldenCase {
    private static final List<String> KINDS = List.of("param.", "buffer.", "input.", "output.", "cotangent.",
            "grad.param.", "grad.input.", "after.buffer.");

    private final String name;
    private final String component;
    private final JsonObject config;
    private final Map<String, Tensor> tensors;

    private GoldenCase(String name, String component, JsonObject config, Map<String, Tensor> tensors) {
        this.name = name;
        this.component = component;
        this.config = config;
        this.tensors = tensors;
    }

    /// Opens a file; its tensors live as long as `memory`.
    ///
    /// @throws IllegalArgumentException in one line that names the file, if it is damaged or no golden case
    public static GoldenCase open(Path file, ModelMemory memory) {
        Safetensors golden = Safetensors.open(file, memory);
        String component = golden.metadata().get("component");
        if (component == null) {
            throw new IllegalArgumentException(file + ": no golden case: its metadata has no key component");
        }
        for (String name : golden.tensors().keySet()) {
            if (KINDS.stream().noneMatch(name::startsWith)) {
                throw new IllegalArgumentException(file + ": tensor " + name + " is of no kind that is known: expected "
                        + String.join(", ", KINDS));
            }
        }
        return new GoldenCase(file.getFileName().toString().replaceFirst("\\.safetensors$", ""), component,
                config(file, golden.metadata().getOrDefault("config", "{}")), golden.tensors());
    }

    private static JsonObject config(Path file, String json) {
        try {
            if (JsonParser.parseString(json) instanceof JsonObject o) {
                return o;
            }
        } catch (JsonParseException e) {
            // said below
        }
        throw new IllegalArgumentException(file + ": metadata key config is no JSON object");
    }

    public String name() {
        return name;
    }

    public String component() {
        return component;
    }

    /// All expected tensors whose names begin with `kind` and a dot, by the rest of their names.
    Map<String, Tensor> all(String kind) {
        Map<String, Tensor> found = new LinkedHashMap<>();
        tensors.forEach((key, t) -> {
            if (key.startsWith(kind + ".")) {
                found.put(key.substring(kind.length() + 1), t);
            }
        });
        return found;
    }

    /// A run of a component on this case.
    Run run() {
        return new Run();
    }

    /// What a component sees of the case, and what it leaves behind.
    public final class Run implements AutoCloseable {
        private final ModelMemory memory = new ModelMemory();
        private final Config settings = new Config(config);
        private final Map<String, Tensor> inputs = new LinkedHashMap<>();
        private final Map<String, Tensor> state = new LinkedHashMap<>();
        private final Set<String> unread = new TreeSet<>();
        private final Map<String, Tensor> asked = new LinkedHashMap<>();
        private Optional<Weights> weights = Optional.empty();
        private Map<String, String> names = Map.of();

        private Run() {
            all("input").forEach((key, t) -> {
                inputs.put(key, t.dtype().floating() ? t.keep().requireGrad() : t);
                unread.add("input." + key);
            });
            all("param").forEach((key, t) -> state.put(key, t));
            all("buffer").forEach((key, t) -> {
                state.put(key, t);
                unread.add("buffer." + key);
            });
        }

        public Config config() {
            return settings;
        }

        /// @throws IllegalArgumentException if the case has no such input
        public Tensor input(String name) {
            return find(name).orElseThrow(() -> new IllegalArgumentException("input." + name + " is missing"));
        }

        public Optional<Tensor> find(String name) {
            unread.remove("input." + name);
            return Optional.ofNullable(inputs.get(name));
        }

        /// A buffer that the component only reads.
        public Tensor buffer(String name) {
            return findBuffer(name).orElseThrow(() -> new IllegalArgumentException("buffer." + name + " is missing"));
        }

        public Optional<Tensor> findBuffer(String name) {
            unread.remove("buffer." + name);
            return Optional.ofNullable(all("buffer").get(name));
        }

        /// Whether the case has an output of this name.
        public boolean expects(String output) {
            return all("output").containsKey(output);
        }

        private int[] parameterShape(String name) {
            Tensor t = all("param").get(name);
            if (t == null) {
                throw new IllegalArgumentException("param." + name + " is missing");
            }
            return t.shape().toArray();
        }

        /// A trainable parameter by the case's name, for a component that is no layer.
        ///
        /// @throws IllegalArgumentException if the case has no such parameter
        public Tensor parameter(String name) {
            return asked.computeIfAbsent(name, n -> weights.orElseGet(() -> weights(Map.of())).get(n, Init.zeros(),
                    parameterShape(n)));
        }

        /// Parameters and buffers, trainable, under the names that the component gives them; `renamed` leads from those
        /// to the case's where they differ.
        public Weights weights(Map<String, String> renamed) {
            Map<String, Tensor> named = new LinkedHashMap<>(state);
            renamed.forEach((ours, theirs) -> {
                if (named.containsKey(theirs)) {
                    named.put(ours, named.remove(theirs));
                }
            });
            unread.removeIf(u -> u.startsWith("buffer.")); // the weights complain of those that they do not know
            names = renamed;
            weights = Optional.of(Weights.loadTrainable(memory, named));
            return weights.get();
        }

        /// Parameters after the run by the case's names.
        private Map<String, Tensor> parameters() {
            Map<String, Tensor> found = new LinkedHashMap<>();
            try {
                weights.map(Weights::finish).orElse(Map.of())
                        .forEach((key, t) -> found.put(names.getOrDefault(key, key), t));
            } catch (IllegalArgumentException e) { // it speaks of a checkpoint, in the component's names
                String what = e.getMessage().replaceFirst(".*config.json: ", "");
                for (var renamed : names.entrySet()) {
                    String whole = "(?<![\\w.])" + Pattern.quote(renamed.getKey()) + "(?![\\w.])";
                    what = what.replaceAll(whole, Matcher.quoteReplacement(renamed.getValue()));
                }
                throw new IllegalArgumentException("params and buffers: " + what, e);
            }
            return found;
        }

        /// @throws IllegalArgumentException if something of the case was not used
        void finish() {
            settings.finish();
            if (!unread.isEmpty()) {
                throw new IllegalArgumentException(unread.iterator().next() + " is not used by component " + component);
            }
            if (weights.isEmpty() && !all("param").isEmpty()) {
                throw new IllegalArgumentException("param." + all("param").keySet().iterator().next()
                        + " is not used by component " + component);
            }
            parameters();
        }

        /// The tensor that a name of the case stands for after the run: `input.x`, `param.w`, `buffer.running_mean`.
        Tensor after(String kind, String name) {
            Tensor t = switch (kind) {
                case "input" -> inputs.get(name);
                case "param" -> parameters().get(name);
                default -> parameters().getOrDefault(name, state.get(name));
            };
            if (t == null) {
                throw new IllegalArgumentException("the case expects something of " + kind + "." + name
                        + ", which it does not give");
            }
            return t;
        }

        @Override
        public void close() {
            memory.close();
        }
    }
}
