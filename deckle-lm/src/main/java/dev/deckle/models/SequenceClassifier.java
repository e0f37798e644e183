package dev.deckle.models;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.nn.Linear;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/// A decoder with one number in place of logits: what it thinks of a sequence when it has read it to its end. A reward
/// model, in the layout of Hugging Face's `...ForSequenceClassification` with one label: the decoder's weights without
/// its head, and `score.weight` (1, hidden_size).
public final class SequenceClassifier implements CausalLm {
    static final String SCORE = "score.weight";

    private final CausalLm decoder;
    private final Linear score;
    private final State state;
    private final OptionalInt padding;

    /// @param scoreWeight (1, hidden_size)
    SequenceClassifier(CausalLm decoder, Tensor scoreWeight) {
        this.decoder = decoder;
        score = new Linear(scoreWeight);
        Map<String, Tensor> parameters = new LinkedHashMap<>();
        parameters.put(SCORE, scoreWeight); // first, as a home was asked for it
        parameters.putAll(decoder.parameters());
        State d = decoder.state();
        state = new State(classifying(d.configJson()), parameters, d.memory(), 1, d.maxPositionEmbeddings(),
                d.fixedPositions(), d.windows());
        padding = state.configJson().get("pad_token_id") instanceof JsonPrimitive p && p.isNumber()
                ? OptionalInt.of(p.getAsInt())
                : OptionalInt.empty();
    }

    private static JsonObject classifying(JsonObject config) {
        JsonObject c = config.deepCopy();
        JsonArray names = new JsonArray();
        String own = config.has("architectures") && !config.getAsJsonArray("architectures").isEmpty()
                ? config.getAsJsonArray("architectures").get(0).getAsString()
                : "ForCausalLM";
        names.add(own.replaceFirst("For(CausalLM|SequenceClassification)$", "ForSequenceClassification"));
        c.add("architectures", names);
        JsonObject label = new JsonObject();
        label.addProperty("0", "LABEL_0");
        c.add("id2label", label);
        JsonObject id = new JsonObject();
        id.addProperty("LABEL_0", 0);
        c.add("label2id", id);
        if (!c.has("pad_token_id") || c.get("pad_token_id").isJsonNull()) {
            JsonElement end = c.get("eos_token_id"); // where transformers looks for a row's end
            c.add("pad_token_id", end instanceof JsonArray all && !all.isEmpty() ? all.get(0) : end);
        }
        return c;
    }

    /// Of each sequence, read to its end or to what pads it: (B).
    public Tensor scores(List<int[]> sequences) {
        int longest = sequences.stream().mapToInt(s -> s.length).max().orElseThrow();
        long[] ids = new long[sequences.size() * longest];
        long[] ends = new long[sequences.size()];
        for (int r = 0; r < ends.length; r++) {
            int[] s = sequences.get(r);
            for (int t = 0; t < s.length; t++) {
                ids[r * longest + t] = s[t];
            }
            ends[r] = (long) r * longest + end(s);
        }
        Tensor hidden = hidden(Tensor.of(ids, ends.length, longest), Pass.evaluate()); // (B, T, hidden)
        Tensor all = head(hidden).reshape(-1); // (B T)
        return all.gather(0, Tensor.of(ends));
    }

    /// The last token that is not the one which pads, as transformers finds it: where the end token pads as well, it is
    /// the token before it that tells.
    private int end(int[] sequence) {
        int i = sequence.length - 1;
        while (i > 0 && padding.isPresent() && sequence[i] == padding.getAsInt()) {
            i--;
        }
        return i;
    }

    @Override
    public State state() {
        return state;
    }

    @Override
    public Tensor hidden(Tensor ids, Pass pass) {
        return decoder.hidden(ids, pass);
    }

    @Override
    public Tensor head(Tensor hidden) {
        return score.forward(hidden);
    }
}
