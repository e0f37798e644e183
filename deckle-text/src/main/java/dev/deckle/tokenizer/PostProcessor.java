package dev.deckle.tokenizer;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import java.util.function.ToIntFunction;

/// The last stage of encoding: the ids that go before and behind those of one text.
record PostProcessor(int[] before, int[] after) {
    static final PostProcessor NONE = new PostProcessor(new int[0], new int[0]);

    /// @param ids of the tokens that a template names, [Vocabulary#NONE] for others
    static PostProcessor read(Fields stage, ToIntFunction<String> ids) {
        return switch (stage.string("type")) {
            case "ByteLevel" -> NONE; // changes offsets only
            case "TemplateProcessing" -> template(stage, ids);
            case "BertProcessing", "RobertaProcessing" -> new PostProcessor(new int[] {pair(stage, "cls")},
                    new int[] {pair(stage, "sep")});
            case "Sequence" -> {
                PostProcessor all = NONE;
                for (Fields part : stage.list("processors")) {
                    PostProcessor next = read(part, ids);
                    all = new PostProcessor(joined(next.before, all.before), joined(all.after, next.after));
                }
                yield all;
            }
            default -> throw stage.wrong("type",
                    "ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing or Sequence");
        };
    }

    /// The id in `["[CLS]", 101]`.
    private static int pair(Fields stage, String key) {
        if (stage.raw(key) instanceof JsonArray pair && pair.size() == 2) {
            return Fields.id(pair.get(1), stage.where(key) + "[1]");
        }
        throw stage.wrong(key, "[token, id]");
    }

    private static PostProcessor template(Fields stage, ToIntFunction<String> ids) {
        var before = new IntList();
        var after = new IntList();
        boolean text = false;
        for (Fields part : stage.list("single")) {
            if (part.has("SpecialToken")) {
                special(stage, part.fields("SpecialToken"), ids, text ? after : before);
            } else if (!text && part.has("Sequence") && part.fields("Sequence").string("id").equals("A")) {
                text = true;
            } else {
                throw Fields.refused(stage.where("single"), stage.raw("single"), "special tokens and one sequence A");
            }
        }
        if (!text) {
            throw Fields.refused(stage.where("single"), stage.raw("single"), "special tokens and one sequence A");
        }
        return new PostProcessor(before.toArray(), after.toArray());
    }

    /// The ids that the template lists for a special token, or that of the vocabulary if it has no list.
    private static void special(Fields stage, Fields token, ToIntFunction<String> ids, IntList side) {
        String name = token.string("id");
        if (stage.has("special_tokens")) {
            Fields listed = stage.fields("special_tokens");
            JsonElement entry = listed.has(name) ? listed.raw(name) : JsonNull.INSTANCE;
            String where = listed.where("'" + name + "'");
            JsonArray values = Fields.of(entry, where).array("ids");
            for (int i = 0; i < values.size(); i++) {
                side.add(Fields.id(values.get(i), where + ".ids[" + i + "]"));
            }
            return;
        }
        int id = ids.applyAsInt(name);
        if (id == Vocabulary.NONE) {
            throw new IllegalArgumentException(token.where("id") + " is '" + name + "', which is not in model.vocab");
        }
        side.add(id);
    }

    private static int[] joined(int[] a, int[] b) {
        var all = new IntList();
        all.addAll(a, 0, a.length);
        all.addAll(b, 0, b.length);
        return all.toArray();
    }

    int[] begin(int[] ids) {
        return joined(before, ids);
    }

    int[] wrap(int[] ids) {
        return joined(joined(before, ids), after);
    }
}
