package dev.deckle.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TokenizerFilesTest {
    private static final Tokenizer TOKENIZER = TokenizerTest.trained(400);

    @TempDir
    Path folder;

    private Path file;
    private String json;

    @BeforeEach
    void save() throws IOException {
        TOKENIZER.save(folder);
        file = folder.resolve("tokenizer.json");
        json = Files.readString(file);
    }

    @Test
    void whatIsSavedIsLoaded() throws IOException {
        for (Path path : List.of(folder, file)) {
            Tokenizer loaded = Tokenizer.load(path);
            assertEquals(TOKENIZER.fingerprint(), loaded.fingerprint());
            assertEquals(TOKENIZER.vocabularySize(), loaded.vocabularySize());
            var random = new Random(1);
            for (int i = 0; i < 200; i++) {
                String text = RandomText.of(random);
                assertArrayEquals(TOKENIZER.encode(text), loaded.encode(text));
            }
        }
        try (var files = Files.list(folder)) {
            assertEquals(2, files.count(), "nothing half-written is left");
        }
    }

    @Test
    void aLoadedTokenizerIsWrittenAsItWas() throws IOException {
        edit("\"version\": \"1.0\"", "\"version\": \"1.0\", \"x\": [1e400, null, \"<é>\"]");
        JsonObject before = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
        Path copy = folder.resolve("copy");
        Tokenizer.load(folder).save(copy);
        assertEquals(before, JsonParser.parseString(Files.readString(copy.resolve("tokenizer.json"))));
    }

    @Test
    void theConfigurationIsWrittenForTransformers() throws IOException {
        TOKENIZER.withMaxLength(256).save(folder);
        String written = Files.readString(folder.resolve("tokenizer_config.json"));
        JsonObject config = JsonParser.parseString(written).getAsJsonObject();
        assertEquals("PreTrainedTokenizerFast", config.get("tokenizer_class").getAsString());
        assertEquals("<|endoftext|>", config.get("eos_token").getAsString());
        assertEquals(256, config.get("model_max_length").getAsInt());
        assertEquals("false", config.get("clean_up_tokenization_spaces").toString());
    }

    @Test
    void theEndTokenIsTheConfiguredOne() throws IOException {
        Path config = folder.resolve("tokenizer_config.json");
        Files.writeString(config, "{\"eos_token\": \"<|x|>\", \"bos_token\": {\"content\": \"<|endoftext|>\"}}");
        assertEquals(OptionalInt.of(1), Tokenizer.load(folder).endOfText());
        assertEquals(OptionalInt.of(0), Tokenizer.load(folder).beginOfText());
        Files.writeString(config, "{\"eos_token\": null}");
        assertEquals(OptionalInt.of(0), Tokenizer.load(folder).endOfText());
        Files.delete(config);
        assertEquals(OptionalInt.of(0), Tokenizer.load(folder).endOfText());
        assertEquals(OptionalInt.empty(), Tokenizer.load(folder).beginOfText());
    }

    @Test
    void theTemplateWrapsAText() throws IOException {
        edit("\"post_processor\": null", """
                "post_processor": {"type": "Sequence", "processors": [
                  {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
                  {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|x|>", "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}]}]}""");
        Tokenizer t = Tokenizer.load(file);
        assertArrayEquals(new int[] {1, 7, 8, 0}, t.wrap(new int[] {7, 8}));
        assertArrayEquals(new int[] {7, 8}, TOKENIZER.wrap(new int[] {7, 8}));
    }

    @Test
    void mergesMayBeOneString() throws IOException {
        JsonObject root = JsonParser.parseString(json).getAsJsonObject();
        var merges = root.getAsJsonObject("model").getAsJsonArray("merges");
        for (int i = 0; i < merges.size(); i++) {
            var pair = merges.get(i).getAsJsonArray();
            merges.set(i, new JsonPrimitive(pair.get(0).getAsString() + " " + pair.get(1).getAsString()));
        }
        Files.writeString(file, root.toString());
        assertArrayEquals(TOKENIZER.encode("public the public"), Tokenizer.load(file).encode("public the public"));
    }

    /// What is not supported or not possible names the file and the key, in one line.
    @ParameterizedTest
    @CsvSource(delimiter = '§', quoteCharacter = '`', textBlock = """
            "type": "BPE" § "type": "Neural" § model.type is "Neural"; expected BPE, Unigram, WordPiece or WordLevel
            "type": "BPE" § "type": "Unigram" § model.vocab is {
            "type": "BPE" § "type": 7 § model.type
            "normalizer": null § "normalizer": {"type": "Nfc"} § normalizer.type is "Nfc"
            "normalizer": null § "normalizer": [] § normalizer is []; expected an object
            "normalizer": null § "normalizer": {"type": "Sequence", "normalizers": [{"type": "Strip"}]} § [0].strip_left
            "normalizer": null § "normalizer": {"type": "Replace", "pattern": "x"} § normalizer.pattern is "x"
            "normalizer": null § "normalizer": {"type": "Replace", "pattern": {"Regex": "("}} § pattern.Regex is
            "normalizer": null § "normalizer": {"type": "Precompiled", "precompiled_charsmap": "!"} § not base64
            "normalizer": null § "normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////w=="} § a trie of
            "type": "ByteLevel" § "type": "Metaspace" § pre_tokenizer
            "add_prefix_space": false § "add_prefix_space": 1 § pre_tokenizer.add_prefix_space is 1; expected
            "post_processor": null § "post_processor": {"type": "Bert"} § post_processor
            "decoder": { § "decoder": 5, "x": { § decoder is 5
            "dropout": null § "dropout": 0.1 § model.dropout is 0.1
            "end_of_word_suffix": null § "end_of_word_suffix": 1 § model.end_of_word_suffix
            "byte_fallback": false § "byte_fallback": 1 § model.byte_fallback
            "ignore_merges": false § "ignore_merges": 1 § model.ignore_merges
            "vocab": { § "vocab": 5, "x": { § model.vocab is 5; expected an object
            "merges": [ § "merges": null, "x": [ § model.merges
            "merges": [ § "merges": [ ["t", "q~"], § model.merges[0] names 'q~'
            "merges": [ § "merges": [ 3, § model.merges[0]
            "merges": [ § "merges": [ ["a"], § model.merges[0]
            "!": 2, § "!": 3, § gives id 3 twice
            "!": 2, § "!": -2, § model.vocab['!']
            "!": 2, § "!": 99999999, § model.vocab['!']
            "!": 2, § "!": 16777216, § model.vocab['!']
            "!": 2, § "!": 2.5, § model.vocab['!']
            "!": 2, § "!": "two", § model.vocab['!']
            "content": "<|x|>" § "content": "<|y|>" § added_tokens[1].id is 1 for '<|y|>'
            "content": "<|x|>" § "content": "!" § added_tokens[1].id is 1 for '!'
            "content": "<|x|>" § "content": null § added_tokens[1].content
            "added_tokens": [ § "added_tokens": [ 1, § added_tokens[0] is 1
            """)
    void whatIsWrongIsNamed(String good, String bad, String named) throws IOException {
        edit(good, bad);
        var e = assertThrows(IOException.class, () -> Tokenizer.load(folder));
        assertTrue(e.getMessage().startsWith(file + ": ") && e.getMessage().contains(named), e::getMessage);
        assertEquals(1, e.getMessage().lines().count());
    }

    @Test
    void aBrokenFileIsNamed() throws IOException {
        var random = new Random(2);
        for (int i = 0; i < 200; i++) {
            Files.writeString(file, json.substring(0, random.nextInt(json.length() - 2)));
            refused(file);
        }
        for (String text : List.of("", "null", "[]", json + "{", json + "x", "\0".repeat(50), "[".repeat(100_000))) {
            Files.writeString(file, text);
            refused(file);
        }
        Files.write(file, new byte[] {'{', '"', (byte) 0xFF, '"', ':', '1', '}'});
        refused(file);
        Files.delete(file);
        refused(file);
        Files.createDirectory(file);
        refused(file);
    }

    /// Bytes changed at random are refused in one line or change nothing that cannot be used.
    @Test
    void aDamagedFileIsRefusedOrUsable() throws IOException {
        var random = new Random(3);
        for (int i = 0; i < 500; i++) {
            byte[] bytes = Files.readAllBytes(file).clone();
            byte[] damaged = bytes.clone();
            for (int n = 1 + random.nextInt(4); n > 0; n--) {
                damaged[random.nextInt(damaged.length)] ^= (byte) (1 << random.nextInt(8));
            }
            Files.write(file, damaged);
            try {
                Tokenizer t = Tokenizer.load(folder);
                t.decode(t.encode("public static"));
            } catch (IOException e) {
                assertTrue(e.getMessage().startsWith(file + ": "), e::getMessage);
                assertEquals(1, e.getMessage().lines().count(), e::getMessage);
            }
            Files.write(file, bytes);
        }
    }

    /// `transformers` adds what the configuration names, behind the vocabulary, in this order.
    @Test
    void theConfigurationAddsTokens() throws IOException {
        int next = TOKENIZER.vocabularySize();
        Files.writeString(folder.resolve("tokenizer_config.json"), """
                {"bos_token": "<s>", "pad_token": {"content": "<p>", "lstrip": true}, "image_token": "<i>",
                 "extra_special_tokens": ["<e>"], "add_bos_token": true,
                 "added_tokens_decoder": {"9": {"content": "<d>", "special": false, "rstrip": true}}}""");
        Tokenizer t = Tokenizer.load(folder);
        assertArrayEquals(new int[] {next, next + 1, next + 2, next + 3, next + 4},
                t.encode("<d>  <s> \n<p><i><e>"));
        assertTrue(t.isSpecial(next + 1) && !t.isSpecial(next));
        assertArrayEquals(new int[] {7}, t.wrap(new int[] {7}), "add_bos_token counts only without a tokenizer.json");
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"split_special_tokens\": true}");
        assertEquals("<|x|>", Tokenizer.load(folder).decode(Tokenizer.load(folder).encode("<|x|>")));
        assertTrue(Tokenizer.load(folder).encode("<|x|>").length > 1);
    }

    @Test
    void aWrongConfigurationIsNamed() throws IOException {
        Path config = folder.resolve("tokenizer_config.json");
        for (String wrong : List.of("{\"bos_token\": 5}", "{\"added_tokens_decoder\": {\"x\": {}}}",
                "{\"added_tokens_decoder\": []}", "{\"extra_special_tokens\": 1}", "{\"split_special_tokens\": 1}")) {
            Files.writeString(config, wrong);
            var e = assertThrows(IOException.class, () -> Tokenizer.load(folder));
            assertTrue(e.getMessage().startsWith(config + ": "), e::getMessage);
            assertEquals(1, e.getMessage().lines().count(), e::getMessage);
        }
    }

    @Test
    void otherFilesOfTokenizersAreNamed() throws IOException {
        Files.delete(file);
        Files.writeString(folder.resolve("tokenizer.model"), "x");
        var e = assertThrows(IOException.class, () -> Tokenizer.load(folder));
        assertTrue(e.getMessage().startsWith(file + ": no such file; there is tokenizer.model, "), e::getMessage);
    }

    private void refused(Path named) {
        var e = assertThrows(IOException.class, () -> Tokenizer.load(folder));
        assertTrue(e.getMessage().startsWith(named.toString()), e::getMessage);
        assertEquals(1, e.getMessage().lines().count(), e::getMessage);
    }

    private void edit(String good, String bad) throws IOException {
        assertTrue(json.contains(good), good);
        Files.writeString(file, json.replaceFirst(Pattern.quote(good),
                Matcher.quoteReplacement(bad)));
    }
}
