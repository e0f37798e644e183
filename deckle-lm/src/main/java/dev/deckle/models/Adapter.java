package dev.deckle.models;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import dev.deckle.io.Shown;
import dev.deckle.json.TextFile;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Lora;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// A folder with an adapter as PEFT keeps it: `adapter_config.json`, which names the model that it belongs to, and
/// `adapter_model.safetensors`. [Adapted] writes such.
///
/// @param base the folder of the model below
public record Adapter(Path folder, Path base) {
    static final String CONFIG = "adapter_config.json";
    static final String WEIGHTS = "adapter_model.safetensors";
    static final String PREFIX = "base_model.model."; // of PEFT's wrapper and of what it wraps

    /// PEFT saves a head that has an adapter whole, beside it.
    private static final String HEAD = "lm_head.base_layer.weight";

    /// What the model below is for: its words, or a judgement.
    private static final String WRITES = "CAUSAL_LM";
    private static final String JUDGES = "SEQ_CLS";

    /// What learns whole beside an adapter that judges: PEFT names both by itself, and means the one that there is.
    private static final Set<JsonElement> SCORES = Set.of(new JsonPrimitive("score"), new JsonPrimitive("classifier"));

    /// Keys that change what is computed and are not known here, with the values that do nothing.
    private static final Map<String, String> IDLE = new LinkedHashMap<>();

    static {
        String[] idle = {
            "peft_type", "\"LORA\"", "bias", "\"none\"", "use_dora", "false", "lora_bias", "false", "use_qalora",
            "false", "modules_to_save", "null", "rank_pattern", "{}", "alpha_pattern", "{}", "layer_replication",
            "null", "trainable_token_indices", "null", "target_parameters", "null", "alora_invocation_tokens", "null",
            "arrow_config", "null", "use_bdlora", "null", "kasa_config", "null", "velora_config", "null",
            "monteclora_config", "null", "ensure_weight_tying", "false"
        };
        for (int i = 0; i < idle.length; i += 2) {
            IDLE.put(idle[i], idle[i + 1]);
        }
    }

    /// First values that leave the model below as it is; others (PiSSA, OLoRA, LoftQ, CorDA) change it too.
    private static final Set<String> PLAIN_INIT = Set.of("true", "false", "null", "\"gaussian\"", "\"eva\"",
            "\"orthogonal\"");

    private static final int MOST_TARGETS = 100_000;

    /// What is in the folder.
    ///
    /// @param weights by the names of a model's parameters, mapped
    record Content(Lora lora, Map<String, Tensor> weights) {}

    /// Whether a folder holds an adapter and no model.
    public static boolean is(Path folder) {
        return TextFile.exists(folder.resolve(CONFIG)) && !WeightFiles.any(folder);
    }

    /// Where a file is that goes with the model in a folder: there, or, where that is an adapter without it, in the
    /// folder of the model below.
    public static Path holder(Path folder, String file) throws IOException {
        return is(folder) && !TextFile.exists(folder.resolve(file)) ? open(folder).base : folder;
    }

    /// @throws IOException if the adapter or the model below is not there
    static Adapter open(Path folder) throws IOException {
        ConfigReader c = ConfigReader.open(folder.resolve(CONFIG));
        String key = "base_model_name_or_path";
        String name = c.text(key, "");
        String expected = "the folder of the adapter's base model, absolute or relative to the adapter's or to the one "
                + "where the command runs";
        if (name.isBlank()) {
            throw c.bad(key, expected);
        }
        Path base;
        try {
            Path beside = folder.resolve(name).normalize();
            base = Files.isDirectory(beside) ? beside : Path.of(name);
        } catch (InvalidPathException _) {
            throw c.bad(key, expected);
        }
        if (!Files.isDirectory(base)) {
            throw new IOException(folder.resolve(CONFIG) + ": the base model of the adapter, " + Shown.brief(name)
                    + ", is not there: " + key + " must be " + expected);
        }
        if (is(base)) {
            throw new IOException(folder.resolve(CONFIG) + ": " + key + " is " + Shown.brief(name)
                    + ", which is an adapter itself: merge that one into its model first (deckle convert)");
        }
        return new Adapter(folder, base);
    }

