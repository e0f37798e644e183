package dev.deckle.tokenizer;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.tokenizer.AddedTokens.Added;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// What a `tokenizer.json` says, for tokenizers of one kind: BPE over bytes with a known pre-tokenizer.
///
/// Everything that would change ids and is not understood is refused with its key, what it holds and what is supported.
/// `truncation` and `padding` are passed over, as `transformers` does unless a call asks for them.
final class TokenizerJson {
    /// @param vocabulary the model's tokens by id, null where an id has none
    /// @param before ids that the template puts before a text
    /// @param after ids that the template puts after it
    record Definition(String[] vocabulary, List<Bpe.Merge> merges, boolean ignoreMerges, List<Added> added,
            PreTokenizer preTokenizer, int[] before, int[] after) {}

    /// No vocabulary is near this; a damaged id must not reserve gigabytes.
    private static final int MAX_ID = 1 << 24;

    private TokenizerJson() {}

    /// @throws IllegalArgumentException with a message that begins with the key that is wrong
    static Definition read(JsonObject root) {
        refuseUnless(isNull(root, "normalizer"), "normalizer", root.get("normalizer"), "no normalizer");
        JsonObject model = object(root, "model", "");
        // early files name no type and were all BPE
        String type = model.has("type") ? string(model, "type", "model.") : "BPE";
        refuseUnless(type.equals("BPE"), "model.type", model.get("type"), "byte-level BPE");
        for (String key : List.of("dropout", "continuing_subword_prefix", "end_of_word_suffix")) {
            refuseUnless(isNull(model, key) || text(model.get(key)).isEmpty(), "model." + key, model.get(key), "null");
        }
        refuseUnless(!flag(model, "byte_fallback", "model.", false), "model.byte_fallback", model.get("byte_fallback"),
                "false: bytes are the alphabet");
        refuseUnless(root.get("decoder") instanceof JsonObject d && text(d.get("type")).equals("ByteLevel"), "decoder",
                root.get("decoder"), "ByteLevel");

        Map<String, Integer> ids = new HashMap<>();
        String[] vocabulary = vocabulary(object(model, "vocab", "model."), ids);
        List<Bpe.Merge> merges = merges(array(model, "merges", "model."), ids);
        List<Added> added = added(root, ids, vocabulary);
        var before = new IntList();
        var after = new IntList();
        template(root.get("post_processor"), "post_processor", ids, before, after);
        return new Definition(vocabulary, merges, flag(model, "ignore_merges", "model.", false), added,
                preTokenizer(root.get("pre_tokenizer")), before.toArray(), after.toArray());
    }

