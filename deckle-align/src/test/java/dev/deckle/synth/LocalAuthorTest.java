package dev.deckle.synth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.chat.ChatTemplate;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.Scorer;
import dev.deckle.io.Safetensors;
import dev.deckle.lm.Model;
import dev.deckle.models.Llama;
import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A tiny random model as an author and as the judge of the search backwards.
class LocalAuthorTest {
    private static final String TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
            + "{% if add_generation_prompt %}[assistant]<think>\n{% endif %}";
    private static final Author.Ask ASK = new Author.Ask("sys", "paper", "paper is<think>\n");

    @TempDir
    private Path folder;

    private Model model;

    @BeforeEach
    void make() throws IOException {
        var trainer = new BpeTrainer(300, List.of("<|endoftext|>"));
        trainer.count("paper is made of fibres, a deckle of wood. ".repeat(20).getBytes(StandardCharsets.UTF_8));
        Tokenizer tokenizer = trainer.train();
        tokenizer.save(folder);
        Files.writeString(folder.resolve("chat_template.jinja"), TEMPLATE);
        try (Llama m = Llama.create(Llama.Config.of(tokenizer.vocabularySize(), 24, 40, 2, 4, 2, 256, false), 0, 3)) {
            Safetensors.save(folder.resolve("model.safetensors"), m.parameters(), Map.of());
            Files.writeString(folder.resolve("config.json"), m.configJson().toString());
        }
        model = Model.load(folder);
    }

    @AfterEach
    void close() {
        model.close();
    }

    private LocalAuthor author(boolean chat, double temperature, int most, String... stop) throws IOException {
        return new LocalAuthor(model, "tiny", chat ? Optional.of(ChatTemplate.load(folder)) : Optional.empty(),
                new Sampler(temperature, 0, 1, 0, 1), most, List.of(stop));
    }

    @Test
    void writesWhatTheModelWrites() throws IOException {
        String greedy = model.generate("paper is<think>\n", model.settings().withMaxNewTokens(30)).text();
        assertEquals(List.of(new Author.Text("<think>" + greedy, true)), author(false, 0, 30).write(ASK, 1, 9));
        String cut = model.generate("paper is<think>\n", model.settings().withMaxNewTokens(3)).text();
        assertEquals(List.of(new Author.Text("<think>" + cut, false)), author(false, 0, 3).write(ASK, 1, 9));
        String chat = "[system]sys[user]paper[assistant]<think>\n";
        assertEquals(chat, author(true, 0, 30).prompt(ASK));
        String inChat = model.generate(model.tokenizer().encode(chat), model.settings().withMaxNewTokens(30)).text();
        assertEquals("<think>" + inChat, author(true, 0, 30).write(ASK, 1, 9).getFirst().text());
        assertEquals(model.generate("paper", model.settings().withMaxNewTokens(7)).text(),
                author(false, 0, 7).write(new Author.Ask("", "", "paper"), 1, 9).getFirst().text());
    }

    @Test
    void samplesDifferAndComeAgain() throws IOException {
        List<Author.Text> first = author(false, 1, 20).write(ASK, 3, 5);
        assertEquals(3, first.stream().distinct().count());
        assertEquals(first, author(false, 1, 20).write(ASK, 3, 5));
        assertNotEquals(first, author(false, 1, 20).write(ASK, 3, 50));
    }

    @Test
    void aStopTextFinishesAText() throws IOException {
        String whole = author(false, 0, 30).write(ASK, 1, 0).getFirst().text();
        String stop = whole.substring(9, 10); // behind the tag and two more
        assertEquals(new Author.Text(whole.substring(0, whole.indexOf(stop)), true),
                author(false, 0, 30, stop).write(ASK, 1, 0).getFirst());
    }

    @Test
    void aPromptThatIsTooLongIsARowsOwnTrouble() throws IOException {
        LocalAuthor author = author(false, 0, 5);
        assertThrows(UnusableRow.class, () -> author.write(new Author.Ask("", "", "z".repeat(300)), 1, 0));
        assertThrows(UnusableRow.class,
                () -> author.perplexity().of(ASK, Reasoned.before("x"), "z".repeat(300)));
    }