    /// Reads both files.
    ///
    /// @param judges whether it is to be one of a classifier, with the score that it was trained with
    /// @throws IOException if one is missing or broken
    /// @throws IllegalArgumentException naming file, key or tensor, where it holds something that is not supported
    Content read(ModelMemory memory, boolean judges) throws IOException {
        ConfigReader c = ConfigReader.open(folder.resolve(CONFIG));
        String task = judges ? JUDGES : WRITES;
        if (!c.text("task_type", WRITES).equals(task)) {
            throw c.bad("task_type", task);
        }
        IDLE.forEach((key, idle) -> {
            boolean score = judges && key.equals("modules_to_save") && isScore(c.json().get(key));
            if (c.has(key) && !score && !idle(c.json().get(key), JsonParser.parseString(idle))) {
                throw c.bad(key, idle + ": other adapters are not read");
            }
        });
        if (!PLAIN_INIT.contains(c.json().has("init_lora_weights") ? c.json().get("init_lora_weights").toString()
                : "true")) {
            throw c.bad("init_lora_weights", "true: others change the base model too, so save the adapter as a plain "
                    + "one first (PEFT: path_initial_model_for_weight_conversion)");
        }
        c.flag("fan_in_fan_out", false); // says how the model below lies in memory, which that knows itself
        Map<String, Tensor> weights = weights(memory, judges);
        Lora lora = new Lora(c.integer("r", 1, 1 << 20, 8), c.real("lora_alpha", 0, Optional.of(8.0)),
                c.probability("lora_dropout"), targets(c, weights.keySet()), c.flag("use_rslora", false));
        for (String name : weights.keySet()) {
            if (Lora.isAdapter(name) && !lora.targets(layer(name))) {
                throw new IllegalArgumentException(folder.resolve(WEIGHTS) + ": " + Shown.brief(name)
                        + " is of no layer that target_modules in " + CONFIG + " names");
            }
        }
        return new Content(lora, weights);
    }

    private static boolean isScore(JsonElement found) {
        return found instanceof JsonArray names && names.asList().stream().allMatch(SCORES::contains);
    }

    private static boolean idle(JsonElement found, JsonElement idle) {
        boolean empty = found.isJsonArray() && found.getAsJsonArray().isEmpty()
                || found.isJsonObject() && found.getAsJsonObject().isEmpty()
                || found instanceof JsonPrimitive p && p.isBoolean() && !p.getAsBoolean();
        return found.equals(idle) || empty && !idle.isJsonPrimitive();
    }

    /// The path of the layer that a parameter of an adapter belongs to.
    static String layer(String parameter) {
        return parameter.substring(0, parameter.lastIndexOf(".lora_"));
    }

    /// The names that the file has, or, where it chooses layers in another way (a pattern, which is not run; layers by
    /// their numbers; exceptions), those layers that have weights.
    private static List<String> targets(ConfigReader c, Set<String> weights) {
        JsonElement found = c.json().get("target_modules");
        boolean pattern = found instanceof JsonPrimitive p && p.isString() && !p.getAsString().equals(Lora.ALL_LINEAR);
        if (pattern || c.has("layers_to_transform") || c.has("exclude_modules")) {
            Set<String> layers = new LinkedHashSet<>();
            weights.stream().filter(Lora::isAdapter).map(Adapter::layer).forEach(layers::add);
            if (layers.isEmpty()) {
                throw c.bad("target_modules", "layers that " + WEIGHTS + " has weights of");
            }
            return List.copyOf(layers);
        }
        JsonArray names = new JsonArray();
        if (found instanceof JsonArray a) {
            names = a;
        } else if (found != null) {
            names.add(found);
        }
        List<String> targets = new ArrayList<>();
        for (JsonElement e : names) {
            if (!(e instanceof JsonPrimitive p) || !p.isString() || p.getAsString().isBlank()) {
                throw c.bad("target_modules", "names of layers, or " + Lora.ALL_LINEAR);
            }
            targets.add(p.getAsString());
        }
        if (targets.isEmpty() || targets.size() > MOST_TARGETS) {
            throw c.bad("target_modules", "names of layers, or " + Lora.ALL_LINEAR);
        }
        return targets;
    }

