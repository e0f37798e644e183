package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.generate.BeamSearch;
import dev.deckle.generate.Decoding;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TextGenerator;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.nn.KvCache;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// Batches, beams and filters as transformers has them; `golden/generation/make.py` made the cases.
class GenerationGoldenTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden");

    private static Stream<JsonObject> cases(String kind) throws IOException {
        JsonObject all = JsonParser.parseString(Files.readString(GOLDEN.resolve("generation/cases.json")))
                .getAsJsonObject();
        assertTrue(!all.getAsJsonArray(kind).isEmpty());
        return all.getAsJsonArray(kind).asList().stream().map(JsonElement::getAsJsonObject);
    }

    private static CausalLm model(JsonObject c) throws IOException {
        return Models.open(GOLDEN.resolve("hf").resolve(c.get("model").getAsString()));
    }

    private static int[] ids(JsonElement list) {
        return list.getAsJsonArray().asList().stream().mapToInt(JsonElement::getAsInt).toArray();
    }

    private static double number(JsonObject c, String key, double otherwise) {
        return c.has(key) ? c.get(key).getAsDouble() : otherwise;
    }

    private static Sampler sampler(JsonObject c, double temperature, int topK) {
        return new Sampler(number(c, "temperature", temperature), (int) number(c, "top_k", topK),
                number(c, "top_p", 1), number(c, "min_p", 0), number(c, "repetition_penalty", 1));
    }

    private static TextGenerator generator(CausalLm model, JsonObject c, KvCache.Kind kind) {
        Set<Integer> ends = Arrays.stream(ids(c.get("eos_token_id"))).boxed().collect(Collectors.toSet());
        return new TextGenerator(model, sampler(c, 0, 0), ends, kind)
                .withMinNewTokens((int) number(c, "min_new_tokens", 0));
    }

    private static int[] fresh(int[] ids, int[] prompt) {
        return Arrays.copyOfRange(ids, prompt.length, ids.length);
    }

    @TestFactory
    Stream<DynamicTest> batches() throws IOException {
        return cases("batches").flatMap(c -> Arrays.stream(KvCache.Kind.values()).map(kind -> DynamicTest.dynamicTest(
                c.get("model").getAsString() + " " + kind, () -> {
                    try (CausalLm model = model(c)) {
                        batch(generator(model, c, kind), c);
                    }
                })));
    }

    private static void batch(TextGenerator generator, JsonObject c) {
        List<int[]> prompts = c.getAsJsonArray("prompts").asList().stream().map(GenerationGoldenTest::ids).toList();
        try (Decoding decoding = generator.decode(prompts, c.get("max_new_tokens").getAsInt(), 1)) {
            decoding.forEachRemaining(_ -> {});
            for (int i = 0; i < prompts.size(); i++) {
                assertArrayEquals(ids(c.getAsJsonArray("new_ids").get(i)), fresh(decoding.ids(i), prompts.get(i)),
                        "prompt " + i);
                JsonArray logProbs = c.getAsJsonArray("logprobs").get(i).getAsJsonArray();
                for (int n = 0; n < logProbs.size(); n++) {
                    assertEquals(logProbs.get(n).getAsDouble(), decoding.logProbs(i)[n], 2e-5);
                }
            }
        }
    }

    @TestFactory
    Stream<DynamicTest> beams() throws IOException {
        return cases("beams").flatMap(c -> Arrays.stream(KvCache.Kind.values()).map(kind -> DynamicTest.dynamicTest(
                c.get("model").getAsString() + " " + kind, () -> {
                    try (CausalLm model = model(c)) {
                        beams(generator(model, c, kind), c);
                    }
                })));
    }

    private static void beams(TextGenerator generator, JsonObject c) {
        int[] prompt = ids(c.get("prompt"));
        String early = c.has("early_stopping") ? c.get("early_stopping").getAsString() : "false";
        var search = new BeamSearch(c.get("num_beams").getAsInt(), number(c, "length_penalty", 1),
                BeamSearch.EarlyStopping.valueOf(early.toUpperCase(Locale.ROOT)));
        List<BeamSearch.Hypothesis> found =
                generator.beams(prompt, c.get("max_new_tokens").getAsInt(), search, _ -> {});
        for (int i = 0; i < c.get("num_return_sequences").getAsInt(); i++) {
            assertArrayEquals(ids(c.getAsJsonArray("new_ids").get(i)), fresh(found.get(i).ids(), prompt), "beam " + i);
            double score = c.getAsJsonArray("scores").get(i).getAsDouble();
            assertEquals(score, found.get(i).score(), 2e-5 + 1e-6 * Math.abs(score)); // a negative penalty multiplies
        }
    }

    /// The distribution that a draw draws from. Where the file of a model asks for draws without a top-k, it is 50.
    @TestFactory
    Stream<DynamicTest> scores() throws IOException {
        return cases("scores")
                .map(c -> DynamicTest.dynamicTest(c.toString().replaceAll("\"[lp][^\\]]*\\],?", ""), () -> {
                    List<JsonElement> given = c.getAsJsonArray("logits").asList();
                    float[] logits = new float[given.size()];
                    for (int i = 0; i < logits.length; i++) {
                        logits[i] = given.get(i).getAsFloat();
                    }
                    Sampler sampler = sampler(c, 1, 50);
                    sampler.penalise(logits, ids(c.get("before")));
                    sampler.filter(logits);
                    double[] expected = c.getAsJsonArray("probabilities").asList().stream()
                            .mapToDouble(JsonElement::getAsDouble).toArray();
                    assertArrayEquals(expected, Sampler.softmax(logits), 1e-6);
                }));
    }
}
