package dev.deckle.explain.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Step;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Pages in a real browser: `mvn -Pbrowser verify`.
class PageIT {
    /// The full numbers of the cells that can be seen, in order.
    private static final String SHOWN = """
            [...document.querySelectorAll('td.plus,td.minus,td.infinite,td.nan,.singles td')]
                .filter(td => td.getClientRects().length > 0)
                .map(td => (td.dataset.full ?? td.title).replace(/^.* = /s, '')).sort().join(' ')""";
    /// The least contrast of text and ground over all cells; hatching counts as a ground.
    private static final String CONTRAST = """
            (() => {
                const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
                const light = colour => {
                    pen.fillStyle = colour;
                    pen.fillRect(0, 0, 1, 1);
                    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(v => v / 255)
                        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                };
                const ratio = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
                const hatch = getComputedStyle(document.documentElement).getPropertyValue('--hatch');
                return Math.min(...[...document.querySelectorAll('tbody td')].map(td => {
                    const style = getComputedStyle(td);
                    const grounds = [style.backgroundColor, ...(td.matches('.infinite') ? [hatch] : [])];
                    return Math.min(...grounds.map(ground => ratio(style.color, ground)));
                }));
            })()""";

    private static String numbers(List<Step> steps) {
        return String.join(" ", steps.stream()
                .flatMap(s -> s.tensors().values().stream())
                .flatMap(v -> v.values().stream())
                .map(Numbers::exact)
                .sorted()
                .toList());
    }

    @Test
    void pagesAreWalkedReadAndFit(@TempDir Path folder) throws Exception {
        Path profile = Files.createDirectory(folder.resolve("profile"));
        Path file = folder.resolve("page.html");
        try (Browser browser = new Browser(profile)) {
            browser.size(390, 844);
            for (Explanation e : Samples.all()) {
                HtmlPage.write(file, e);
                for (String theme : List.of("light", "dark")) {
                    browser.theme(theme);
                    browser.open(file);
                    double contrast = browser.evaluate(CONTRAST).getAsDouble();
                    assertTrue(contrast >= 4.5, e.name() + " in " + theme + ": " + contrast);
                    for (int i = 0; i < e.steps().size(); i++) {
                        if (i > 0) {
                            browser.press("ArrowRight");
                            assertEquals("#step-" + (i + 1), browser.evaluate("location.hash").getAsString());
                        }
                        assertEquals(numbers(e.steps().subList(i, i + 1)), browser.evaluate(SHOWN).getAsString());
                        assertTrue(browser.evaluate("document.documentElement.scrollWidth").getAsInt() <= 390);
                    }
                    browser.evaluate("history.replaceState(null, '', '#')");
                }
                browser.scripts(false);
                browser.open(file);
                assertEquals(numbers(e.steps()), browser.evaluate(SHOWN).getAsString());
                browser.scripts(true);
            }
            assertEquals(List.of(), browser.events("Runtime.exceptionThrown"));
            assertEquals(List.of(), browser.events("Log.entryAdded"));
            browser.events("Network.requestWillBeSent")
                    .forEach(r -> assertTrue(r.getAsJsonObject("request").get("url").getAsString()
                            .matches("(file|data):.*"), r.toString()));
        }
    }
}
