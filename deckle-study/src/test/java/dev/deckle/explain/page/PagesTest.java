package dev.deckle.explain.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.explain.Explanation;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.xml.sax.InputSource;

/// The three renderings say the same, of all parts and of what is hard to show.
class PagesTest {
    static List<Explanation> explanations() {
        return Samples.all();
    }

    private static Document parsed(Explanation e) throws Exception {
        var builder = DocumentBuilderFactory.newInstance().newDocumentBuilder();
        return builder.parse(new InputSource(new StringReader(HtmlPage.render(e))));
    }

    private static List<Element> elements(Element within, String tag) {
        var found = within.getElementsByTagName(tag);
        return IntStream.range(0, found.getLength()).mapToObj(i -> (Element) found.item(i)).toList();
    }

    @ParameterizedTest
    @ValueSource(ints = {30, 40, 80, 200})
    void textIsNeverWiderThanTheTerminal(int width) {
        for (Explanation e : Samples.all()) {
            new TextPage(width, false).render(e).lines()
                    .forEach(line -> assertTrue(Wrap.columns(line) <= width, e.name() + ": " + line));
        }
    }

    @ParameterizedTest
    @MethodSource("explanations")
    void colourChangesNoSign(Explanation e) {
        String plain = new TextPage(80, false).render(e);
        assertFalse(plain.contains("\033"));
        String bare = new TextPage(80, true).render(e).replaceAll("\033\\[[\\d;]*m", "").replaceAll("(?m) +$", "");
        assertEquals(plain, bare);
    }

    @Test
    void textShowsWhatMatters() {
        String softmax = new TextPage(100, false).render(Samples.softmax());
        assertTrue(softmax.contains("9.78002879"), softmax);
        assertTrue(softmax.contains("┃ 6 MISTAKE: Without"), softmax);
        assertTrue(softmax.contains("0.9756  0.0179  0.0066"), softmax);
        String attention = new TextPage(100, false).render(Samples.attention());
        assertTrue(attention.contains("head 0 ") && attention.contains("  head 1") && attention.contains("-inf"),
                attention);
        assertTrue(new TextPage(100, false).render(Samples.hard()).contains("24 of 40 rows in the middle left out"));
    }

    @ParameterizedTest
    @MethodSource("explanations")
    void jsonHoldsEveryNumberExactly(Explanation e) {
        List<JsonObject> lines = StepJson.of(e);
        assertEquals(e.steps().size(), lines.size());
        List<Double> numbers = new ArrayList<>();
        for (JsonObject line : lines) {
            assertEquals(e.name(), line.get("part").getAsString());
            for (JsonElement t : line.getAsJsonObject("tensors").asMap().values()) {
                t.getAsJsonObject().getAsJsonArray("values").forEach(v -> numbers.add(Double.valueOf(v.getAsString())));
            }
        }
        assertEquals(Samples.numbers(e).toList(), numbers);
    }

    @ParameterizedTest
    @MethodSource("explanations")
    void thePageHoldsEveryNumberExactly(Explanation e) throws Exception {
        Element page = parsed(e).getDocumentElement();
        List<Element> sections = elements(page, "section");
        assertEquals(e.steps().size(), sections.size());
        for (int i = 0; i < sections.size(); i++) {
            List<String> cells = elements(sections.get(i), "td").stream()
                    .filter(td -> td.hasAttribute("title"))
                    .map(td -> td.getAttribute("title").replaceFirst("(?s).* = ", ""))
                    .sorted()
                    .toList();
            List<String> expected = e.steps().get(i).tensors().values().stream()
                    .flatMap(v -> v.values().stream())
                    .map(Numbers::exact)
                    .sorted()
                    .toList();
            assertEquals(expected, cells, e.name() + " step " + (i + 1));
        }
    }

    @ParameterizedTest
    @MethodSource("explanations")
    void thePageNeedsNoNetworkAndEveryTableIsCaptioned(Explanation e) throws Exception {
        Element page = parsed(e).getDocumentElement();
        String html = HtmlPage.render(e);
        assertFalse(html.matches("(?is).*(\\b(src|href)\\s*=\\s*[\"']?\\s*(https?:|//)|@import|url\\().*"));
        assertEquals("en", page.getAttribute("lang"));
        elements(page, "table").forEach(t -> assertEquals(1, elements(t, "caption").size()));
        elements(page, "th").forEach(th -> assertTrue(th.getAttribute("scope").matches("row|col")));
        List<String> ids = new ArrayList<>();
        elements(page, "*").stream().map(x -> x.getAttribute("id")).filter(id -> !id.isEmpty()).forEach(ids::add);
        assertEquals(ids.size(), ids.stream().distinct().count());
    }

    @Test
    void whatNamesAndTextsHoldIsText() throws Exception {
        Element page = parsed(Samples.hostile()).getDocumentElement();
        assertEquals(2, elements(page, "script").size());
        String evil = Samples.hostile().title().replaceAll("[\0\033]", "\uFFFD");
        assertEquals(evil, elements(page, "h1").getFirst().getTextContent());
        assertEquals(evil, elements(page, "h2").getFirst().getTextContent());
    }
}
