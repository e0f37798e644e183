package dev.deckle.synth;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.deckle.chat.ChatTemplate;
import dev.deckle.chat.Conversation;
import dev.deckle.generate.Decoding;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TextGenerator;
import dev.deckle.generate.TextStream;
import dev.deckle.lm.Model;
import dev.deckle.models.Adapter;
import dev.deckle.nn.KvCache;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// A model in this process. The texts of an ask are drawn together, as one batch of which the prompt is computed once.
public final class LocalAuthor implements Author {

    private final Model model;
    private final String name;
    private final Optional<ChatTemplate> template;
    private final Sampler sampler;
    private final int maxNewTokens;
    private final List<String> stops;

    /// @param model stays the caller's, who closes it
    /// @param template without one the model continues an ask's start
    public LocalAuthor(Model model, String name, Optional<ChatTemplate> template, Sampler sampler, int maxNewTokens,
            List<String> stops) {
        this.model = model;
        this.name = name;
        this.template = template;
        this.sampler = sampler;
        this.maxNewTokens = maxNewTokens;
        this.stops = List.copyOf(stops);
    }

    /// The model of a folder, which the records name as the folder is called, with its chat template if it has one.
    ///
    /// @throws IOException if a file of the folder is broken
    public static LocalAuthor of(Model model, Path folder, Sampler sampler, int maxNewTokens, List<String> stops)
            throws IOException {
        Path words = Adapter.holder(folder, "tokenizer.json");
        Optional<ChatTemplate> template = ChatTemplate.find(words);
        Path name = folder.toAbsolutePath().normalize().getFileName();
        return new LocalAuthor(model, name == null ? "model" : name.toString(), template, sampler, maxNewTokens, stops);
    }

    @Override
    public List<Text> write(Ask ask, int count, long seed) throws UnusableRow {
        String before = prompt(ask);
        int[] ids = template.isPresent() ? model.tokenizer().encode(before) : model.tokenizer().begin(before);
        int room = model.network().maxPositionEmbeddings();
        if (ids.length == 0 || ids.length >= room) {
            throw new UnusableRow("the prompt has " + ids.length + " tokens, and the model takes 1 to " + (room - 1)
                    + " with something behind them");
        }
        String open = before.stripTrailing().endsWith(Reasoned.OPEN) ? Reasoned.OPEN : "";
        Set<Integer> ends = model.generationConfig().endTokens();
        List<TextStream> streams = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            streams.add(new TextStream(model.tokenizer(), stops));
            streams.getLast().begin(ids);
        }
        boolean[] finished = new boolean[count];
        var generator = new TextGenerator(model.network(), sampler, ends, KvCache.Kind.CONTIGUOUS);
        try (Decoding decoding = generator.decode(Collections.nCopies(count, ids), maxNewTokens, seed)) {
            while (decoding.hasNext()) {
                Decoding.Token token = decoding.next();
                TextStream stream = streams.get(token.sequence());
                stream.accept(token.id());
                if (stream.stopped()) {
                    decoding.stop(token.sequence());
                }
                finished[token.sequence()] = stream.stopped() || ends.contains(token.id());
            }
        }
        List<Text> texts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            streams.get(i).flush();
            texts.add(new Text(open + streams.get(i).text(), finished[i]));
        }
        return texts;
    }

    /// The ask as the model reads it.
    String prompt(Ask ask) {
        if (template.isEmpty()) {
            return ask.start();
        }
        JsonArray messages = new JsonArray();
        if (!ask.system().isEmpty()) {
            messages.add(message("system", ask.system()));
        }
        messages.add(message("user", ask.user()));
        return template.get().render(Conversation.of(messages));
    }

    static JsonObject message(String role, String content) {
        JsonObject m = new JsonObject();
        m.addProperty("role", role);
        m.addProperty("content", content);
        return m;
    }

    /// How likely the model finds `after` behind the ask and `before`, its own words so far.
    Perplexity perplexity() {
        return (ask, before, after) -> {
            // a template may have opened the thoughts already
            String said = prompt(ask);
            String own = said.stripTrailing().endsWith(Reasoned.OPEN) && before.startsWith(Reasoned.OPEN)
                    ? before.substring(Reasoned.OPEN.length())
                    : before;
            return Perplexity.of(model, template.isEmpty(), said + own, after);
        };
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean converses() {
        return template.isPresent();
    }

    @Override
    public boolean separate() {
        return false;
    }

    @Override
    public int[] ids(String text) {
        return model.tokenizer().encodeOrdinary(text);
    }
}