    private Map<String, Tensor> weights(ModelMemory memory, boolean judges) throws IOException {
        Path file = folder.resolve(WEIGHTS);
        if (!TextFile.exists(file) && TextFile.exists(folder.resolve("adapter_model.bin"))) {
            throw new IOException(folder.resolve("adapter_model.bin") + ": a pickle, which is a program: save the "
                    + "adapter with safe_serialization, as " + WEIGHTS);
        }
        Map<String, Tensor> weights = new LinkedHashMap<>();
        for (var e : WeightFiles.read(file, memory).entrySet()) {
            String name = e.getKey().startsWith(PREFIX) ? e.getKey().substring(PREFIX.length()) : "";
            if (name.equals(HEAD)) {
                weights.put("lm_head.weight", e.getValue());
            } else if (judges && name.equals(SequenceClassifier.SCORE)) {
                weights.put(name, e.getValue());
            } else if (Lora.isAdapter(name) && !name.contains("experts.lora_") && !name.contains(".base_layer.")) {
                weights.put(name, e.getValue());
            } else {
                throw new IllegalArgumentException(file + ": holds " + Shown.brief(e.getKey()) + ", " + why(name));
            }
        }
        return weights;
    }

    private static String why(String name) {
        if (name.contains("lora_embedding_")) {
            return "an adapter of an embedding, which is not read";
        }
        if (name.contains("experts.lora_") || name.contains("experts.base_layer.lora_")) {
            return "an adapter of all experts at once, which is not read: expected one for each expert's layers";
        }
        return "expected names such as " + PREFIX + "model.layers.0.self_attn.q_proj.lora_A.weight";
    }

    /// What an adapter folder says of an adapter.
    ///
    /// @param layers that have one
    /// @param transposed whether the matrices of the model below lie as (in, out)
    /// @param judges whether it is one of a classifier, whose score is saved beside it
    static JsonObject config(Lora lora, Path base, Set<String> layers, boolean transposed, boolean judges) {
        JsonArray targets = new JsonArray();
        List<String> names = lora.targetModules();
        if (names.contains(Lora.ALL_LINEAR)) { // as PEFT does: it is names that its reader compares
            names = layers.stream().map(p -> p.substring(p.lastIndexOf('.') + 1)).distinct().sorted().toList();
        }
        names.forEach(targets::add);
        JsonObject j = new JsonObject();
        j.addProperty("peft_type", "LORA");
        j.addProperty("task_type", judges ? JUDGES : WRITES);
        j.addProperty("base_model_name_or_path", base.toAbsolutePath().normalize().toString());
        j.addProperty("r", lora.rank());
        j.addProperty("lora_alpha", number(lora.alpha()));
        j.addProperty("lora_dropout", lora.dropout());
        j.add("target_modules", targets);
        j.addProperty("bias", "none");
        j.addProperty("fan_in_fan_out", transposed);
        j.addProperty("use_rslora", lora.rankStabilised());
        j.addProperty("inference_mode", true);
        if (judges) {
            JsonArray whole = new JsonArray();
            whole.add("score");
            j.add("modules_to_save", whole);
        }
        return j;
    }

    /// PEFT's is a whole number as a rule.
    private static Number number(double d) {
        return d == Math.rint(d) && d < 1e15 ? (Number) (long) d : (Number) d;
    }
}
