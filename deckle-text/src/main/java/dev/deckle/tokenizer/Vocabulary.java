package dev.deckle.tokenizer;

import com.google.gson.JsonObject;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/// A model's tokens and their ids.
final class Vocabulary {
    /// What [#id] says of a token that is not there.
    static final int NONE = -1;

    private final String[] tokens; // by id, null where an id has none
    private final Map<String, Integer> ids;

    private Vocabulary(String[] tokens, Map<String, Integer> ids) {
        this.tokens = tokens;
        this.ids = ids;
    }

    /// From `{"token": id}`.
    static Vocabulary of(JsonObject vocab, String where) {
        Map<String, Integer> ids = HashMap.newHashMap(vocab.size());
        int size = 0;
        for (var entry : vocab.entrySet()) {
            int id = Fields.id(entry.getValue(), where + "['" + entry.getKey() + "']");
            ids.put(entry.getKey(), id);
            size = Math.max(size, id + 1);
        }
        String[] tokens = new String[size];
        ids.forEach((token, id) -> {
            if (tokens[id] != null) {
                throw new IllegalArgumentException(where + " gives id " + id + " twice, to '" + tokens[id] + "' and '"
                        + token + "'");
            }
            tokens[id] = token;
        });
        return new Vocabulary(tokens, ids);
    }

    /// From a list in the order of ids. Of two equal tokens the later one is found.
    static Vocabulary of(String[] tokens) {
        Map<String, Integer> ids = HashMap.newHashMap(tokens.length);
        for (int id = 0; id < tokens.length; id++) {
            ids.put(tokens[id], id);
        }
        return new Vocabulary(tokens, ids);
    }

    int id(String token) {
        return ids.getOrDefault(token, NONE);
    }

    /// The token of `id`, null if it has none.
    String token(int id) {
        return id < tokens.length ? tokens[id] : null;
    }

    /// How many tokens there are.
    int count() {
        return ids.size();
    }

    /// One more than the highest id.
    int size() {
        return tokens.length;
    }

    String[] tokens() {
        return Arrays.copyOf(tokens, tokens.length);
    }

    /// The ids of `<0x00>` to `<0xFF>`, which stand for bytes where characters are unknown; NONE for those missing.
    int[] byteFallback() {
        int[] bytes = new int[256];
        for (int b = 0; b < 256; b++) {
            bytes[b] = id("<0x%02X>".formatted(b));
        }
        return bytes;
    }
}
