package dev.deckle.tokenizer;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// One object of a JSON file with the way to it, so that whatever is wrong is named: the key, what it holds, what was
/// expected. Every refusal is an [IllegalArgumentException] of one line that begins with the key.
///
/// @param path the keys that lead here, each with a dot behind it; empty at the root
record Fields(JsonObject object, String path) {
    /// No vocabulary is near this; a damaged id must not reserve gigabytes.
    static final int MAX_ID = 1 << 24;

    /// The object that `value` is.
    static Fields of(JsonElement value, String where) {
        if (value instanceof JsonObject object) {
            return new Fields(object, where.isEmpty() ? "" : where + ".");
        }
        throw refused(where, value, "an object");
    }

    /// Neither there nor null counts as absent.
    boolean has(String key) {
        return object.has(key) && !object.get(key).isJsonNull();
    }

    JsonElement raw(String key) {
        return object.get(key);
    }

    String where(String key) {
        return path + key;
    }

    Fields fields(String key) {
        return of(raw(key), where(key));
    }

    /// The objects in an array.
    List<Fields> list(String key) {
        var all = new ArrayList<Fields>();
        for (JsonElement element : array(key)) {
            all.add(of(element, where(key) + "[" + all.size() + "]"));
        }
        return all;
    }

    JsonArray array(String key) {
        if (raw(key) instanceof JsonArray array) {
            return array;
        }
        throw wrong(key, "an array");
    }

    String string(String key) {
        return string(raw(key), where(key));
    }

    static String string(JsonElement value, String where) {
        if (value instanceof JsonPrimitive p && p.isString()) {
            return p.getAsString();
        }
        throw refused(where, value, "a string");
    }

    Optional<String> optionalString(String key) {
        return has(key) ? Optional.of(string(key)) : Optional.empty();
    }

    /// A string of exactly one character.
    int character(String key) {
        String text = string(key);
        if (text.isEmpty() || text.codePointCount(0, text.length()) != 1) {
            throw wrong(key, "one character");
        }
        return text.codePointAt(0);
    }

    boolean flag(String key) {
        if (raw(key) instanceof JsonPrimitive p && p.isBoolean()) {
            return p.getAsBoolean();
        }
        throw wrong(key, "true or false");
    }

    boolean flag(String key, boolean absent) {
        return has(key) ? flag(key) : absent;
    }

    /// A whole number of at least `min`; what is too large for an int is as large as an int can be.
    int count(String key, int min) {
        if (raw(key) instanceof JsonPrimitive p && p.isNumber() && p.getAsString().matches("\\d{1,20}")) {
            int n = (int) Math.min(Integer.MAX_VALUE, Double.parseDouble(p.getAsString()));
            if (n >= min) {
                return n;
            }
        }
        throw wrong(key, "a whole number of at least " + min);
    }

    int id(String key) {
        return id(raw(key), where(key));
    }

    static int id(JsonElement value, String where) {
        String digits = value instanceof JsonPrimitive p && p.isNumber() ? p.getAsString() : "";
        if (!digits.matches("\\d{1,8}") || Integer.parseInt(digits) >= MAX_ID) {
            throw refused(where, value, "an id in 0.." + (MAX_ID - 1));
        }
        return Integer.parseInt(digits);
    }

    /// The constant of an enum that the file names without underscores.
    <E extends Enum<E>> E oneOf(String key, E[] values) {
        String name = string(key);
        for (E value : values) {
            if (value.name().replace("_", "").equalsIgnoreCase(name)) {
                return value;
            }
        }
        throw wrong(key, "one of " + List.of(values));
    }

    IllegalArgumentException wrong(String key, String expected) {
        return refused(where(key), raw(key), expected);
    }

    static IllegalArgumentException refused(String where, JsonElement found, String expected) {
        String shown = found == null ? "missing" : found.toString();
        if (shown.length() > 200) {
            shown = shown.substring(0, 200) + "...";
        }
        return new IllegalArgumentException(where + " is " + shown + "; expected " + expected);
    }
}
