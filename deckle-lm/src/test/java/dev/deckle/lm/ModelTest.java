package dev.deckle.lm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.generate.Sampler;
import dev.deckle.io.Safetensors;
import dev.deckle.jinja.TemplateException;
import dev.deckle.memory.ModelMemory;
import dev.deckle.models.Llama;
import dev.deckle.nn.KvCache;
import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The library as a program uses it, with a tiny random model.
class ModelTest {
    private static final String TEMPLATE = "{% for m in messages %}{% if m.content == 'no' %}"
            + "{{ raise_exception('never') }}{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
            + "{% if add_generation_prompt %}assistant: {% endif %}";

    @TempDir
    private Path temp;

    private Path folder;

    @BeforeEach
    void makeModel() throws IOException {
        folder = make("model", 3);
    }

    private Path make(String name, long seed) throws IOException {
        Path made = Files.createDirectory(temp.resolve(name));
        var trainer = new BpeTrainer(300, List.of("<|endoftext|>"));
        trainer.count("paper is made of fibres, a deckle of wood. größer — 紙".repeat(20)
                .getBytes(StandardCharsets.UTF_8));
        Tokenizer tokenizer = trainer.train();
        tokenizer.save(made);
        Files.writeString(made.resolve("chat_template.jinja"), TEMPLATE);
        try (Llama m = Llama.create(Llama.Config.of(tokenizer.vocabularySize(), 24, 40, 2, 4, 2, 256, false), 0,
                seed)) {
            Safetensors.save(made.resolve("model.safetensors"), m.parameters(), Map.of());
            Files.writeString(made.resolve("config.json"), m.configJson().toString());
        }
        return made;
    }

    private static Settings drawing(Model model) {
        return model.settings().with(new Sampler(1, 0, 1, 0, 1)).withSeed(5).withMaxNewTokens(60);
    }

    private static List<String> pieces(Answer answer) {
        List<String> pieces = new ArrayList<>();
        answer.forEach(pieces::add);
        return pieces;
    }

    @Test
    void piecesMakeTheText() throws IOException {
        try (Model model = Model.load(folder)) {
            String whole = model.generate("paper", drawing(model)).text();
            List<String> pieces = pieces(model.generate("paper", drawing(model)));
            assertTrue(pieces.size() > 10, pieces.toString());
            assertFalse(pieces.contains(""));
            assertEquals(whole, String.join("", pieces));
            assertEquals(whole, model.generate("paper", drawing(model)).pieces().collect(Collectors.joining()));
            assertNotEquals(whole, model.generate("paper", drawing(model).withSeed(6)).text());
            assertEquals(whole, model.generate("paper", drawing(model).with(KvCache.Kind.PAGED)).text());
            Answer ten = model.generate("paper", drawing(model).withMaxNewTokens(10).withMinNewTokens(10));
            ten.text();
            assertEquals(10, ten.ids().length);
        }
    }

    @Test
    void aClosedAnswerStops() throws IOException {
        try (Model model = Model.load(folder)) {
            Answer answer = model.generate("paper", drawing(model).withMinNewTokens(60));
            var pieces = answer.iterator();
            String first = pieces.next();
            answer.close();
            assertFalse(pieces.hasNext());
            assertTrue(answer.text().startsWith(first));
            assertTrue(answer.ids().length < 10);
        }
    }

    @Test
    void aStopTextEndsIt() throws IOException {
        try (Model model = Model.load(folder)) {
            String whole = model.generate("paper", drawing(model)).text();
            String stop = whole.substring(12, 14);
            assertEquals(whole.substring(0, whole.indexOf(stop)),
                    model.generate("paper", drawing(model).withStop(stop)).text());
        }
    }

    /// Two models, and for each several readers, each on a virtual thread of its own.
    @Test
    void manyReadersOfTwoModels() throws Exception {
        Path other = make("other", 4);
        try (Model a = Model.load(folder);
                Model b = Model.load(other);
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Model> models = List.of(a, b);
            List<String> alone = new ArrayList<>();
            for (int i = 0; i < 12; i++) {
                alone.add(models.get(i % 2).generate("paper " + i, drawing(a)).text());
            }
            List<Callable<String>> readers = new ArrayList<>();
            for (int i = 0; i < 12; i++) {
                int n = i;
                readers.add(() -> models.get(n % 2).generate("paper " + n, drawing(a)).text());
            }
            List<String> together = new ArrayList<>();
            for (Future<String> f : threads.invokeAll(readers)) {
                together.add(f.get());
            }
            assertEquals(alone, together);
        }
    }

    @Test
    void nothingIsLeftWhenAllIsClosed() throws IOException {
        long before = ModelMemory.allocatedBytes();
        try (Model model = Model.load(folder); Chat chat = model.chat(drawing(model))) {
            chat.say("hello").text();
            model.generate("paper", drawing(model)).text();
            try (Answer left = model.generate("paper", drawing(model))) {
                left.iterator().next();
            }
        }
        assertEquals(before, ModelMemory.allocatedBytes());
    }

