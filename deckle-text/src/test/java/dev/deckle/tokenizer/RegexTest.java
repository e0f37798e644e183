package dev.deckle.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RegexTest {
    /// Random expressions on random texts: `regex.json` says how Hugging Face's `Split(Regex(...), "isolated")`, which
    /// is Oniguruma, cuts.
    @Test
    void cutsAsOnigurumaDoes() throws IOException {
        int texts = 0;
        try (var in = new InputStreamReader(RegexTest.class.getResourceAsStream("regex.json"),
                StandardCharsets.UTF_8)) {
            for (JsonElement element : JsonParser.parseReader(in).getAsJsonArray()) {
                String regex = element.getAsJsonArray().get(0).getAsString();
                for (JsonElement pair : element.getAsJsonArray().get(1).getAsJsonArray()) {
                    String text = pair.getAsJsonArray().get(0).getAsString();
                    assertEquals(strings(pair.getAsJsonArray().get(1).getAsJsonArray()), cut(regex, text),
                            regex + " on " + text);
                    texts++;
                }
            }
        }
        assertTrue(texts >= 1000);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '§', quoteCharacter = '`', textBlock = """
            \\p{N}{1,3}+ § 1234567 § 1234567
            a{2}? § aaaaa § aa|aa|a
            a{,2} § aaaaa § aa|aa|a
            a{x § a{x § a{x
            [[:punct:]]+ § a!$+<€x § a|!$+<€|x
            (?i:k) § aKkK § a|K|k|K
            [\\p{L}&&[^\\p{Han}]]+ § ab手c § ab|手|c
            a* § baac § b|aa|c
            (?m:.)+ § ab § ab
            """)
    void meansWhatOnigurumaMeans(String regex, String text, String parts) {
        assertEquals(parts, String.join("|", cut(regex, text)));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "(a*)*b", "(a|aa)+$b", "(a|a)*b", "(?:a{0,100}){0,100}b", "((a+)+)+b", "(?=(a+)+b)", "(?<!(a|aa)+b)x",
        "(?:a?){300}a{300}b"
    })
    void isStoppedOrEnds(String regex) {
        String text = "a".repeat(20_000);
        try {
            Regex.of(regex, "key").matches(text);
        } catch (IllegalStateException e) {
            assertTrue(e.getMessage().startsWith("key: the expression '" + regex), e::getMessage);
            assertEquals(1, e.getMessage().lines().count());
        }
    }

    @Test
    void repeatsAGroupAMillionTimes() {
        assertEquals(2, Regex.of("(?:a|b)+", "key").matches("ab".repeat(500_000)).size());
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "(", ")", "a)", "[", "[]", "[a", "*a", "\\", "(?", "(?<", "(?<n", "(?q:a)", "\\p{", "\\p{Foo}", "[[:foo:]]",
        "a{3,1}",
        "[b-a]", "[a-\\d]", "\\1", "\\K", "\\x{110000}", "\\u12", "a{100000}", "((?:a{1000}){1000}){1000}",
        "(?:(?:(?:){1000}){1000}){1000}", "a******", "(?#", "(?~a)"
    })
    void refusesInOneLine(String regex) {
        var e = assertThrows(IllegalArgumentException.class, () -> Regex.of(regex, "pre_tokenizer.pattern.Regex"));
        assertTrue(e.getMessage().startsWith("pre_tokenizer.pattern.Regex "), e::getMessage);
        assertEquals(1, e.getMessage().lines().count());
    }

    @Test
    void depthIsBounded() {
        for (String nest : List.of("(", "[", "(?:", "(?=", "(?i)", "(?<=")) {
            assertThrows(IllegalArgumentException.class, () -> Regex.of(nest.repeat(1_000) + "a", "key"), nest);
        }
    }

    private static List<String> cut(String regex, String text) {
        var parts = new ArrayList<String>();
        var split = new PreTokenizer.Split(new TextPattern.Expression(Regex.of(regex, "key")),
                PreTokenizer.Behavior.ISOLATED, false);
        split.split(new PreTokenizer.Piece(text, true), piece -> {
            if (!piece.text().isEmpty()) {
                parts.add(piece.text());
            }
        });
        return parts;
    }

    private static List<String> strings(JsonArray array) {
        return array.asList().stream().map(JsonElement::getAsString).toList();
    }
}
