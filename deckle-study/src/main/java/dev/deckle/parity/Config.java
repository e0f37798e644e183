package dev.deckle.parity;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/// The settings of a golden case. Every key must be asked for: a setting that nobody reads could not be proven.
public final class Config {
    private final JsonObject json;
    private final Set<String> read = new LinkedHashSet<>();

    Config(JsonObject json) {
        this.json = json;
    }

    private Optional<JsonElement> find(String key) {
        read.add(key);
        return Optional.ofNullable(json.get(key)).filter(e -> !e.isJsonNull());
    }

    private static IllegalArgumentException bad(String key, Object found, String expected) {
        return new IllegalArgumentException("config key " + key + " is " + found + ", expected " + expected);
    }

    /// Whether the case sets it.
    public boolean has(String key) {
        return find(key).isPresent();
    }

    /// A number.
    ///
    /// @throws IllegalArgumentException if it is missing or no number
    public double real(String key) {
        return find(key).map(e -> number(key, e)).orElseThrow(() -> bad(key, "missing", "a number"));
    }

    /// A number, or `otherwise` where the case does not set it.
    public double real(String key, double otherwise) {
        return find(key).map(e -> number(key, e)).orElse(otherwise);
    }

    /// A whole number.
    public int integer(String key) {
        double d = real(key);
        if (d != Math.rint(d) || Math.abs(d) > Integer.MAX_VALUE) {
            throw bad(key, d, "a whole number");
        }
        return (int) d;
    }

    /// A whole number of 64 bits, to the bit.
    public long whole(String key, long otherwise) {
        return find(key).map(e -> {
            try {
                return e.getAsBigDecimal().longValueExact();
            } catch (RuntimeException x) {
                throw bad(key, e, "a whole number of 64 bits");
            }
        }).orElse(otherwise);
    }

    /// Numbers: a list, or a single one.
    public List<Double> reals(String key) {
        return find(key).map(e -> e.isJsonArray()
                ? e.getAsJsonArray().asList().stream().map(x -> number(key, x)).toList()
                : List.of(number(key, e))).orElse(List.of());
    }

    /// True or false.
    public boolean flag(String key, boolean otherwise) {
        return find(key).map(e -> {
            if (!e.isJsonPrimitive() || !e.getAsJsonPrimitive().isBoolean()) {
                throw bad(key, e, "true or false");
            }
            return e.getAsBoolean();
        }).orElse(otherwise);
    }

    /// A string.
    public String text(String key, String otherwise) {
        return find(key).map(e -> {
            if (!e.isJsonPrimitive() || !e.getAsJsonPrimitive().isString()) {
                throw bad(key, e, "a string");
            }
            return e.getAsString();
        }).orElse(otherwise);
    }

    /// One of the names of an enum, in small letters.
    public <E extends Enum<E>> E choice(String key, Class<E> type, E otherwise) {
        String found = text(key, otherwise.name().toLowerCase(Locale.ROOT));
        for (E e : type.getEnumConstants()) {
            if (e.name().equalsIgnoreCase(found)) {
                return e;
            }
        }
        throw unknown(key, found);
    }

    /// A list of strings.
    public List<String> texts(String key) {
        JsonElement e = find(key).orElseThrow(() -> bad(key, "missing", "a list of strings"));
        if (!e.isJsonArray()) {
            throw bad(key, e, "a list of strings");
        }
        return e.getAsJsonArray().asList().stream().map(x -> {
            if (!x.isJsonPrimitive() || !x.getAsJsonPrimitive().isString()) {
                throw bad(key, x, "a list of strings");
            }
            return x.getAsString();
        }).toList();
    }

    /// What to throw at a value that a component does not know.
    public static IllegalArgumentException unknown(String key, String found) {
        return new IllegalArgumentException("config key " + key + " is " + found + ", which is not known here");
    }

    private static double number(String key, JsonElement e) {
        if (!e.isJsonPrimitive() || !e.getAsJsonPrimitive().isNumber()) {
            throw bad(key, e, "a number");
        }
        return e.getAsDouble();
    }

    /// @throws IllegalArgumentException if a key was not read
    void finish() {
        Set<String> left = new TreeSet<>(json.keySet());
        left.removeAll(read);
        if (!left.isEmpty()) {
            throw new IllegalArgumentException(
                    "config key " + left.iterator().next() + " is not known to this component");
        }
    }
}
