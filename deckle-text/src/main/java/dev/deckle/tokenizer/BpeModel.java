package dev.deckle.tokenizer;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;

/// What a file says of a byte-pair model (Sennrich et al., 2016). [Bpe] runs it on bytes, [CharBpe] on characters.
///
/// @param merges in the order of their ranks
/// @param unknownToken for characters that are not in the vocabulary, null if they are left out
/// @param fuseUnknown whether unknown characters side by side are one unknown token
/// @param byteFallback whether an unknown character becomes the tokens of its bytes, `<0xE2>` and so on
/// @param ignoreMerges whether a piece that is a token is taken whole, whatever the merges make of it
/// @param continuingPrefix before each character but the first of a piece; often empty
/// @param endSuffix behind the last character of a piece; often empty
record BpeModel(Vocabulary vocabulary, List<Merge> merges, String unknownToken, boolean fuseUnknown,
        boolean byteFallback, boolean ignoreMerges, String continuingPrefix, String endSuffix) implements Model {
    /// One merge: of all pairs present, the one of lowest rank (its index in the list) is merged first.
    record Merge(int left, int right, int merged) {}

    static BpeModel read(Fields model) {
        if (model.has("dropout") && !(model.raw("dropout") instanceof JsonPrimitive p && p.isNumber()
                && p.getAsDouble() == 0)) {
            throw model.wrong("dropout", "null: dropout makes encodings random");
        }
        Vocabulary vocabulary = Model.vocabulary(model);
        String prefix = model.optionalString("continuing_subword_prefix").orElse("");
        return new BpeModel(vocabulary, merges(model, vocabulary, prefix),
                model.optionalString("unk_token").orElse(null), model.flag("fuse_unk", false),
                model.flag("byte_fallback", false), model.flag("ignore_merges", false), prefix,
                model.optionalString("end_of_word_suffix").orElse(""));
    }

    private static List<Merge> merges(Fields model, Vocabulary vocabulary, String prefix) {
        JsonArray pairs = model.array("merges");
        var merges = new ArrayList<Merge>(pairs.size());
        int line = 0;
        for (JsonElement pair : pairs) {
            String where = model.where("merges") + "[" + line++ + "]";
            String left;
            String right;
            if (pair instanceof JsonArray a && a.size() == 2) {
                left = Fields.string(a.get(0), where);
                right = Fields.string(a.get(1), where);
            } else { // before 2024 a merge was one string
                String both = pair instanceof JsonPrimitive p && p.isString() ? p.getAsString() : "";
                int space = both.indexOf(' ');
                if (both.startsWith("#version")) {
                    continue;
                }
                if (space <= 0) {
                    throw Fields.refused(where, pair, "two tokens");
                }
                left = both.substring(0, space);
                right = both.substring(space + 1);
            }
            if (!right.startsWith(prefix)) {
                throw Fields.refused(where, pair, "a second token that begins with '" + prefix + "'");
            }
            merges.add(new Merge(known(left, vocabulary, where), known(right, vocabulary, where),
                    known(left + right.substring(prefix.length()), vocabulary, where)));
        }
        return merges;
    }

    private static int known(String token, Vocabulary vocabulary, String where) {
        int id = vocabulary.id(token);
        if (id == Vocabulary.NONE) {
            throw new IllegalArgumentException(where + " names '" + token + "', which is not in model.vocab");
        }
        return id;
    }

    /// Whether every byte is a token, so that [Bpe] can run this model where the text is spelled in [ByteAlphabet].
    boolean hasAllBytes() {
        boolean all = continuingPrefix.isEmpty() && endSuffix.isEmpty();
        for (int b = 0; b < 256 && all; b++) {
            all = vocabulary.id(String.valueOf(ByteAlphabet.toChar(b))) != Vocabulary.NONE;
        }
        return all;
    }

    /// From a pair of ids to `rank << 32 | merged id`. Of two equal pairs the last counts.
    PairTable mergeTable() {
        var table = new PairTable(merges.size());
        for (int rank = 0; rank < merges.size(); rank++) {
            Merge m = merges.get(rank);
            table.put(PairTable.pair(m.left, m.right), (long) rank << 32 | m.merged);
        }
        return table;
    }

    @Override
    public Encoder encoder() {
        return new CharBpe(this).encoder();
    }
}
