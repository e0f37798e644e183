package dev.deckle.models;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.io.Shown;
import dev.deckle.json.StrictJson;
import dev.deckle.json.TextFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// A `config.json` read key by key: each complaint names the file, the key, what was found and what was expected.
public final class ConfigReader {
    private static final long LARGEST_FILE = 16 << 20;

    private final String where;
    private final JsonObject json;

    private ConfigReader(String where, JsonObject json) {
        this.where = where;
        this.json = json;
    }

    /// The `config.json` of a model folder.
    ///
    /// @throws IOException if it is not there, saying what is there instead, or no JSON object
    public static ConfigReader ofModel(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            throw new IOException(folder + ": there is no such model folder");
        }
        Path file = folder.resolve("config.json");
        if (!TextFile.exists(file)) {
            throw new IOException(file + ": there is no such file" + WeightFiles.foreign(folder));
        }
        return open(file);
    }

    /// Reads a file.
    ///
    /// @throws IOException if it is not there or no JSON object
    public static ConfigReader open(Path file) throws IOException {
        String text = TextFile.read(file, LARGEST_FILE);
        return new ConfigReader(file.toString(), StrictJson.object(text, file.toString()));
    }

    public JsonObject json() {
        return json;
    }

    /// A whole number from `least` to `most`.
    public int integer(String key, int least, int most) {
        double d = number(key, Optional.empty());
        if (d != Math.rint(d) || d < least || d > most) {
            throw bad(key, "a whole number from " + least + " to " + most);
        }
        return (int) d;
    }

    public int integer(String key, int least, int most, int otherwise) {
        return has(key) ? integer(key, least, most) : otherwise;
    }

    /// A number from 0 to below 1, 0 if it is missing.
    public double probability(String key) {
        return probability(key, 0);
    }

    public double probability(String key, double otherwise) {
        double p = real(key, -1e-9, Optional.of(otherwise));
        if (p >= 1) {
            throw bad(key, "a number from 0 to below 1");
        }
        return Math.max(p, 0);
    }

    /// A finite number above `above`.
    public double real(String key, double above, Optional<Double> otherwise) {
        double d = number(key, otherwise);
        if (!(d > above && d < Double.POSITIVE_INFINITY)) {
            throw bad(key, "a number above " + above);
        }
        return d;
    }

    private double number(String key, Optional<Double> otherwise) {
        if (!has(key)) {
            return otherwise.orElseThrow(() -> bad(key, "a number"));
        }
        try {
            if (json.get(key).isJsonPrimitive() && json.getAsJsonPrimitive(key).isNumber()) {
                return json.get(key).getAsDouble();
            }
        } catch (NumberFormatException e) {
            throw bad(key, "a number");
        }
        throw bad(key, "a number");
    }

    /// True or false; null is false, as it is in Python.
    public boolean flag(String key, boolean otherwise) {
        if (!has(key)) {
            return otherwise && !json.has(key);
        }
        if (!json.get(key).isJsonPrimitive() || !json.getAsJsonPrimitive(key).isBoolean()) {
            throw bad(key, "true or false");
        }
        return json.get(key).getAsBoolean();
    }

    public String text(String key, String otherwise) {
        if (!has(key)) {
            return otherwise;
        }
        if (!json.get(key).isJsonPrimitive() || !json.getAsJsonPrimitive(key).isString()) {
            throw bad(key, "a text");
        }
        return json.get(key).getAsString();
    }

    /// One text for each of `n`, or nothing if the key is missing.
    public Optional<List<String>> texts(String key, int n) {
        if (!has(key)) {
            return Optional.empty();
        }
        if (!(json.get(key) instanceof JsonArray a) || a.size() != n || a.asList().stream()
                .anyMatch(e -> !(e instanceof JsonPrimitive p) || !p.isString())) {
            throw bad(key, "a list of " + n + " texts");
        }
        return Optional.of(a.asList().stream().map(JsonElement::getAsString).toList());
    }

    /// The object under a key, if there is one.
    public Optional<ConfigReader> object(String key) {
        if (!has(key)) {
            return Optional.empty();
        }
        if (!json.get(key).isJsonObject()) {
            throw bad(key, "a JSON object");
        }
        return Optional.of(new ConfigReader(where + ", " + key, json.getAsJsonObject(key)));
    }

    /// A whole number or a list of them, as `eos_token_id` is; empty if it is missing or null.
    public List<Integer> integers(String key) {
        List<Integer> ids = new ArrayList<>();
        if (has(key)) {
            JsonArray a = new JsonArray();
            if (json.get(key).isJsonArray()) {
                a = json.getAsJsonArray(key);
            } else {
                a.add(json.get(key));
            }
            for (JsonElement e : a) {
                try {
                    ids.add(e.getAsJsonPrimitive().getAsBigDecimal().intValueExact());
                } catch (RuntimeException _) {
                    throw bad(key, "a token id or a list of them");
                }
            }
        }
        return ids;
    }

    public boolean has(String key) {
        return json.has(key) && !json.get(key).isJsonNull();
    }

    /// A complaint about a key.
    public IllegalArgumentException bad(String key, String expected) {
        String found = json.has(key) ? String.valueOf(json.get(key)) : "missing";
        return new IllegalArgumentException(where + ": " + key + " is "
                + Shown.brief(found, 60) + ", expected " + expected);
    }
}
