package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// `deckle generate` in this process, on a checkpoint whose continuations transformers computed.
class GenerateTest {
    private static final Path MODEL = Path.of("src/test/resources/golden/hf/llama-gqa");

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private int generate(String args) {
        List<String> all = new ArrayList<>(List.of("generate", "--model", MODEL.toString()));
        all.addAll(List.of(args.strip().split(" +")));
        return Deckle.run(new PrintStream(out), new PrintStream(err), all.toArray(String[]::new));
    }

    private static JsonObject golden() throws IOException {
        return JsonParser.parseString(Files.readString(MODEL.resolve("golden.json"))).getAsJsonObject();
    }

    private static String ids(JsonObject golden, String name) {
        return golden.getAsJsonArray(name).toString().replaceAll("[\\[\\] ]", "");
    }

    private JsonObject json() {
        return JsonParser.parseString(out.toString(StandardCharsets.UTF_8)).getAsJsonObject();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "--kv-cache contiguous", "--kv-cache paged", "--kv-cache paged --temperature 0"})
    void beamsAreThoseOfTransformers(String more) throws IOException {
        JsonObject golden = golden();
        assertEquals(0, generate("--json --num-beams 4 --max-new-tokens 24 --ids " + ids(golden, "prompt") + " "
                + more), err.toString(StandardCharsets.UTF_8));
        assertEquals(golden.getAsJsonArray("beam4"), json().getAsJsonArray("ids"));
        assertEquals(golden.get("beam4_score").getAsDouble(), json().get("score").getAsDouble(), 1e-4);
        assertTrue(json().get("tok_per_s").getAsDouble() > 0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"contiguous", "paged"})
    void greedyIsThatOfTransformers(String cache) throws IOException {
        JsonObject golden = golden();
        assertEquals(0, generate("--json --temperature 0 --max-new-tokens 24 --kv-cache " + cache + " --ids "
                + ids(golden, "prompt")));
        assertEquals(golden.getAsJsonArray("greedy"), json().getAsJsonArray("ids"));
        assertFalse(json().has("score"));
    }

    /// The same draws whatever the cache, and the flags of beams are read.
    @Test
    void whatTheFlagsSay() {
        assertEquals(0, generate("--ids 1,5,9 --seed 3 --max-new-tokens 30 --kv-cache contiguous"));
        String contiguous = out.toString(StandardCharsets.UTF_8);
        out.reset();
        assertEquals(0, generate("--ids 1,5,9 --seed 3 --max-new-tokens 30 --kv-cache paged"));
        assertEquals(contiguous, out.toString(StandardCharsets.UTF_8));
        out.reset();
        assertEquals(0, generate("--json --ids 1,5,9 --num-beams 3 --max-new-tokens 12"));
        double mean = json().get("score").getAsDouble();
        out.reset();
        assertEquals(0, generate("--json --ids 1,5,9 --num-beams 3 --max-new-tokens 12 --length-penalty 0 "
                + "--early-stopping never"));
        assertEquals(12 * mean, json().get("score").getAsDouble(), 1e-9, "12 tokens without an end token among them");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--num-beams 4 --temperature 0.7 | --num-beams 4 searches and draws nothing: --temperature must be 0 with it",
        "--num-beams 0                   | --num-beams must be at least 1, not 0",
        "--stop x                        | --stop needs a tokenizer",
        "--length-penalty NaN            | --length-penalty must be from -100 to 100, not NaN",
        "--early-stopping sometimes      | must be false, true or never, not sometimes",
        "--kv-cache striped              | expected one of [contiguous, paged]",
        "--num-beams 0 --temperature 1   | --num-beams must be at least 1, not 0",
        "--num-beams 98                  | --num-beams 98 is more than the 97 tokens of the model",
        "--top-k -1                      | --top-k must be at least 0, not -1",
        "--top-p 0                       | --top-p must be above 0 and at most 1, not 0.0",
        "--top-p 1.01                    | --top-p must be above 0 and at most 1, not 1.01",
        "--min-p 2                       | --min-p must be from 0 to 1, not 2.0",
    })
    void wrongUsageIsToldInALine(String args, String told) {
        assertEquals(2, generate("--ids 1,2 " + args));
        assertEquals("", out.toString(StandardCharsets.UTF_8));
        assertTrue(err.toString(StandardCharsets.UTF_8).contains(told), err.toString(StandardCharsets.UTF_8));
        assertTrue(err.toString(StandardCharsets.UTF_8).lines().count() <= 3);
    }
}
