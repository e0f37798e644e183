package dev.deckle.generate;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import dev.deckle.json.TextFile;
import dev.deckle.models.Adapter;
import dev.deckle.models.ConfigReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// How a model wants to be continued: its `generation_config.json`, with the names of that file. What is empty is not
/// said there.
///
/// A key that would change what is generated and that is not known here is an error, unless it says what would happen
/// without it.
///
/// @param do_sample draw the next token; false takes the likeliest
/// @param max_new_tokens comes before max_length, which counts the prompt
/// @param eos_token_id those of `config.json` where the file has none
public record GenerationConfig(
        Optional<Boolean> do_sample,
        Optional<Double> temperature,
        Optional<Integer> top_k,
        Optional<Double> top_p,
        Optional<Double> min_p,
        double repetition_penalty,
        int num_beams,
        int num_return_sequences,
        double length_penalty,
        BeamSearch.EarlyStopping early_stopping,
        Optional<Integer> max_new_tokens,
        Optional<Integer> max_length,
        int min_new_tokens,
        List<Integer> eos_token_id,
        Optional<Integer> pad_token_id,
        List<String> stop_strings) {

    /// Keys that are not known here, with the values that do nothing.
    private static final Map<String, String> IDLE = new LinkedHashMap<>();

    static {
        String[] idle = {
            "min_length", "0", "typical_p", "1", "top_h", "null", "epsilon_cutoff", "0", "eta_cutoff", "0",
            "no_repeat_ngram_size", "0", "encoder_no_repeat_ngram_size", "0", "encoder_repetition_penalty", "1",
            "num_beam_groups", "1", "diversity_penalty", "0", "penalty_alpha", "0", "guidance_scale", "1",
            "bad_words_ids", "null", "force_words_ids", "null", "constraints", "null", "sequence_bias", "null",
            "forced_bos_token_id", "null", "forced_eos_token_id", "null", "suppress_tokens", "null",
            "begin_suppress_tokens", "null", "exponential_decay_length_penalty", "null", "watermarking_config", "null",
            "dola_layers", "null", "renormalize_logits", "false"
        };
        for (int i = 0; i < idle.length; i += 2) {
            IDLE.put(idle[i], idle[i + 1]);
        }
    }

    /// Of a model's folder; one without the file says nothing but its end tokens.
    ///
    /// @throws IOException if a file cannot be read
    /// @throws IllegalArgumentException naming file, key, what was found and what was expected
    public static GenerationConfig read(Path folder) throws IOException {
        List<Integer> ends = ConfigReader.ofModel(Adapter.holder(folder, "config.json")).integers("eos_token_id");
        Path file = Adapter.holder(folder, "generation_config.json").resolve("generation_config.json");
        if (!TextFile.exists(file)) {
            return new GenerationConfig(Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty(),
                    Optional.empty(), 1, 1, 1, 1, BeamSearch.EarlyStopping.FALSE, Optional.empty(), Optional.empty(), 0,
                    ends, Optional.empty(), List.of());
        }
        return read(ConfigReader.open(file), ends);
    }

    private static GenerationConfig read(ConfigReader c, List<Integer> ends) {
        IDLE.forEach((key, idle) -> {
            JsonElement found = c.json().get(key);
            if (c.has(key) && !same(found, JsonParser.parseString(idle))) {
                throw c.bad(key, idle + ": other values are not supported");
            }
        });
        Optional<Double> temperature = real(c, "temperature", 0, Double.MAX_VALUE);
        if (c.flag("do_sample", false) && temperature.filter(t -> t == 0).isPresent()) {
            throw c.bad("temperature", "a number above 0; do_sample false takes the likeliest token");
        }
        Optional<Double> topP = real(c, "top_p", 0, 1);
        if (topP.filter(p -> p == 0).isPresent()) {
            throw c.bad("top_p", "a number above 0 and at most 1");
        }
        int beams = c.integer("num_beams", 1, 1 << 16, 1);
        int sequences = c.integer("num_return_sequences", 1, 1 << 16, 1);
        if (beams > 1 && sequences > beams) {
            throw c.bad("num_return_sequences", "at most num_beams " + beams);
        }
        return new GenerationConfig(
                c.has("do_sample") ? Optional.of(c.flag("do_sample", false)) : Optional.empty(), temperature,
                integer(c, "top_k", 0), topP, real(c, "min_p", 0, 1),
                c.real("repetition_penalty", 0, Optional.of(1.0)), beams, sequences,
                real(c, "length_penalty", -BeamSearch.MOST_PENALTY, BeamSearch.MOST_PENALTY).orElse(1.0),
                earlyStopping(c), integer(c, "max_new_tokens", 1), integer(c, "max_length", 1),
                c.integer("min_new_tokens", 0, Integer.MAX_VALUE, 0),
                c.has("eos_token_id") ? c.integers("eos_token_id") : ends, integer(c, "pad_token_id", 0),
                stopStrings(c));
    }

    private static boolean same(JsonElement found, JsonElement idle) {
        if (found instanceof JsonPrimitive a && idle instanceof JsonPrimitive b && a.isNumber() && b.isNumber()) {
            return a.getAsDouble() == b.getAsDouble();
        }
        return found.equals(idle)
                || idle instanceof JsonNull && found.isJsonArray() && found.getAsJsonArray().isEmpty();
    }

    private static Optional<Double> real(ConfigReader c, String key, double least, double most) {
        if (!c.has(key)) {
            return Optional.empty();
        }
        double d = c.real(key, Double.NEGATIVE_INFINITY, Optional.empty());
        if (d < least || d > most) {
            throw c.bad(key, "a number from " + least + " to " + most);
        }
        return Optional.of(d);
    }

    private static Optional<Integer> integer(ConfigReader c, String key, int least) {
        return c.has(key) ? Optional.of(c.integer(key, least, Integer.MAX_VALUE)) : Optional.empty();
    }

    private static BeamSearch.EarlyStopping earlyStopping(ConfigReader c) {
        if (c.has("early_stopping") && c.json().get("early_stopping") instanceof JsonPrimitive p && p.isString()) {
            if (!p.getAsString().equals("never")) {
                throw c.bad("early_stopping", "true, false or \"never\"");
            }
            return BeamSearch.EarlyStopping.NEVER;
        }
        return c.flag("early_stopping", false) ? BeamSearch.EarlyStopping.TRUE : BeamSearch.EarlyStopping.FALSE;
    }

    private static List<String> stopStrings(ConfigReader c) {
        if (!c.has("stop_strings")) {
            return List.of();
        }
        JsonElement found = c.json().get("stop_strings");
        List<String> stops = new ArrayList<>();
        for (JsonElement e : found.isJsonArray() ? found.getAsJsonArray() : List.of(found)) {
            if (!(e instanceof JsonPrimitive p) || !p.isString() || p.getAsString().isEmpty()) {
                throw c.bad("stop_strings", "a text or a list of them");
            }
            stops.add(p.getAsString());
        }
        return List.copyOf(stops);
    }

    /// What the file says of drawing. Where it says do_sample, what else is missing is as in transformers: temperature
    /// 1, top-k 50, and no other filter.
    ///
    /// @param otherwise what is missing where the file does not say do_sample
    public Sampler sampler(Sampler otherwise) {
        if (do_sample.isPresent() && !do_sample.get()) {
            return new Sampler(0, 0, 1, 0, repetition_penalty);
        }
        Sampler missing = do_sample.isPresent() ? new Sampler(1, 50, 1, 0, 1) : otherwise;
        return new Sampler(temperature.orElse(missing.temperature()), top_k.orElse(missing.topK()),
                top_p.orElse(missing.topP()), min_p.orElse(missing.minP()), repetition_penalty);
    }

    /// How many tokens may follow a prompt.
    ///
    /// @param otherwise where the file does not say
    /// @throws IllegalArgumentException if the prompt is as long as prompt and continuation may be
    public int maxNewTokens(int prompt, int otherwise) {
        if (max_new_tokens.isPresent() || max_length.isEmpty()) {
            return max_new_tokens.orElse(otherwise);
        }
        if (prompt >= max_length.get()) {
            throw new IllegalArgumentException(
                    "the prompt has " + prompt + " tokens, and generation_config.json allows "
                            + max_length.get() + " with those that follow (max_length)");
        }
        return max_length.get() - prompt;
    }

    /// The ids that end a sequence.
    public Set<Integer> endTokens() {
        return new HashSet<>(eos_token_id);
    }
}
