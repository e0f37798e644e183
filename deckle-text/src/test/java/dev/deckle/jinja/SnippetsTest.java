package dev.deckle.jinja;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// Against Jinja2 3.1.6 as transformers sets it up, on small templates: `snippets.json` is written by
/// `make_snippets.py` beside it.
class SnippetsTest {
    @Test
    void rendersAndRefusesAsJinjaDoes() {
        var in = SnippetsTest.class.getResourceAsStream("snippets.json");
        JsonObject golden = JsonParser.parseReader(new InputStreamReader(in, StandardCharsets.UTF_8))
                .getAsJsonObject();
        JsonArray snippets = golden.getAsJsonArray("snippets");
        assertTrue(snippets.size() > 700);
        List<String> wrong = new ArrayList<>();
        for (JsonElement snippet : snippets) {
            String source = snippet.getAsJsonArray().get(0).getAsString();
            JsonElement expected = snippet.getAsJsonArray().get(1);
            String want = expected.isJsonNull() ? "refused" : "text: " + expected.getAsString();
            String got;
            try {
                got = "text: "
                        + Template.parse("snippet", source).render(golden.getAsJsonObject("variables"), Map.of());
            } catch (TemplateException e) {
                got = "refused";
                assertTrue(e.getMessage().startsWith("snippet, line "), e.getMessage());
            }
            if (!want.equals(got)) {
                wrong.add(source + "\n  expected " + want + "\n  but was  " + got);
            }
        }
        assertEquals("", String.join("\n", wrong));
    }
}