    @Test
    void aConversationKnowsWhatWasSaid() throws IOException {
        try (Model model = Model.load(folder); Chat chat = model.chat(drawing(model).withMaxNewTokens(9))) {
            chat.system("be brief");
            String first = chat.say("what is paper?").text();
            String second = chat.say("and a deckle?").text();
            String prompt = "system: be brief\nuser: what is paper?\nassistant: " + first
                    + "\nuser: and a deckle?\nassistant: ";
            int[] ids = model.tokenizer().encode(prompt);
            // the chat's cache had most of it: the same answer as from nothing
            assertEquals(second, model.generate(ids, drawing(model).withMaxNewTokens(9)).text());
            assertEquals(List.of("system", "user", "assistant", "user", "assistant"), chat.messages().asList().stream()
                    .map(m -> m.getAsJsonObject().get("role").getAsString())
                    .toList());
            chat.system("");
            assertEquals(0, chat.messages().size());
        }
    }

    @Test
    void anAnswerThatIsCutJoinsAsFarAsItWasRead() throws IOException {
        try (Model model = Model.load(folder); Chat chat = model.chat(drawing(model).withMinNewTokens(60))) {
            String read;
            try (Answer answer = chat.say("go on")) {
                read = answer.iterator().next();
            }
            String kept = chat.messages().get(1).getAsJsonObject().get("content").getAsString();
            assertTrue(kept.startsWith(read) && kept.length() < read.length() + 20, kept);
        }
    }

    @Test
    void whatTheTemplateRefusesIsNotSaid() throws IOException {
        try (Model model = Model.load(folder); Chat chat = model.chat(drawing(model))) {
            chat.say("yes").text();
            var before = chat.messages();
            TemplateException e = assertThrows(TemplateException.class, () -> chat.say("no"));
            assertTrue(e.getMessage().contains("never"), e.getMessage());
            assertEquals(before, chat.messages());
        }
    }

    @Test
    void refusals() throws IOException {
        try (Model model = Model.load(folder)) {
            assertThrows(IllegalArgumentException.class, () -> model.generate(""));
            String m = assertThrows(IllegalArgumentException.class, () -> model.generate("zq7#".repeat(200)))
                    .getMessage();
            assertTrue(m.contains("the model takes at most 256"), m);
            assertArrayEquals(new int[0], model.generate("a", model.settings().withMaxNewTokens(0)).ids());
        }
        Files.delete(folder.resolve("chat_template.jinja"));
        try (Model model = Model.load(folder)) {
            String m = assertThrows(IOException.class, model::chat).getMessage();
            assertTrue(m.startsWith(folder + ": no chat template"), m);
        }
        Files.delete(folder.resolve("tokenizer.json"));
        assertThrows(IOException.class, () -> Model.load(folder));
    }

    /// Closing waits for the step that runs; what reads on gets an error, never memory that is gone.
    @Test
    void closedUnderItsReaders() throws Exception {
        for (int round = 0; round < 5; round++) {
            Model model = Model.load(folder);
            try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
                List<Future<Boolean>> readers = new ArrayList<>();
                for (int i = 0; i < 4; i++) {
                    readers.add(threads.submit(() -> {
                        try {
                            while (true) {
                                model.generate("paper", drawing(model)).text();
                            }
                        } catch (IllegalStateException e) {
                            return e.getMessage().contains("the model is closed");
                        }
                    }));
                }
                Thread.sleep(40);
                model.close();
                for (Future<Boolean> r : readers) {
                    assertTrue(r.get());
                }
            }
        }
    }

    @Test
    void anAnswerClosedByAnotherThreadFreesItsCache() throws Exception {
        long before = ModelMemory.allocatedBytes();
        try (Model model = Model.load(folder)) {
            long open = ModelMemory.allocatedBytes();
            for (int round = 0; round < 20; round++) {
                Answer answer = model.generate("paper", drawing(model).withMinNewTokens(60));
                Thread reader = Thread.startVirtualThread(answer::text);
                Thread.sleep(2);
                answer.close();
                reader.join();
                assertTrue(answer.soFar().length() < 1_000);
            }
            assertEquals(open, ModelMemory.allocatedBytes());
        }
        assertEquals(before, ModelMemory.allocatedBytes());
    }

    @Test
    void aTurnMustEndBeforeTheNext() throws IOException {
        try (Model model = Model.load(folder); Chat chat = model.chat(drawing(model))) {
            Answer first = chat.say("hi");
            assertThrows(IllegalStateException.class, () -> chat.say("again"));
            assertThrows(IllegalStateException.class, () -> chat.system("no"));
            first.close();
            chat.say("again").text();
            assertEquals(4, chat.messages().size());
        }
    }

    @Test
    void maxLengthCountsThePrompt() throws IOException {
        Files.writeString(folder.resolve("generation_config.json"), "{\"max_length\": 20}");
        try (Model model = Model.load(folder)) {
            int[] prompt = {5, 6, 7, 8, 9, 10};
            Answer answer = model.generate(prompt, model.settings().withMinNewTokens(20));
            answer.text();
            assertEquals(14, answer.ids().length);
            assertThrows(IllegalArgumentException.class, () -> model.generate(new int[20], model.settings()));
        }
    }
}
