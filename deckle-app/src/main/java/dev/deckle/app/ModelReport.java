package dev.deckle.app;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/// What a model is and what its KV cache takes: as its configuration says, and as a cache has it through which tokens
/// have gone.
///
/// @param family its model_type
/// @param parameters how many numbers it learned
/// @param bytes of its weights
/// @param dtypes how many tensors there are of each type
record ModelReport(
        String family, long parameters, long bytes, Map<String, Long> dtypes, int layers, int positions,
        List<Cache> caches) {
    /// The cost of one kind of cache.
    ///
    /// @param formula bytes a token by the configuration
    /// @param measured bytes that a cache took, by the tokens it was made for
    /// @param explained the formula in words
    record Cache(String kind, double formula, double measured, int tokens, String explained) {}

    private static final int TOKENS = 128;
    private static final int MOST_TOKENS = 1024;
    private static final int BYTES = 4; // keys and values are F32, whatever the weights are

    static ModelReport of(Path folder) throws IOException {
        try (CausalLm model = Models.open(folder)) {
            Map<String, Long> dtypes = model.parameters().values().stream()
                    .collect(Collectors.groupingBy(t -> t.dtype().name(), TreeMap::new, Collectors.counting()));
            return new ModelReport(model.configJson().get("model_type").getAsString(), model.parameterCount(),
                    model.parameters().values().stream().mapToLong(Tensor::bytes).sum(), dtypes,
                    integer(model.configJson(), "num_hidden_layers", "n_layer"), model.maxPositionEmbeddings(),
                    caches(model));
        }
    }

    private static List<Cache> caches(CausalLm model) {
        JsonObject c = model.configJson();
        int layers = integer(c, "num_hidden_layers", "n_layer");
        boolean latent = c.has("kv_lora_rank");
        long numbers = latent ? integer(c, "kv_lora_rank") + integer(c, "qk_rope_head_dim") : 2L * keyWidth(c);
        String each = latent ? "kv_lora_rank + qk_rope_head_dim" : "2 x key heads x head_dim";
        String explained = layers + " layers x " + numbers + " (" + each + ") x " + BYTES + " bytes";
        int tokens = Math.min(TOKENS, model.maxPositionEmbeddings());
        List<Cache> caches = new ArrayList<>();
        for (KvCache.Kind kind : KvCache.Kind.values()) {
            try (KvCache cache = kind.open(tokens, 1)) {
                run(model, cache, tokens, tokens);
                caches.add(new Cache((latent ? "latent, " : "") + kind.name().toLowerCase(Locale.ROOT),
                        (double) layers * numbers * BYTES, (double) cache.bytes() / tokens, tokens, explained));
            }
        }
        int window = model.windows().stream().mapToInt(w -> w).max().orElse(0);
        int beyond = 3 * window;
        if (window > 0 && beyond <= Math.min(MOST_TOKENS, model.maxPositionEmbeddings())) {
            try (KvCache cache = model.cache(KvCache.Kind.CONTIGUOUS, beyond, 1)) {
                run(model, cache, beyond, 1); // then a window is all that is ever needed
                long kept = 0;
                for (int layer = 0; layer < layers; layer++) {
                    int w = layer < model.windows().size() ? model.windows().get(layer) : 0;
                    kept += w == 0 ? beyond : w + w / 4;
                }
                caches.add(new Cache("windows", (double) kept * numbers * BYTES / beyond,
                        (double) cache.bytes() / beyond, beyond, "a layer with a window of w keeps w + w / 4 positions "
                                + "of " + beyond));
            }
        }
        return caches;
    }

    private static int keyWidth(JsonObject c) {
        int heads = integer(c, "num_attention_heads", "n_head");
        int hidden = integer(c, "hidden_size", "n_embd");
        int keyHeads = c.has("num_key_value_heads") ? integer(c, "num_key_value_heads") : heads;
        int width = c.has("head_dim") && !c.get("head_dim").isJsonNull() ? integer(c, "head_dim") : hidden / heads;
        return keyHeads * width;
    }

    private static int integer(JsonObject c, String... names) {
        for (String name : names) {
            if (c.has(name)) {
                return c.get(name).getAsInt();
            }
        }
        throw new IllegalArgumentException("config.json has none of " + String.join(", ", names));
    }

    private static void run(CausalLm model, KvCache cache, int tokens, int atOnce) {
        for (int i = 0; i < tokens; i += atOnce) {
            try (NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
                model.hidden(Tensor.of(new long[atOnce], 1, atOnce), Pass.decode(cache));
            }
        }
    }

    void print(Console console) {
        console.result("");
        console.result("model     " + family + ", " + layers + " layers, " + positions + " positions");
        console.result(String.format(Locale.ROOT, "weights   %,d parameters, %,d bytes: %s", parameters, bytes,
                dtypes.entrySet().stream().map(e -> e.getValue() + " tensors of " + e.getKey())
                        .collect(Collectors.joining(", "))));
        console.result("");
        console.result(String.format("%-20s %14s %14s", "KV cache", "bytes a token", "measured"));
        for (Cache c : caches) {
            console.result(String.format(Locale.ROOT, "%-20s %14.1f %14.1f  over %d tokens; %s", c.kind, c.formula,
                    c.measured, c.tokens, c.explained));
        }
    }

    JsonObject json() {
        JsonObject o = new JsonObject();
        o.addProperty("family", family);
        o.addProperty("parameters", parameters);
        o.addProperty("bytes", bytes);
        JsonObject types = new JsonObject();
        dtypes.forEach(types::addProperty);
        o.add("dtypes", types);
        o.addProperty("layers", layers);
        o.addProperty("positions", positions);
        JsonArray kinds = new JsonArray();
        for (Cache c : caches) {
            JsonObject each = new JsonObject();
            each.addProperty("kind", c.kind);
            each.addProperty("bytes_per_token", c.formula);
            each.addProperty("measured_bytes_per_token", c.measured);
            each.addProperty("tokens", c.tokens);
            kinds.add(each);
        }
        o.add("kv_cache", kinds);
        return o;
    }
}
