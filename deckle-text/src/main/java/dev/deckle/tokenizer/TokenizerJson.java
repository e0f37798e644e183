package dev.deckle.tokenizer;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import dev.deckle.tokenizer.AddedTokens.Added;
import java.util.List;

/// What a `tokenizer.json` says, stage by stage.
///
/// Everything that would change ids and is not understood is refused with its key, what it holds and what is expected.
/// `truncation` and `padding` are passed over, as `transformers` does unless a call asks for them.
final class TokenizerJson {
    /// The stages of a tokenizer in the order in which text goes through them, and the way back.
    ///
    /// @param splitSpecial whether special tokens in a text are text
    record Definition(List<Added> added, boolean splitSpecial, Normalizer normalizer, PreTokenizer preTokenizer,
            Model model, PostProcessor postProcessor, Decoder decoder) {}

    private TokenizerJson() {}

    /// @param config `tokenizer_config.json`
    /// @throws IllegalArgumentException with a message that begins with the key that is wrong
    static Definition read(JsonObject json, JsonObject config) {
        var root = new Fields(json, "");
        Model model = Model.read(root.fields("model"));
        var added = new AddedVocabulary(model.vocabulary());
        added.read(root);
        var configured = new Fields(config, "tokenizer_config.json: ");
        added.readConfig(configured);
        return new Definition(added.tokens(), configured.flag("split_special_tokens", false),
                root.has("normalizer") ? Normalizer.read(root.fields("normalizer"))
                        : new Normalizer.Sequence(List.of()),
                root.has("pre_tokenizer") ? PreTokenizer.read(root.fields("pre_tokenizer"))
                        : new PreTokenizer.Sequence(List.of()),
                model,
                root.has("post_processor") ? PostProcessor.read(root.fields("post_processor"), added::id)
                        : PostProcessor.NONE,
                root.has("decoder") ? Decoder.read(root.fields("decoder")) : new Decoder.Spaces());
    }

    /// The file for a trained tokenizer: GPT-2's pieces, special tokens first, then the vocabulary as it is.
    static JsonObject write(List<String> specialTokens, List<String> vocabulary, List<BpeModel.Merge> merges) {
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
        for (BpeModel.Merge m : merges) {
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
}
