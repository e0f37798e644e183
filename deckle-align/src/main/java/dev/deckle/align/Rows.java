package dev.deckle.align;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.chat.ChatTemplate;
import dev.deckle.chat.Conversation;
import dev.deckle.io.Shown;
import dev.deckle.jinja.TemplateException;
import dev.deckle.json.StrictJson;
import dev.deckle.json.TextFile;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;

/// Reads a data set of JSON lines. Texts are tokenised: a prompt as a text that begins, a completion as its
/// continuation, with the end token after it; `messages` by the model's chat template, of which what the assistant says
/// counts. Rows that hold ids (`prompt_ids`, ...) are taken as they are.
final class Rows {
    private static final long LARGEST_FILE = 4L << 30;

    private final Path file;
    private final Optional<Tokenizer> tokenizer; // needed for texts only
    private final Optional<ChatTemplate> template;
    private final int vocabSize;
    private final int longest;
    private Set<String> keys = Set.of(); // of the first row

    /// @param longest tokens in a sequence; longer ones are cut at their end
    Rows(Path file, Optional<Tokenizer> tokenizer, Optional<ChatTemplate> template, int vocabSize, int longest) {
        this.file = file;
        this.tokenizer = tokenizer;
        this.template = template;
        this.vocabSize = vocabSize;
        this.longest = longest;
    }

    /// Makes a row of a line's object.
    @FunctionalInterface
    private interface Maker<R extends Row> {
        R of(JsonObject line, String where) throws IOException;
    }

    List<Row.Example> examples() throws IOException {
        return read(this::example);
    }

    List<Row.Pair> pairs() throws IOException {
        return read(this::pair);
    }

    List<Row.Prompt> prompts() throws IOException {
        return read(this::prompt);
    }

    List<Row.Rollout> rollouts() throws IOException {
        return read(this::rollout);
    }

    /// Rollouts as lines of JSON.
    ///
    /// @param where they come from, for messages
    static List<Row.Rollout> rollouts(String lines, String where, int vocabSize) throws IOException {
        Rows rows = new Rows(Path.of(""), Optional.empty(), Optional.empty(), vocabSize, Integer.MAX_VALUE);
        List<Row.Rollout> all = new ArrayList<>();
        for (String line : lines.split("\n")) {
            all.add(rows.rollout(StrictJson.object(line, where), where));
        }
        return all;
    }

    /// A batch that a checkpoint holds.
    record Saved(long batch, List<Row.Rollout> rollouts) {}

    /// What a checkpoint holds of the batch that its next step uses.
    static Saved saved(Path file, int vocabSize) throws IOException {
        String[] lines = TextFile.read(file, LARGEST_FILE).split("\n");
        long batch = (long) number(StrictJson.object(lines[0], file + ", line 1"), "batch", file + ", line 1");
        String rest = String.join("\n", Arrays.asList(lines).subList(1, lines.length));
        return new Saved(batch, rest.isEmpty() ? List.of() : rollouts(rest, file.toString(), vocabSize));
    }

    private <R extends Row> List<R> read(Maker<R> maker) throws IOException {
        List<R> rows = new ArrayList<>();
        String[] lines = TextFile.read(file, LARGEST_FILE).split("\n", -1);
        for (int i = 0; i < lines.length; i++) {
            if (lines[i].isBlank()) {
                continue;
            }
            String where = file + ", line " + (i + 1);
            JsonObject line = StrictJson.object(lines[i], where);
            sameKeys(line, where);
            rows.add(maker.of(line, where));
        }
        if (rows.isEmpty()) {
            throw new IOException(file + ": holds no rows, expected one JSON object a line");
        }
        return rows;
    }

    private static final Set<String> KNOWN = Set.of("prompt", "completion", "messages", "chosen", "rejected", "text",
            "prompt_ids", "completion_ids", "chosen_ids", "rejected_ids");

    /// Rows of different kinds in one file are a mistake: half of it would be learned in another way.
    private void sameKeys(JsonObject line, String where) {
        Set<String> own = new TreeSet<>(line.keySet());
        own.retainAll(KNOWN);
        if (keys.isEmpty()) {
            keys = own;
        }
        if (!keys.equals(own)) {
            throw new IllegalArgumentException(where + ": has the keys " + String.join(", ", own)
                    + ", the rows before it " + String.join(", ", keys));
        }
    }