    /// The file for a trained tokenizer: GPT-2's pieces, special tokens first, then the vocabulary as it is.
    static JsonObject write(List<String> specialTokens, List<String> vocabulary, List<Bpe.Merge> merges) {
        var root = new JsonObject();
        root.addProperty("version", "1.0");
        root.add("truncation", JsonNull.INSTANCE);
        root.add("padding", JsonNull.INSTANCE);
        var added = new JsonArray();
        for (int id = 0; id < specialTokens.size(); id++) {
            var token = new JsonObject();
            token.addProperty("id", id);
            token.addProperty("content", specialTokens.get(id));
            for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
                token.addProperty(flag, false);
            }
            token.addProperty("special", true);
            added.add(token);
        }
        root.add("added_tokens", added);
        root.add("normalizer", JsonNull.INSTANCE);
        root.add("pre_tokenizer", byteLevel());
        root.add("post_processor", JsonNull.INSTANCE);
        root.add("decoder", byteLevel());
        var model = new JsonObject();
        model.addProperty("type", "BPE");
        for (String key : List.of("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")) {
            model.add(key, JsonNull.INSTANCE);
        }
        for (String flag : List.of("fuse_unk", "byte_fallback", "ignore_merges")) {
            model.addProperty(flag, false);
        }
        var vocab = new JsonObject();
        for (int id = 0; id < vocabulary.size(); id++) {
            vocab.addProperty(vocabulary.get(id), id);
        }
        model.add("vocab", vocab);
        var pairs = new JsonArray();
        for (Bpe.Merge m : merges) {
            var pair = new JsonArray();
            pair.add(vocabulary.get(m.left()));
            pair.add(vocabulary.get(m.right()));
            pairs.add(pair);
        }
        model.add("merges", pairs);
        root.add("model", model);
        return root;
    }

    private static JsonObject byteLevel() {
        var stage = new JsonObject();
        stage.addProperty("type", "ByteLevel");
        stage.addProperty("add_prefix_space", false);
        stage.addProperty("trim_offsets", true);
        stage.addProperty("use_regex", true);
        return stage;
    }

    private static String[] vocabulary(JsonObject vocab, Map<String, Integer> ids) {
        int size = 0;
        for (var entry : vocab.entrySet()) {
            int id = id(entry.getValue(), "model.vocab['" + entry.getKey() + "']");
            ids.put(entry.getKey(), id);
            size = Math.max(size, id + 1);
        }
        String[] vocabulary = new String[size];
        ids.forEach((token, id) -> {
            if (vocabulary[id] != null) {
                throw new IllegalArgumentException("model.vocab gives id " + id + " twice, to '" + vocabulary[id]
                        + "' and '" + token + "'");
            }
            vocabulary[id] = token;
        });
        for (int b = 0; b < 256; b++) {
            String letter = String.valueOf(ByteAlphabet.toChar(b));
            if (!ids.containsKey(letter)) {
                throw new IllegalArgumentException("model.vocab has no token '" + letter + "' for the byte " + b
                        + "; supported: byte-level BPE, which needs all 256");
            }
        }
        return vocabulary;
    }

    private static List<Bpe.Merge> merges(JsonArray pairs, Map<String, Integer> ids) {
        var merges = new ArrayList<Bpe.Merge>(pairs.size());
        for (JsonElement pair : pairs) {
            String where = "model.merges[" + merges.size() + "]";
            String left;
            String right;
            if (pair instanceof JsonArray a && a.size() == 2) {
                left = text(a.get(0));
                right = text(a.get(1));
            } else { // before 2024 a merge was one string
                int space = text(pair).indexOf(' ');
                refuseUnless(space > 0, where, pair, "two tokens");
                left = text(pair).substring(0, space);
                right = text(pair).substring(space + 1);
            }
            merges.add(new Bpe.Merge(
                    known(left, ids, where), known(right, ids, where), known(left + right, ids, where)));
        }
        return merges;
    }

    private static List<Added> added(JsonObject root, Map<String, Integer> ids, String[] vocabulary) {
        var added = new ArrayList<Added>();
        if (isNull(root, "added_tokens")) {
            return added;
        }
        for (JsonElement element : array(root, "added_tokens", "")) {
            String where = "added_tokens[" + added.size() + "]";
            refuseUnless(element instanceof JsonObject, where, element, "an object");
            JsonObject token = (JsonObject) element;
            String content = string(token, "content", where + ".");
            int id = id(token.get("id"), where + ".id");
            Integer taken = ids.putIfAbsent(content, id);
            boolean other = id < vocabulary.length && vocabulary[id] != null && !vocabulary[id].equals(content);
            if (taken != null && taken != id || other) {
                throw new IllegalArgumentException(where + ".id is " + id + " for '" + content + "', but " + (other
                        ? "model.vocab has that id for '" + vocabulary[id] + "'"
                        : "that token has id " + taken));
            }
            String at = where + ".";
            added.add(new Added(id, content, flag(token, "special", at, false), flag(token, "normalized", at, false),
                    flag(token, "single_word", at, false), flag(token, "lstrip", at, false),
                    flag(token, "rstrip", at, false)));
        }
        return added;
    }

    private static PreTokenizer preTokenizer(JsonElement stage) {
        String supported = "ByteLevel, or Split with the expression of GPT-2, Llama 3 or Qwen 2 and then ByteLevel";
        if (stage instanceof JsonObject one && text(one.get("type")).equals("ByteLevel")) {
            refuseUnless(byteLevel(one, true), "pre_tokenizer", stage, supported + ", without add_prefix_space");
            return new PreTokenizer.Gpt2();
        }
        if (stage instanceof JsonObject all && text(all.get("type")).equals("Sequence")
                && all.get("pretokenizers") instanceof JsonArray parts && parts.size() == 2
                && parts.get(0) instanceof JsonObject split && text(split.get("type")).equals("Split")
                && split.get("pattern") instanceof JsonObject pattern
                && text(split.get("behavior")).equals("Isolated") && !flag(split, "invert", "pre_tokenizer.", false)
                && parts.get(1) instanceof JsonObject last && byteLevel(last, false)) {
            return PreTokenizer.ofRegex(text(pattern.get("Regex")))
                    .orElseThrow(() -> unsupported("pre_tokenizer", stage, supported));
        }
        throw unsupported("pre_tokenizer", stage == null ? JsonNull.INSTANCE : stage, supported);
    }

    private static boolean byteLevel(JsonObject stage, boolean regex) {
        return text(stage.get("type")).equals("ByteLevel") && !flag(stage, "add_prefix_space", "pre_tokenizer.", true)
                && flag(stage, "use_regex", "pre_tokenizer.", true) == regex;
    }

    /// The special tokens that a post-processor puts around one text. ByteLevel's own changes offsets only.
    private static void template(JsonElement stage, String where, Map<String, Integer> ids, IntList before,
            IntList after) {
        if (stage == null || stage.isJsonNull()) {
            return;
        }
        String type = stage instanceof JsonObject o ? text(o.get("type")) : "";
        switch (type) {
            case "ByteLevel" -> {}
            case "Sequence" -> {
                for (JsonElement part : array((JsonObject) stage, "processors", where + ".")) {
                    template(part, where + ".processors", ids, before, after);
                }
            }
            case "TemplateProcessing" -> {
                IntList side = before;
                for (JsonElement part : array((JsonObject) stage, "single", where + ".")) {
                    if (part instanceof JsonObject p && p.get("SpecialToken") instanceof JsonObject token) {
                        side.add(known(text(token.get("id")), ids, where + ".single"));
                    } else {
                        refuseUnless(side == before, where + ".single", part, "one sequence and special tokens");
                        side = after;
                    }
                }
            }
            default -> throw unsupported(where, stage, "ByteLevel and TemplateProcessing");
        }
    }

    private static int known(String token, Map<String, Integer> ids, String where) {
        Integer id = ids.get(token);
        if (id == null) {
            throw new IllegalArgumentException(where + " names '" + token + "', which is not in model.vocab");
        }
        return id;
    }

    private static int id(JsonElement value, String where) {
        String digits = text(value);
        refuseUnless(digits.matches("\\d{1,8}") && Integer.parseInt(digits) < MAX_ID, where, value,
                "an id in 0.." + (MAX_ID - 1));
        return Integer.parseInt(digits);
    }

    private static JsonObject object(JsonObject parent, String key, String where) {
        refuseUnless(parent.get(key) instanceof JsonObject, where + key, parent.get(key), "an object");
        return parent.getAsJsonObject(key);
    }

    private static JsonArray array(JsonObject parent, String key, String where) {
        refuseUnless(parent.get(key) instanceof JsonArray, where + key, parent.get(key), "an array");
        return parent.getAsJsonArray(key);
    }

    private static String string(JsonObject parent, String key, String where) {
        JsonElement value = parent.get(key);
        refuseUnless(value instanceof JsonPrimitive p && p.isString(), where + key, value, "a string");
        return value.getAsString();
    }

    private static boolean flag(JsonObject parent, String key, String where, boolean missing) {
        if (isNull(parent, key)) {
            return missing;
        }
        JsonElement value = parent.get(key);
        refuseUnless(value instanceof JsonPrimitive p && p.isBoolean(), where + key, value, "true or false");
        return value.getAsBoolean();
    }

    private static boolean isNull(JsonObject parent, String key) {
        return !parent.has(key) || parent.get(key).isJsonNull();
    }

    /// A primitive as text; "" for anything else.
    private static String text(JsonElement value) {
        return value != null && value.isJsonPrimitive() ? value.getAsString() : "";
    }

    private static void refuseUnless(boolean good, String where, JsonElement found, String supported) {
        if (!good) {
            throw unsupported(where, found, supported);
        }
    }

    private static IllegalArgumentException unsupported(String where, JsonElement found, String supported) {
        String shown = found == null ? "missing" : found.toString();
        if (shown.length() > 200) {
            shown = shown.substring(0, 200) + "...";
        }
        return new IllegalArgumentException(where + " is " + shown + "; supported: " + supported);
    }
}