    /// exp of the mean over the answer's tokens, and of no other.
    @Test
    void perplexityIsTheAnswersOwn() throws IOException {
        for (boolean chat : new boolean[] {false, true}) {
            Author.Ask ask = new Author.Ask("", "paper", "paper");
            double found = author(chat, 0, 1).perplexity().of(ask, Reasoned.before("wood"), "made of fibres");
            String before = (chat ? "[user]paper[assistant]<think>\n" : "paper<think>") + "\nwood\n</think>\n";
            int[] start = chat ? model.tokenizer().encode(before) : model.tokenizer().begin(before);
            int[] answer = model.tokenizer().encodeOrdinary("made of fibres");
            double[] logprobs = Scorer.score(model.network(), IntStream.concat(IntStream.of(start),
                    IntStream.of(answer)).toArray()).logprobs();
            double expected = Math.exp(-IntStream.range(start.length - 1, logprobs.length)
                    .mapToDouble(i -> logprobs[i]).average().orElseThrow());
            assertEquals(answer.length, logprobs.length - start.length + 1);
            assertEquals(expected, found, 1e-9 * expected);
        }
    }

    /// From a drawn reasoning to one after which the answer is likelier, each figure checked anew.
    @Test
    void backwardsFindsThoughtsThatMakeTheAnswerLikelier() throws IOException {
        Path data = folder.resolve("data.jsonl");
        Files.writeString(data, "{\"prompt\":\"paper\",\"answer\":\"made of fibres\"}\n"
                + "{\"prompt\":\"deckle\",\"completion\":\"wood\"}\n{\"prompt\":\"" + "z".repeat(300)
                + "\",\"answer\":\"x\"}\n");
        Path out = folder.resolve("out.jsonl");
        LocalAuthor author = author(false, 1, 60, "d");
        Tally tally = Synthesis.run(new Synthesis.Options(data, out, Optional.empty(), 1),
                new Backward(author, author, 5, 2, new JsonObject()), _ -> {});
        assertEquals(2, tally.count("records"), tally.counts().toString());
        assertEquals(1, tally.count("unusable rows"));
        assertTrue(tally.firstUnusable().contains("data.jsonl, line 3: "), tally.firstUnusable());
        List<JsonObject> made = new ArrayList<>();
        for (String line : Files.readAllLines(out)) {
            JsonObject o = JsonParser.parseString(line).getAsJsonObject();
            made.add(o);
            Reasoned r = Reasoned.parse(o.get("completion").getAsString()).orElseThrow();
            JsonObject from = o.getAsJsonObject("provenance");
            String prompt = o.get("prompt").getAsString();
            assertEquals(author.perplexity().of(new Author.Ask("", prompt, prompt), Reasoned.before(r.thoughts()),
                    r.answer()), from.get("perplexity").getAsDouble());
            assertTrue(from.get("perplexity").getAsDouble() < from.get("perplexity_drawn").getAsDouble(), line);
            assertTrue(from.get("segments_replaced").getAsInt() > 0, line);
        }
        assertTrue(made.get(0).get("completion").getAsString().endsWith("\n</think>\nmade of fibres"));
        assertTrue(made.get(1).get("completion").getAsString().endsWith("\n</think>\nwood"));
        // done rows are not looked at again, and the records are the same anew
        String whole = Files.readString(out);
        assertEquals(3, Synthesis.run(new Synthesis.Options(data, out, Optional.empty(), 1),
                new Backward(author, author, 5, 2, new JsonObject()), _ -> {}).count("rows done before"));
        Files.delete(out);
        Files.delete(Synthesis.journal(out));
        Synthesis.run(new Synthesis.Options(data, out, Optional.empty(), 1),
                new Backward(author, author, 5, 2, new JsonObject()), _ -> {});
        assertEquals(whole, Files.readString(out));
    }

    /// What an author that holds conversations is shown, and how its words are read.
    @Test
    void backwardsWithAConversation() throws IOException {
        Path data = folder.resolve("data.jsonl");
        Files.writeString(data, "{\"prompt\":\"paper\",\"answer\":\"made of fibres\"}\n");
        Path out = folder.resolve("out.jsonl");
        Scripted author = new Scripted(true, (ask, i, seed) -> ask.user().contains("<passage>")
                ? new Author.Text("<think>let me see</think>\n<passage>wood is</passage>", i > 0)
                : new Author.Text("It asks of paper. What then?", true));
        Tally tally = Synthesis.run(new Synthesis.Options(data, out, Optional.of(false), 1),
                new Backward(author, author(false, 0, 1), 2, 1, new JsonObject()), _ -> {});
        assertEquals(2, tally.count("unusable alternatives"), tally.counts().toString()); // cut off
        assertTrue(author.asked.get(1).user().contains("<passage>It asks of paper.</passage>What then?"),
                author.asked.get(1).user());
        String thoughts = Reasoned.parse(JsonParser.parseString(Files.readString(out)).getAsJsonObject()
                .get("completion").getAsString()).orElseThrow().thoughts();
        assertTrue(List.of("It asks of paper. What then?", "wood is What then?", "It asks of paper. wood is",
                "wood is wood is").contains(thoughts), thoughts);
        assertFalse(thoughts.contains("let me see"));
    }
}