    // ---- kinds of rows

    private Row.Example example(JsonObject o, String where) throws IOException {
        Sequence s;
        if (o.has("completion_ids")) {
            s = Sequence.of(idsOf(o, "prompt_ids", where), idsOf(o, "completion_ids", where));
        } else if (o.has("messages")) {
            s = conversation(messages(o, "messages", where), where);
        } else if (o.has("text")) {
            int[] ids = withEnd(tokenizer(where).begin(text(o, "text", where)));
            s = Sequence.of(new int[0], ids);
        } else if (o.has("completion")) {
            s = completed(o, "completion", where);
        } else {
            throw missing(where, o, "completion (and prompt), messages, text, or completion_ids");
        }
        return new Row.Example(checked(s, where));
    }

    private Row.Pair pair(JsonObject o, String where) throws IOException {
        Sequence chosen;
        Sequence rejected;
        if (o.has("chosen_ids")) {
            int[] prompt = idsOf(o, "prompt_ids", where);
            chosen = Sequence.of(prompt, idsOf(o, "chosen_ids", where));
            rejected = Sequence.of(prompt, idsOf(o, "rejected_ids", where));
        } else if (o.has("chosen") && o.get("chosen").isJsonArray()) {
            chosen = conversation(joined(o, "chosen", where), where);
            rejected = conversation(joined(o, "rejected", where), where);
        } else if (o.has("chosen")) {
            chosen = completed(o, "chosen", where);
            rejected = completed(o, "rejected", where);
        } else {
            throw missing(where, o, "chosen and rejected (and prompt), or chosen_ids and rejected_ids");
        }
        if (Arrays.equals(chosen.ids(), rejected.ids())) {
            throw new IllegalArgumentException(where + ": chosen equals rejected, so there is nothing to prefer");
        }
        chosen = checked(chosen, where);
        rejected = checked(rejected, where);
        if (Arrays.equals(chosen.ids(), rejected.ids())) {
            throw new IllegalArgumentException(where + ": chosen equals rejected within " + longest
                    + " tokens: a longer --max-length is needed");
        }
        double margin = o.has("margin") ? number(o, "margin", where) : 0;
        return new Row.Pair(chosen, rejected, margin);
    }

    private Row.Prompt prompt(JsonObject o, String where) throws IOException {
        int[] ids;
        String text;
        if (o.has("prompt_ids")) {
            ids = idsOf(o, "prompt_ids", where);
            int[] known = ids;
            text = tokenizer.map(t -> t.decode(known)).orElse("");
        } else if (o.has("prompt") && o.get("prompt").isJsonArray() || o.has("messages")) {
            JsonArray said = messages(o, o.has("messages") ? "messages" : "prompt", where);
            text = template(where).render(Conversation.of(said));
            ids = tokenizer(where).encode(text);
        } else if (o.has("prompt")) {
            text = text(o, "prompt", where);
            ids = tokenizer(where).begin(text);
        } else {
            throw missing(where, o, "prompt, messages, or prompt_ids");
        }
        if (ids.length == 0 || ids.length >= longest) {
            throw new IllegalArgumentException(where + ": the prompt has " + ids.length + " tokens, expected 1 to "
                    + (longest - 1) + ", so that something can follow it");
        }
        Map<String, JsonElement> columns = new LinkedHashMap<>(o.asMap());
        return new Row.Prompt(text, ids, columns);
    }

