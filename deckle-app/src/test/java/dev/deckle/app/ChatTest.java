package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.io.Safetensors;
import dev.deckle.models.Llama;
import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Conversations through the command, typed into a pipe.
class ChatTest {
    @TempDir
    private Path temp;

    private Path model;
    private String out;
    private String err;

    @BeforeEach
    void makeModel() throws IOException {
        model = Files.createDirectory(temp.resolve("model"));
        var trainer = new BpeTrainer(290, List.of("<|endoftext|>"));
        trainer.count("paper is made of fibres ".repeat(20).getBytes(StandardCharsets.UTF_8));
        Tokenizer tokenizer = trainer.train();
        tokenizer.save(model);
        Files.writeString(model.resolve("chat_template.jinja"), "{% for m in messages %}{{ m.role }}: {{ m.content }}\n"
                + "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}");
        try (Llama m = Llama.create(Llama.Config.of(tokenizer.vocabularySize(), 16, 24, 1, 2, 1, 128, false), 0, 3)) {
            Safetensors.save(model.resolve("model.safetensors"), m.parameters(), Map.of());
            Files.writeString(model.resolve("config.json"), m.configJson().toString());
        }
    }

    private int run(String typed, String... args) {
        var o = new ByteArrayOutputStream();
        var e = new ByteArrayOutputStream();
        InputStream before = System.in;
        System.setIn(new ByteArrayInputStream(typed.getBytes(StandardCharsets.UTF_8)));
        try {
            return new Deckle(new PrintStream(o), new PrintStream(e), Set.of(), List.of()).run(args);
        } finally {
            System.setIn(before);
            out = o.toString(StandardCharsets.UTF_8);
            err = e.toString(StandardCharsets.UTF_8);
        }
    }

    private int chat(String typed, String... more) {
        String[] args = Stream.concat(Stream.of("chat", "--model", model.toString(),
                "--temperature", "0", "--max-new-tokens", "7"), Stream.of(more)).toArray(String[]::new);
        return run(typed, args);
    }

    private List<JsonObject> answers() {
        return out.lines().map(l -> JsonParser.parseString(l).getAsJsonObject()).toList();
    }

    @Test
    void answersInOrderAndSaves() throws IOException {
        Path talk = temp.resolve("talk.json");
        assertEquals(0, chat("what is paper?\n\nand wood?\n/save " + talk + "\n", "--json", "--system", "be brief"),
                err);
        List<JsonObject> answers = answers();
        assertEquals(2, answers.size());
        assertTrue(answers.getFirst().getAsJsonArray("ids").size() > 0, out);
        JsonArray messages =
                JsonParser.parseString(Files.readString(talk)).getAsJsonObject().getAsJsonArray("messages");
        assertEquals(List.of("system: be brief", "user: what is paper?", "assistant: " + content(answers.get(0)),
                "user: and wood?", "assistant: " + content(answers.get(1))),
                messages.asList().stream()
                        .map(m -> m.getAsJsonObject().get("role").getAsString() + ": " + content(m.getAsJsonObject()))
                        .toList());
        // going on from the file is as going on in place
        assertEquals(0, chat("more\n", "--json", "--messages", talk.toString()), err);
        String resumed = content(answers().getFirst());
        assertEquals(0, chat("what is paper?\nand wood?\nmore\n", "--json", "--system", "be brief"), err);
        assertEquals(resumed, content(answers().get(2)));
        // and what is rendered is what tokenize shows
        assertEquals(0, run("", "tokenize", "--model", model.toString(), "--messages", talk.toString(), "--json"), err);
        assertTrue(answers().getFirst().get("text").getAsString().startsWith("system: be brief\nuser: what is paper?"));
    }

    private static String content(JsonObject message) {
        return message.get("content").getAsString();
    }

    @Test
    void resetForgets() {
        assertEquals(0, chat("hello\n/reset\nhello\n/exit\nnever\n", "--json"), err);
        assertEquals(2, answers().size());
        assertEquals(content(answers().get(0)), content(answers().get(1)));
    }

    @Test
    void whatGoesWrongIsOneLine() throws IOException {
        refused("/dance\n", "/dance is not known so: /reset begins anew");
        Files.writeString(temp.resolve("there"), "kept");
        refused("hi\n/save " + temp.resolve("there") + "\n", "is there already: give another name");
        assertEquals("kept", Files.readString(temp.resolve("there")));
        refused("paper ".repeat(200) + "\n", "the model takes at most 128");
        Files.delete(model.resolve("chat_template.jinja"));
        refused("hi\n", "no chat template");
    }

    private void refused(String typed, String expected) {
        assertEquals(1, chat(typed));
        assertTrue(err.contains(expected), err);
        assertEquals(1, err.lines().count(), err);
        assertFalse(err.contains("Exception"), err);
    }

    @Test
    void wrongUsage() {
        assertEquals(2, chat("", "--top-p", "0"));
        assertTrue(err.contains("--top-p must be above 0 and at most 1"), err);
        assertEquals(2, chat("", "--system", "x", "--messages", "y"));
        assertTrue(err.contains("--system does not go with --messages"), err);
    }

    /// Where the template is, is the model's own affair: alignment keeps it with the run and with each checkpoint.
    @ParameterizedTest
    @ValueSource(strings = {"chat_template.jinja", "tokenizer_config.json", "chat_template.json"})
    void withAnAlignedModel(String place) throws IOException {
        Path file = model.resolve("chat_template.jinja");
        String template = Files.readString(file);
        if (!place.equals("chat_template.jinja")) {
            Files.delete(file);
            Path config = model.resolve(place);
            JsonObject o = Files.exists(config) ? JsonParser.parseString(Files.readString(config)).getAsJsonObject()
                    : new JsonObject();
            o.addProperty("chat_template", template);
            Files.writeString(config, o.toString());
        }
        Path data = temp.resolve("talks.jsonl");
        Files.writeString(data, "{\"messages\": [{\"role\": \"user\", \"content\": \"paper\"}, "
                + "{\"role\": \"assistant\", \"content\": \"is made of fibres\"}]}\n");
        Path aligned = temp.resolve("aligned");
        assertEquals(0, run("", "align", "sft", "--model", model.toString(), "--data", data.toString(), "--out",
                aligned.toString(), "--steps", "2", "--batch-size", "1"), err);
        Path checkpoint = aligned.resolve("checkpoints").resolve("step-0000002");
        String said = null;
        for (Path folder : List.of(aligned, checkpoint)) {
            assertEquals(0, run("paper\n", "chat", "--model", folder.toString(), "--temperature", "0",
                    "--max-new-tokens", "7", "--json"), err);
            String answer = content(answers().getFirst());
            assertTrue(said == null || said.equals(answer), answer);
            said = answer;
            assertEquals(0, run("", "tokenize", "--json", "--model", folder.toString(), "--messages",
                    Files.writeString(temp.resolve("m.json"), "{\"messages\": [{\"role\": \"user\", \"content\": "
                            + "\"paper\"}], \"add_generation_prompt\": true}").toString()),
                    err);
            assertEquals("user: paper\nassistant: ", answers().getFirst().get("text").getAsString());
        }
    }
}
