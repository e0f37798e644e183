package dev.deckle.align;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.deckle.chat.ChatTemplate;
import dev.deckle.chat.Conversation;
import dev.deckle.jinja.Template;
import dev.deckle.jinja.TemplateException;
import dev.deckle.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/// How texts and conversations become tokens of which some are learned. A prompt is a text that begins, a completion
/// its continuation, with the end token after it; of a conversation what the assistant says counts: what the template
/// marks by `{% generation %}`, or where it marks nothing what it adds when a turn of the assistant does.
///
/// @param tokenizer of the model, if it has one
/// @param template its chat template, if it has one
record Texts(Optional<Tokenizer> tokenizer, Optional<ChatTemplate> template) {
    /// A text that counts from its beginning.
    Sequence text(Line line, String key) {
        return Sequence.of(new int[0], withEnd(tokenizer(line).begin(line.text(key))));
    }

    /// A prompt, if there is one, and what is to follow it.
    Sequence completed(Line line, String key) {
        Tokenizer t = tokenizer(line);
        String prompt = line.has("prompt") ? line.text("prompt") : "";
        int[] before = t.begin(prompt);
        int[] both = t.begin(prompt + line.text(key));
        boolean grows = both.length >= before.length && Arrays.mismatch(both, before) == before.length
                || Arrays.equals(both, before);
        // where the last token of the prompt would melt into the completion, each is tokenised alone
        int[] after = grows ? Arrays.copyOfRange(both, before.length, both.length) : t.encode(line.text(key));
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

    /// A prompt of messages, as text.
    String prompt(Line line, String key) {
        return render(line, line.messages(key), true).text();
    }

    /// A conversation, to which the messages of a prompt, if there is one, are the beginning.
    Sequence answered(Line line, String key) {
        JsonArray all = new JsonArray();
        if (line.has("prompt")) {
            all.addAll(line.messages("prompt"));
        }
        all.addAll(line.messages(key));
        return conversation(line, all);
    }

    /// A conversation of which the assistant's turns count.
    Sequence conversation(Line line, JsonArray all) {
        List<Integer> turns = new ArrayList<>();
        for (int i = 0; i < all.size(); i++) {
            if ("assistant".equals(line.role(all.get(i)))) {
                turns.add(i);
            }
        }
        if (turns.isEmpty()) {
            throw line.refused("no message is the assistant's, so there is nothing to learn");
        }
        Template.Rendered whole = render(line, all, false);
        return cut(whole.text(), whole.generated().isEmpty() ? cuts(line, all, turns, whole.text())
                : whole.generated(), tokenizer(line));
    }

    /// Where what counts begins and ends, in turn.
    private List<Integer> cuts(Line line, JsonArray messages, List<Integer> turns, String whole) {
        List<Integer> cuts = new ArrayList<>();
        for (int i : turns) {
            String before = render(line, first(messages, i), true).text();
            String after = render(line, first(messages, i + 1), false).text();
            if (!whole.startsWith(before) || !whole.startsWith(after) || after.length() < before.length()) {
                throw line.refused("the chat template shows the assistant's turn " + (i + 1)
                        + " otherwise when more follows it, so what it says cannot be told from the rest");
            }
            cuts.add(before.length());
            cuts.add(after.length());
        }
        return cuts;
    }

    private static JsonArray first(JsonArray messages, int count) {
        JsonArray some = new JsonArray();
        for (JsonElement m : messages.asList().subList(0, count)) {
            some.add(m);
        }
        return some;
    }

    /// A text of which every other part counts. Its tokens are those of the whole; only where one of them would reach
    /// over a cut each part is tokenised alone: many tokenizers write the beginning of a text in another way.
    private static Sequence cut(String whole, List<Integer> cuts, Tokenizer t) {
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

    private Template.Rendered render(Line line, JsonArray messages, boolean prompt) {
        ChatTemplate t = template.orElseThrow(() -> line.refused(
                "has messages, and the model's folder holds no chat template: give prompt and completion"));
        try {
            return t.rendered(new Conversation(messages, Optional.empty(), prompt, Optional.empty(), new JsonObject()));
        } catch (TemplateException e) {
            throw new IllegalArgumentException(line.where() + ": " + e.getMessage(), e);
        }
    }

    Tokenizer tokenizer(Line line) {
        return tokenizer.orElseThrow(() -> line.refused("is text, and the model's folder holds no tokenizer.json: "
                + "give ids (prompt_ids, completion_ids, ...)"));
    }
}