    private Row.Rollout rollout(JsonObject o, String where) {
        int[] prompt = idsOf(o, "prompt_ids", where);
        int[] completion = idsOf(o, "completion_ids", where);
        float[] logprobs = floats(o, "logprobs", where);
        if (logprobs.length != completion.length) {
            throw new IllegalArgumentException(where + ": logprobs has " + logprobs.length + " numbers for "
                    + completion.length + " completion_ids");
        }
        Sequence s = Sequence.of(prompt, completion);
        if (s.length() > longest || s.tokens() != completion.length) {
            throw new IllegalArgumentException(where + ": a prompt of at least one token and at most " + longest
                    + " tokens with the completion are expected, not " + prompt.length + " and " + s.length());
        }
        double reward = o.has("reward") && !o.get("reward").isJsonNull() ? number(o, "reward", where) : Double.NaN;
        boolean counts = !o.has("counts") || !"false".equals(o.get("counts").getAsString());
        boolean ended = !o.has("ended") || !"false".equals(o.get("ended").getAsString());
        return new Row.Rollout(prompt, completion, reward, logprobs, counts, ended);
    }

    private Sequence checked(Sequence s, String where) {
        if (s.length() > longest) {
            s = new Sequence(Arrays.copyOf(s.ids(), longest), Arrays.copyOf(s.counted(), longest));
        }
        if (s.tokens() == 0) {
            throw new IllegalArgumentException(where + ": no token is left to learn within " + longest
                    + " tokens: a longer --max-length, or a shorter prompt");
        }
        return s;
    }

    // ---- texts

    /// A prompt, if there is one, and what is to follow it.
    private Sequence completed(JsonObject o, String key, String where) throws IOException {
        Tokenizer t = tokenizer(where);
        String prompt = o.has("prompt") ? text(o, "prompt", where) : "";
        int[] before = t.begin(prompt);
        int[] both = t.begin(prompt + text(o, key, where));
        boolean grows = both.length >= before.length && Arrays.mismatch(both, before) == before.length
                || Arrays.equals(both, before);
        // where the last token of the prompt would melt into the completion, each is tokenised alone
        int[] after = grows ? Arrays.copyOfRange(both, before.length, both.length)
                : t.encode(text(o, key, where));
        return Sequence.of(before, withEnd(after));
    }

    private int[] withEnd(int[] ids) {
        OptionalInt end = tokenizer.orElseThrow().endOfText();
        if (end.isEmpty() || ids.length > 0 && ids[ids.length - 1] == end.getAsInt()) {
            return ids;
        }
        int[] more = Arrays.copyOf(ids, ids.length + 1);
        more[ids.length] = end.getAsInt();
        return more;
    }

    private JsonArray joined(JsonObject o, String key, String where) {
        JsonArray all = new JsonArray();
        if (o.has("prompt")) {
            all.addAll(messages(o, "prompt", where));
        }
        all.addAll(messages(o, key, where));
        return all;
    }

    /// A conversation of which the assistant's turns count: what the template adds when a turn of the assistant does.
    private Sequence conversation(JsonArray messages, String where) throws IOException {
        String whole = render(messages, messages.size(), false, where);
        List<Integer> cuts = new ArrayList<>(); // what counts lies between the first and the second, and so on
        for (int i = 0; i < messages.size(); i++) {
            if (!"assistant".equals(text(messages.get(i).getAsJsonObject(), "role", where))) {
                continue;
            }
            String before = render(messages, i, true, where);
            String after = render(messages, i + 1, false, where);
            if (!whole.startsWith(before) || !whole.startsWith(after) || after.length() < before.length()) {
                throw new IllegalArgumentException(where + ": the chat template shows the assistant's turn "
                        + (i + 1) + " otherwise when more follows it, so what it says cannot be told from the rest");
            }
            cuts.add(before.length());
            cuts.add(after.length());
        }
        if (cuts.isEmpty()) {
            throw new IllegalArgumentException(where + ": no message is the assistant's, so there is nothing to learn");
        }
        return cut(whole, cuts, where);
    }

    /// A text of which every other part counts. Its tokens are those of the whole; only where one of them would reach
    /// over a cut each part is tokenised alone: many tokenizers write the beginning of a text in another way.
    private Sequence cut(String whole, List<Integer> cuts, String where) {
        Tokenizer t = tokenizer(where);
        int[] ids = t.encode(whole);
        List<Integer> places = new ArrayList<>();
        for (int c : cuts) {
            int[] head = t.encode(whole.substring(0, c));
            if (head.length > ids.length || !Arrays.equals(head, Arrays.copyOf(ids, head.length))) {
                return apart(whole, cuts, t);
            }
            places.add(head.length);
        }
        return counted(ids, places);
    }

