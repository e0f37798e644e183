package dev.deckle.tokenizer;

import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.tokenizer.AddedTokens.Added;
import java.util.ArrayList;
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

    /// What `transformers` adds: the tokens of `added_tokens_decoder`, whose flags count, and special tokens named by
    /// their roles that are none yet.
    void readConfig(JsonObject config) {
        var fields = new Fields(config, "tokenizer_config.json: ");
        startAdding();
        if (fields.has("added_tokens_decoder")) {
            var byId = new TreeMap<Integer, Fields>();
            Fields listed = fields.fields("added_tokens_decoder");
            for (String id : listed.object().keySet()) {
                byId.put(Fields.id(id.matches("\\d+") ? new JsonPrimitive(Long.parseLong("0" + id.substring(
                        Math.max(0, id.length() - 17)))) : new JsonPrimitive(id), listed.where(id)), listed.fields(id));
            }
            byId.forEach((id, token) -> add(token(token, id), token.path()));
        }
        for (String role : ROLES) {
            if (fields.has(role)) {
                named(fields, role);
            }
        }
        String key = fields.has("extra_special_tokens") ? "extra_special_tokens" : "additional_special_tokens";
        if (fields.has(key) && fields.raw(key).isJsonArray()) {
            var names = new ArrayList<String>();
            fields.array(key).forEach(e -> names.add(e instanceof JsonObject o
                    ? Fields.of(o, fields.where(key)).string("content") : Fields.string(e, fields.where(key))));
            names.forEach(name -> special(name, fields.where(key)));
        }
    }

    private void named(Fields fields, String role) {
        boolean object = fields.raw(role) instanceof JsonObject;
        String content = object ? fields.fields(role).string("content") : fields.string(role);
        special(content, fields.where(role));
    }

    private void special(String content, String where) {
        if (!tokens.containsKey(content)) {
            add(new Added(0, content, true, false, false, false, false), where);
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
