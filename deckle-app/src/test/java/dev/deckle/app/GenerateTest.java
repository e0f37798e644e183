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
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
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

    private List<JsonObject> jsonLines() {
        return out.toString(StandardCharsets.UTF_8).lines().map(l -> JsonParser.parseString(l).getAsJsonObject())
                .toList();
    }

    /// As many objects as sequences, each as its prompt alone gives it; drawn ones by the seeds that follow each other.
    @Test
    void severalPromptsAtOnce() {
        String[] prompts = {"1,5,9", "7", "3,4,5,6,7,8,9,10"};
        List<JsonObject> alone = new ArrayList<>();
        for (int i = 0; i < prompts.length; i++) {
            assertEquals(0, generate("--json --logprobs --max-new-tokens 9 --seed " + (4 + i) + " --ids "
                    + prompts[i]));
            alone.add(json());
            out.reset();
        }
        assertEquals(0, generate("--json --logprobs --max-new-tokens 9 --seed 4 --ids " + String.join(" ", prompts)));
        for (int i = 0; i < prompts.length; i++) {
            JsonObject together = jsonLines().get(i);
            assertEquals(i, together.get("prompt").getAsInt());
            assertEquals(alone.get(i).get("ids"), together.get("ids"));
            for (int n = 0; n < 9; n++) {
                assertEquals(alone.get(i).getAsJsonArray("logprobs").get(n).getAsFloat(),
                        together.getAsJsonArray("logprobs").get(n).getAsFloat(), 1e-5f);
            }
        }
        out.reset();
        assertEquals(0,
                generate("--json --num-beams 3 --num-return-sequences 2 --max-new-tokens 5 --logprobs --ids 1,2 "
                        + "--ids 3"));
        assertEquals(4, jsonLines().size());
        JsonObject beam = jsonLines().getFirst();
        double sum = beam.getAsJsonArray("logprobs").asList().stream().mapToDouble(e -> e.getAsDouble()).sum();
        assertEquals(beam.get("score").getAsDouble(), sum / 5, 1e-5);
        out.reset();
        assertEquals(0, generate("--json --num-return-sequences 3 --max-new-tokens 5 --seed 1 --ids 1,2"));
        assertEquals(3, jsonLines().stream().map(o -> o.get("ids")).distinct().count());
    }

    @TempDir
    private Path folder;

    /// The file's settings, and flags over them.
    @Test
    void theFileHasTheDefaults() throws IOException {
        for (String name : List.of("config.json", "model.safetensors")) {
            Files.copy(MODEL.resolve(name), folder.resolve(name));
        }
        Path file = folder.resolve("generation_config.json");
        String from = "--model " + folder + " --json --ids 1,5,9 ";
        Files.writeString(file, "{\"do_sample\": false, \"max_new_tokens\": 7, \"num_beams\": 2, \"eos_token_id\": 2}");
        assertEquals(0, Deckle.run(new PrintStream(out), new PrintStream(err), ("generate " + from).split(" +")));
        assertTrue(json().has("score"));
        assertEquals(10, json().getAsJsonArray("ids").size());
        out.reset();
        assertEquals(0, Deckle.run(new PrintStream(out), new PrintStream(err),
                ("generate " + from + "--num-beams 1 --max-new-tokens 3").split(" +")));
        JsonObject greedy = json();
        assertEquals(6, greedy.getAsJsonArray("ids").size());
        out.reset();
        assertEquals(0, generate("--json --ids 1,5,9 --temperature 0 --max-new-tokens 3"));
        assertEquals(json().get("ids"), greedy.get("ids"));
        Files.writeString(file, "{\"do_sample\": true, \"top_k\": 1, \"max_length\": 6}");
        out.reset();
        assertEquals(0, Deckle.run(new PrintStream(out), new PrintStream(err), ("generate " + from).split(" +")));
        assertEquals(greedy.get("ids"), json().get("ids"), "the likeliest of one");
        Files.writeString(file, "{\"do_sample\": false}");
        assertEquals(2, Deckle.run(new PrintStream(out), new PrintStream(err), ("generate " + from + "--top-k 3")
                .split(" +")));
        assertTrue(err.toString(StandardCharsets.UTF_8).contains("says do_sample false; give --temperature to draw"));
    }

    @Test
    void aPromptBeyondThePositionsIsToldInALine() {
        String ids = String.join(",", Collections.nCopies(513, "3"));
        assertEquals(1, generate("--ids " + ids));
        assertTrue(err.toString(StandardCharsets.UTF_8).contains("the prompt has 513 tokens, the model takes at most "
                + "512"), err.toString(StandardCharsets.UTF_8));
        assertEquals(1, err.toString(StandardCharsets.UTF_8).lines().count());
    }

    /// The formula, and a cache through which tokens have gone.
    @ParameterizedTest
    @CsvSource({"llama-gqa, 2", "deepseek-v3, 2", "mistral, 3", "gpt2, 2"})
    void aDoctorMeasuresTheCache(String name, int kinds) {
        assertEquals(0, Deckle.run(new PrintStream(out), new PrintStream(err), "doctor", "--json", "--model",
                MODEL.resolveSibling(name).toString()));
        JsonObject model = json().getAsJsonObject("model");
        assertTrue(model.get("parameters").getAsLong() > 20_000);
        assertEquals(kinds, model.getAsJsonArray("kv_cache").size());
        model.getAsJsonArray("kv_cache").forEach(e -> assertEquals(
                e.getAsJsonObject().get("bytes_per_token").getAsDouble(),
                e.getAsJsonObject().get("measured_bytes_per_token").getAsDouble(), 2));
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
        "--num-return-sequences 2 --temperature 0 | --num-return-sequences 2 would be the same text each time",
        "--num-return-sequences 3 --num-beams 2   | --num-return-sequences 3 is more than --num-beams 2",
        "--max-new-tokens -1             | --max-new-tokens must not be negative, not -1",
        "--prompts no.txt                | mutually exclusive",
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