    private static Sequence apart(String whole, List<Integer> cuts, Tokenizer t) {
        IntStream.Builder ids = IntStream.builder();
        List<Integer> places = new ArrayList<>();
        int done = 0;
        int length = 0;
        for (int c : cuts) {
            int[] part = t.encode(whole.substring(done, c));
            Arrays.stream(part).forEach(ids);
            length += part.length;
            places.add(length);
            done = c;
        }
        Arrays.stream(t.encode(whole.substring(done))).forEach(ids);
        return counted(ids.build().toArray(), places);
    }

    private static Sequence counted(int[] ids, List<Integer> places) {
        boolean[] learned = new boolean[ids.length];
        for (int i = 0; i < places.size(); i += 2) {
            Arrays.fill(learned, places.get(i), places.get(i + 1), true);
        }
        if (ids.length > 0) {
            learned[0] = false;
        }
        return new Sequence(ids, learned);
    }

    private String render(JsonArray messages, int count, boolean prompt, String where) {
        JsonArray some = new JsonArray();
        for (int i = 0; i < count; i++) {
            some.add(messages.get(i));
        }
        Conversation c = new Conversation(some, Optional.empty(), prompt, Optional.empty(), new JsonObject());
        try {
            return template(where).render(c);
        } catch (TemplateException e) {
            throw new IllegalArgumentException(where + ": " + e.getMessage(), e);
        }
    }

    private Tokenizer tokenizer(String where) {
        return tokenizer
                .orElseThrow(() -> new IllegalArgumentException(where + ": is text, and the model's folder holds "
                        + "no tokenizer.json: give ids (prompt_ids, completion_ids, ...)"));
    }

    private ChatTemplate template(String where) {
        return template.orElseThrow(() -> new IllegalArgumentException(where + ": has messages, and the model's folder "
                + "holds no chat template: give prompt and completion"));
    }

    // ---- JSON

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
        JsonArray a = array(o, key, where);
        float[] values = new float[a.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) number(a.get(i), key, where);
        }
        return values;
    }

    private static IllegalArgumentException missing(String where, JsonObject o, String expected) {
        return new IllegalArgumentException(where + ": has the keys "
                + Shown.brief(String.join(", ", o.keySet())) + ", expected " + expected);
    }

    private static JsonArray messages(JsonObject o, String key, String where) {
        JsonArray a = array(o, key, where);
        for (JsonElement e : a) {
            if (!e.isJsonObject()) {
                throw new IllegalArgumentException(where + ": " + key + " holds something that is no message");
            }
        }
        return a;
    }

    private static JsonArray array(JsonObject o, String key, String where) {
        if (!(o.get(key) instanceof JsonArray a)) {
            throw new IllegalArgumentException(where + ": " + key + (o.has(key) ? " is no list" : " is missing"));
        }
        return a;
    }

    private static String text(JsonObject o, String key, String where) {
        if (o.get(key) instanceof JsonPrimitive p && p.isString()) {
            return p.getAsString();
        }
        throw new IllegalArgumentException(where + ": " + key + (o.has(key) ? " is no text" : " is missing"));
    }

    private static double number(JsonObject o, String key, String where) {
        return number(o.get(key), key, where);
    }

    private static double number(JsonElement e, String key, String where) {
        if (e instanceof JsonPrimitive p && p.isNumber() && Double.isFinite(p.getAsDouble())) {
            return p.getAsDouble();
        }
        throw new IllegalArgumentException(where + ": " + key + (e == null ? " is missing" : " is no number"));
    }

    private int[] idsOf(JsonObject o, String key, String where) {
        JsonArray a = array(o, key, where);
        int[] ids = new int[a.size()];
        for (int i = 0; i < ids.length; i++) {
            double n = number(a.get(i), key, where);
            if (n != (int) n || n < 0 || n >= vocabSize) {
                throw new IllegalArgumentException(
                        where + ": " + key + " holds " + a.get(i) + ", the model has ids 0 to "
                                + (vocabSize - 1));
            }
            ids[i] = (int) n;
        }
        return ids;
    }
}
