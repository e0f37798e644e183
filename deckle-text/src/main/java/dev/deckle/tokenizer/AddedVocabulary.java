package dev.deckle.tokenizer;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.tokenizer.AddedTokens.Added;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// Gathers the added tokens of a tokenizer: those of `tokenizer.json`, and those that `transformers` adds when it reads
/// `tokenizer_config.json`.
///
/// A token that the model knows has the model's id. Any other gets the next free one, behind the vocabulary and in the
/// order of the file, as in Hugging Face's `tokenizers`, which does not ask for the id in the file then.
final class AddedVocabulary {
    private static final List<String> ROLES = List.of("bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
            "cls_token", "mask_token");

    private final Vocabulary model;
    private final Map<String, Added> tokens = new LinkedHashMap<>();
    private final Map<Integer, String> contents = new HashMap<>(); // of the ids that are taken here
    private int next;

    AddedVocabulary(Vocabulary model) {
        this.model = model;
    }

    List<Added> tokens() {
        return List.copyOf(tokens.values());
    }

    int id(String token) {
        Added added = tokens.get(token);
        return added != null ? added.id() : model.id(token);
    }

    /// `added_tokens` of `tokenizer.json`.
    void read(Fields root) {
        if (!root.has("added_tokens")) {
            return;
        }
        startAdding();
        for (Fields token : root.list("added_tokens")) {
            Added added = token(token, token.id("id"));
            String other = added.id() < model.size() ? model.token(added.id()) : null;
            int known = model.id(added.content());
            if (known != Vocabulary.NONE && known != added.id() || other != null && !other.equals(added.content())) {
                throw new IllegalArgumentException(token.where("id") + " is " + added.id() + " for '" + added.content()
                        + "', but " + (known != Vocabulary.NONE ? "that token has id " + known
                                : "model.vocab has that id for '" + other + "'"));
            }
            add(added, token.where("id"));
        }
    }

    /// What `transformers` adds: the tokens of `added_tokens_decoder`, whose flags count, then the special tokens that
    /// the keys name: the seven usual roles, others that end in `_token`, and lists of more.
    void readConfig(Fields config) {
        startAdding();
        if (config.has("added_tokens_decoder")) {
            var byId = new TreeMap<Integer, Fields>();
            Fields listed = config.fields("added_tokens_decoder");
            for (String id : listed.object().keySet()) {
                if (!id.matches("\\d{1,8}")) {
                    throw new IllegalArgumentException(listed.where(id) + " is no id");
                }
                byId.put(Integer.parseInt(id), listed.fields(id));
            }
            byId.forEach((id, token) -> add(token(token, id), token.path()));
        }
        for (String role : ROLES) {
            if (config.has(role)) {
                special(config.raw(role), config.where(role), true);
            }
        }
        for (String key : config.object().keySet()) {
            if (key.endsWith("_token") && !ROLES.contains(key) && config.raw(key) instanceof JsonPrimitive p
                    && p.isString()) {
                special(p, config.where(key), true);
            }
        }
        String key = config.has("extra_special_tokens") ? "extra_special_tokens" : "additional_special_tokens";
        if (config.raw(key) instanceof JsonObject named) {
            named.entrySet().forEach(e -> special(e.getValue(), config.where(key), true));
        } else if (config.has(key)) {
            config.array(key).forEach(e -> special(e, config.where(key), false));
        }
    }

    /// Adds a special token that is a string or an object with flags. One that is there stays as it is, but is special
    /// if it has a role.
    private void special(JsonElement token, String where, boolean role) {
        Added named = token instanceof JsonObject o ? token(Fields.of(o, where), 0)
                : new Added(0, Fields.string(token, where), true, false, false, false, false);
        Added there = tokens.getOrDefault(named.content(), named);
        if (there == named || role) {
            add(new Added(0, there.content(), true, there.normalized(), there.singleWord(), there.lstrip(),
                    there.rstrip()), where);
        }
    }

    private static Added token(Fields token, int id) {
        return new Added(id, token.string("content"), token.flag("special", false), token.flag("normalized", false),
                token.flag("single_word", false), token.flag("lstrip", false), token.flag("rstrip", false));
    }

    private void startAdding() {
        int last = contents.keySet().stream().mapToInt(i -> i).max().orElse(-1);
        next = last >= model.count() ? last + 1 : model.count();
    }

    private void add(Added token, String where) {
        if (token.content().isEmpty()) {
            return;
        }
        int id = id(token.content());
        if (id == Vocabulary.NONE) {
            id = next++;
            String taken = contents.getOrDefault(id, model.token(id));
            if (taken != null) {
                throw new IllegalArgumentException(where + ": the next id for '" + token.content() + "' is " + id
                        + ", which '" + taken + "' has");
            }
        }
        if (id >= Fields.MAX_ID) {
            throw new IllegalArgumentException(where + ": the next id for '" + token.content() + "' is " + id
                    + "; expected less than " + Fields.MAX_ID);
        }
        contents.put(id, token.content());
        tokens.put(token.content(), new Added(id, token.content(), token.special(), token.normalized(),
                token.singleWord(), token.lstrip(), token.rstrip()));
    }
}
