package dev.deckle.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every kind of tokenizer against what Hugging Face's `tokenizers` does with the same file: see the README beside the
/// cases.
class TokenizerKindsTest {
    private static final Gson GSON = new Gson();

    @TempDir
    Path folder;

    static List<Path> kinds() throws IOException, URISyntaxException {
        Path root = Path.of(TokenizerKindsTest.class.getResource("/golden/tokenizers").toURI());
        try (var all = Files.list(root)) {
            return all.filter(Files::isDirectory).sorted().toList();
        }
    }

    @Test
    void thereAreManyKinds() throws IOException, URISyntaxException {
        assertEquals(36, kinds().size());
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void encodesAndDecodesTheSame(Path kind) throws IOException {
        Tokenizer tokenizer = Tokenizer.load(kind);
        for (JsonElement element : array(kind.resolve("golden.json"))) {
            JsonObject golden = element.getAsJsonObject();
            String text = golden.get("text").getAsString();
            if (!golden.has("ids")) {
                assertThrows(IllegalArgumentException.class, () -> tokenizer.encode(text), text);
                continue;
            }
            int[] ids = ids(golden.get("ids"));
            assertArrayEquals(ids, tokenizer.encode(text), text);
            if (golden.has("wrapped")) {
                assertArrayEquals(ids(golden.get("wrapped")), tokenizer.wrap(ids), text);
            }
            decodes(tokenizer, ids, golden.get("decoded").getAsString());
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void decodesAnyIds(Path kind) throws IOException {
        Tokenizer tokenizer = Tokenizer.load(kind);
        if (Files.exists(kind.resolve("dec.json"))) {
            for (JsonElement pair : array(kind.resolve("dec.json"))) {
                decodes(tokenizer, ids(pair.getAsJsonArray().get(0)), pair.getAsJsonArray().get(1).getAsString());
            }
        }
        assertEquals(tokenizer.decode(), tokenizer.decode(-1, 1 << 30));
    }

    /// At once, and id by id without a character being split.
    private static void decodes(Tokenizer tokenizer, int[] ids, String text) {
        assertEquals(text, tokenizer.decode(ids));
        var stream = tokenizer.stream();
        var all = new StringBuilder();
        for (int id : ids) {
            String part = stream.accept(id);
            assertFalse(!part.isEmpty() && (Character.isHighSurrogate(part.charAt(part.length() - 1))
                    || Character.isLowSurrogate(part.charAt(0))));
            all.append(part);
        }
        assertEquals(text, all.append(stream.flush()).toString());
    }

    /// One word of 200 thousand characters: a model or expression of quadratic time would take minutes for it.
    @ParameterizedTest
    @MethodSource("kinds")
    void aHugeWordIsNoTrap(Path kind) throws IOException {
        Tokenizer tokenizer = Tokenizer.load(kind);
        for (String letter : List.of("a", "A", " ", "手", "-")) {
            try {
                assertTrue(tokenizer.encode(letter.repeat(200_000)).length <= 600_010, letter);
            } catch (IllegalArgumentException e) {
                assertTrue(e.getMessage().startsWith("the tokenizer does not know '" + letter), e::getMessage);
            }
        }
    }

    /// Bytes changed at random are refused in one line that names the file, or leave a tokenizer that works.
    @ParameterizedTest
    @MethodSource("kinds")
    void aDamagedFileIsRefusedOrUsable(Path kind) throws IOException {
        byte[] bytes = Files.readAllBytes(kind.resolve("tokenizer.json"));
        String head = Files.readString(kind.resolve("tokenizer.json"));
        int stages = head.indexOf("\"vocab\"");
        var random = new Random(kind.getFileName().hashCode());
        Path file = folder.resolve("tokenizer.json");
        for (int i = 0; i < 40; i++) {
            byte[] damaged = bytes.clone();
            for (int n = 1 + random.nextInt(3); n > 0; n--) {
                int where = random.nextInt(i % 2 == 0 ? damaged.length : Math.min(stages, damaged.length));
                damaged[where] = (byte) (random.nextBoolean() ? damaged[where] ^ 1 << random.nextInt(7)
                        : "0123456789[]{}\",:ntx\\".charAt(random.nextInt(21)));
            }
            Files.write(file, damaged);
            Tokenizer tokenizer;
            try {
                tokenizer = Tokenizer.load(file);
            } catch (IOException e) {
                assertTrue(e.getMessage().startsWith(file + ": "), e::getMessage);
                assertEquals(1, e.getMessage().lines().count(), e::getMessage);
                continue;
            }
            try {
                tokenizer.decode(tokenizer.encode("public static é手 <s>\n\n x"));
            } catch (IllegalArgumentException | IllegalStateException e) {
                assertEquals(1, e.getMessage().lines().count(), e::getMessage);
            }
        }
    }

    private static JsonArray array(Path file) throws IOException {
        return JsonParser.parseString(Files.readString(file)).getAsJsonArray();
    }

    private static int[] ids(JsonElement ids) {
        return GSON.fromJson(ids, int[].class);
    }
}
