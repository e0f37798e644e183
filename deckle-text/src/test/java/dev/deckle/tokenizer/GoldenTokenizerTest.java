package dev.deckle.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Against what Hugging Face's `tokenizers` 0.23.2 does with the same files and texts: `golden.json` is written by
/// `make_golden.py` beside it.
class GoldenTokenizerTest {
    private static final Gson GSON = new Gson();
    private static final JsonObject GOLDEN = read();

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "llama3", "qwen2"})
    void encodesTheSameIds(String name) throws IOException {
        Tokenizer tokenizer = tokenizer(name);
        List<JsonElement> ids = golden(name).getAsJsonArray("ids").asList();
        List<JsonElement> texts = GOLDEN.getAsJsonArray("texts").asList();
        assertEquals(400, texts.size());
        for (int i = 0; i < texts.size(); i++) {
            String text = texts.get(i).getAsString();
            assertArrayEquals(GSON.fromJson(ids.get(i), int[].class), tokenizer.encode(text), text);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "llama3", "qwen2"})
    void decodesTheSameText(String name) throws IOException {
        Tokenizer tokenizer = tokenizer(name);
        for (JsonElement pair : golden(name).getAsJsonArray("decodings")) {
            int[] ids = GSON.fromJson(pair.getAsJsonArray().get(0), int[].class);
            assertEquals(pair.getAsJsonArray().get(1).getAsString(), tokenizer.decode(ids));
        }
    }

    @Test
    void trainsTheSameVocabularyAndMerges() throws IOException {
        JsonObject model = golden("gpt2").getAsJsonObject("tokenizer").getAsJsonObject("model");
        int size = model.getAsJsonObject("vocab").size();
        var trainer = new BpeTrainer(size, List.of("<|endoftext|>"));
        for (JsonElement text : GOLDEN.getAsJsonArray("texts")) {
            trainer.count(Utf8.encode(text.getAsString()));
        }
        trainer.train().save(folder);
        JsonObject ours = JsonParser.parseString(Files.readString(folder.resolve("tokenizer.json"))).getAsJsonObject();
        assertEquals(model.get("merges"), ours.getAsJsonObject("model").get("merges"));
        assertEquals(model.get("vocab"), ours.getAsJsonObject("model").get("vocab"));
    }

    private Tokenizer tokenizer(String name) throws IOException {
        Path file = folder.resolve("tokenizer.json");
        Files.writeString(file, GSON.newBuilder().serializeNulls().create().toJson(golden(name).get("tokenizer")));
        return Tokenizer.load(file);
    }

    private static JsonObject golden(String name) {
        return GOLDEN.getAsJsonObject("tokenizers").getAsJsonObject(name);
    }

    private static JsonObject read() {
        var in = GoldenTokenizerTest.class.getResourceAsStream("golden.json");
        return JsonParser.parseReader(new InputStreamReader(in, StandardCharsets.UTF_8)).getAsJsonObject();
    }
}
