package dev.deckle.align;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.deckle.chat.ChatTemplate;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Reads a data set of JSON lines. What is text becomes tokens as [Texts] says; rows that hold ids (`prompt_ids`, ...)
/// are taken as they are.
final class Rows {
    private final Path file;
    private final Texts texts;
    private final int vocabSize;
    private final int longest;
    private final String remedy; // where something is too long

    /// @param tokenizer needed for texts only, as is the template
    /// @param maxLength tokens in a sequence; longer ones are cut at their end
    /// @param positions of the model, which takes no longer ones
    Rows(Path file, Optional<Tokenizer> tokenizer, Optional<ChatTemplate> template, int vocabSize, int maxLength,
            int positions) {
        this.file = file;
        texts = new Texts(tokenizer, template);
        this.vocabSize = vocabSize;
        longest = Math.min(maxLength, positions);
        remedy = maxLength < positions ? "a longer --max-length, or" : "the model takes no more, so";
    }

    List<Row.Example> examples() throws IOException {
        return Line.read(file, this::example);
    }

    List<Row.Pair> pairs() throws IOException {
        return Line.read(file, this::pair);
    }

    List<Row.Prompt> prompts() throws IOException {
        return Line.read(file, this::prompt);
    }

    List<Row.Rollout> rollouts() throws IOException {
        return Line.read(file, this::rollout);
    }

    /// Rollouts as lines of JSON.
    ///
    /// @param where they come from, for messages
    static List<Row.Rollout> rollouts(String lines, String where, int vocabSize) throws IOException {
        Rows rows = new Rows(Path.of(""), Optional.empty(), Optional.empty(), vocabSize, Integer.MAX_VALUE,
                Integer.MAX_VALUE);
        List<Row.Rollout> all = new ArrayList<>();
        for (String line : lines.split("\n")) {
            all.add(rows.rollout(Line.of(line, where)));
        }
        return all;
    }

    /// A batch that a checkpoint holds.
    record Saved(long batch, List<Row.Rollout> rollouts) {}

    /// What a checkpoint holds of the batch that its next step uses.
    static Saved saved(Path file, int vocabSize) throws IOException {
        String[] lines = Line.text(file).split("\n");
        long batch = (long) Line.of(lines[0], file + ", line 1").number("batch");
        String rest = String.join("\n", Arrays.asList(lines).subList(1, lines.length));
        return new Saved(batch, rest.isEmpty() ? List.of() : rollouts(rest, file.toString(), vocabSize));
    }

    private Row.Example example(Line line) {
        Sequence s;
        if (line.has("completion_ids")) {
            s = Sequence.of(line.ids("prompt_ids", vocabSize), line.ids("completion_ids", vocabSize));
        } else if (line.has("messages")) {
            s = texts.conversation(line, line.messages("messages"));
        } else if (line.has("text")) {
            s = texts.text(line, "text");
        } else if (line.has("completion")) {
            s = texts.completed(line, "completion");
        } else {
            throw line.unknown("completion (and prompt), messages, text, or completion_ids");
        }
        return new Row.Example(checked(s, line));
    }

    private Row.Pair pair(Line line) {
        Sequence chosen;
        Sequence rejected;
        if (line.has("chosen_ids")) {
            int[] prompt = line.ids("prompt_ids", vocabSize);
            chosen = Sequence.of(prompt, line.ids("chosen_ids", vocabSize));
            rejected = Sequence.of(prompt, line.ids("rejected_ids", vocabSize));
        } else if (line.isList("chosen")) {
            chosen = texts.answered(line, "chosen");
            rejected = texts.answered(line, "rejected");
        } else if (line.has("chosen")) {
            chosen = texts.completed(line, "chosen");
            rejected = texts.completed(line, "rejected");
        } else {
            throw line.unknown("chosen and rejected (and prompt), or chosen_ids and rejected_ids");
        }
        if (Arrays.equals(chosen.ids(), rejected.ids())) {
            throw line.refused("chosen equals rejected, so there is nothing to prefer");
        }
        chosen = checked(chosen, line);
        rejected = checked(rejected, line);
        if (Arrays.equals(chosen.ids(), rejected.ids())) {
            throw line.refused("chosen equals rejected within " + longest + " tokens: " + remedy
                    + " a shorter prompt is needed");
        }
        return new Row.Pair(chosen, rejected, line.has("margin") ? line.number("margin") : 0);
    }

    private Row.Prompt prompt(Line line) {
        int[] ids;
        String text;
        if (line.has("prompt_ids")) {
            ids = line.ids("prompt_ids", vocabSize);
            int[] known = ids;
            text = texts.tokenizer().map(t -> t.decode(known)).orElse("");
        } else if (line.isList("prompt") || line.has("messages")) {
            text = texts.prompt(line, line.has("messages") ? "messages" : "prompt");
            ids = texts.tokenizer(line).encode(text);
        } else if (line.has("prompt")) {
            text = line.text("prompt");
            ids = texts.tokenizer(line).begin(text);
        } else {
            throw line.unknown("prompt, messages, or prompt_ids");
        }
        if (ids.length == 0 || ids.length >= longest) {
            throw line.refused("the prompt has " + ids.length + " tokens, expected 1 to " + (longest - 1)
                    + ", so that something can follow it");
        }
        Map<String, JsonElement> columns = new LinkedHashMap<>(line.object().asMap());
        return new Row.Prompt(text, ids, columns);
    }

    private Row.Rollout rollout(Line line) {
        int[] prompt = line.ids("prompt_ids", vocabSize);
        int[] completion = line.ids("completion_ids", vocabSize);
        float[] logprobs = line.floats("logprobs");
        if (logprobs.length != completion.length) {
            throw line.refused("logprobs has " + logprobs.length + " numbers for " + completion.length
                    + " completion_ids");
        }
        Sequence s = Sequence.of(prompt, completion);
        if (s.length() > longest || s.tokens() != completion.length) {
            throw line.refused("a prompt of at least one token and at most " + longest
                    + " tokens with the completion are expected, not " + prompt.length + " and " + s.length());
        }
        JsonObject o = line.object();
        double reward = o.has("reward") && !o.get("reward").isJsonNull() ? line.number("reward") : Double.NaN;
        boolean counts = !o.has("counts") || !"false".equals(o.get("counts").getAsString());
        boolean ended = !o.has("ended") || !"false".equals(o.get("ended").getAsString());
        return new Row.Rollout(prompt, completion, reward, logprobs, counts, ended);
    }

    private Sequence checked(Sequence s, Line line) {
        Sequence cut = s.length() <= longest ? s
                : new Sequence(Arrays.copyOf(s.ids(), longest), Arrays.copyOf(s.counted(), longest));
        if (cut.tokens() == 0) {
            throw line.refused("no token is left to learn within " + longest
                    + " tokens: " + remedy
                    + " a shorter prompt is needed");
        }
        return cut;
    }

    static JsonArray array(int... ids) {
        JsonArray a = new JsonArray();
        for (int i : ids) {
            a.add(i);
        }
        return a;
    }

    static JsonArray array(float... values) {
        JsonArray a = new JsonArray();
        for (float f : values) {
            a.add(f);
        }
        return a;
    }

    static float[] floats(JsonObject o, String key, String where) {
        return new Line(o, where).floats(key);
    }
}
