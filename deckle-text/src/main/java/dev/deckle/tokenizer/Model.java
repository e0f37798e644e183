package dev.deckle.tokenizer;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;

/// The third stage: turns the pieces of a text into ids. Immutable; an [Encoder] does the work of one thread.
sealed interface Model permits BpeModel, Unigram, WordPiece, WordLevel {
    Vocabulary vocabulary();

    Encoder encoder();

    /// What one thread needs to encode.
    interface Encoder {
        /// Appends the ids of a piece.
        ///
        /// @throws IllegalArgumentException if the piece is unknown and the model has no token to say so
        void encode(String piece, IntList out);
    }

    static Model read(Fields model) {
        return switch (type(model)) {
            case "BPE" -> BpeModel.read(model);
            case "Unigram" -> unigram(model);
            case "WordPiece" -> new WordPiece(vocabulary(model), model.string("unk_token"),
                    model.string("continuing_subword_prefix"), model.count("max_input_chars_per_word", 0));
            case "WordLevel" -> new WordLevel(vocabulary(model), model.string("unk_token"));
            default -> throw model.wrong("type", "BPE, Unigram, WordPiece or WordLevel");
        };
    }

    /// Early files name no type: it is told by the keys that only one type has.
    private static String type(Fields model) {
        if (model.object().has("type")) {
            return model.string("type");
        }
        return model.has("merges") ? "BPE"
                : model.has("max_input_chars_per_word") ? "WordPiece"
                        : model.has("unk_token") ? "WordLevel"
                                : model.raw("vocab") instanceof JsonArray ? "Unigram" : "BPE";
    }

    static Vocabulary vocabulary(Fields model) {
        if (model.raw("vocab") instanceof JsonObject vocab) {
            return Vocabulary.of(vocab, model.where("vocab"));
        }
        throw model.wrong("vocab", "an object");
    }

    private static Unigram unigram(Fields model) {
        JsonArray vocab = model.array("vocab");
        if (vocab.size() > Fields.MAX_ID) {
            throw new IllegalArgumentException(
                    model.where("vocab") + " has " + vocab.size() + " tokens; expected at most "
                            + Fields.MAX_ID);
        }
        String[] tokens = new String[vocab.size()];
        double[] scores = new double[vocab.size()];
        for (int id = 0; id < tokens.length; id++) {
            String where = model.where("vocab") + "[" + id + "]";
            JsonElement entry = vocab.get(id);
            if (!(entry instanceof JsonArray pair && pair.size() == 2 && pair.get(1) instanceof JsonPrimitive score
                    && score.isNumber() && Double.isFinite(score.getAsDouble()))) {
                throw Fields.refused(where, entry, "[token, score]");
            }
            tokens[id] = Fields.string(pair.get(0), where);
            scores[id] = score.getAsDouble();
        }
        int unknown = model.has("unk_id") ? model.id("unk_id") : Vocabulary.NONE;
        if (unknown >= tokens.length) {
            throw model.wrong("unk_id", "the id of one of the " + tokens.length + " tokens");
        }
        return new Unigram(Vocabulary.of(tokens), scores, unknown, model.flag("byte_fallback", false));
    }

    /// The failure for a piece that is not in the vocabulary of a model that cannot say so.
    static IllegalArgumentException unknown(String piece, String key, String token) {
        String start = piece.length() > 40 ? piece.substring(0, 40) + "..." : piece;
        String shown = start.replaceAll("\\R", " ");
        return new IllegalArgumentException("the tokenizer does not know '" + shown + "', and " + key
                + " in tokenizer.json is "
                + (token == null ? "missing" : "'" + token + "', which is not in model.vocab"));
    }
}
