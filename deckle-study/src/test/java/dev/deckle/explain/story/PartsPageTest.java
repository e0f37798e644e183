package dev.deckle.explain.story;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.explain.Part;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// `docs/parts.md` is made of what the classes say of themselves. Where they say something new, this writes the page
/// anew: `mvn test -pl deckle-study -am -Dtest=PartsPageTest -Dsurefire.failIfNoSpecifiedTests=false
/// -Ddeckle.docs=write`.
class PartsPageTest {
    private static final Path ROOT = Path.of("").toAbsolutePath().getParent();
    private static final Path PAGE = ROOT.resolve("docs/parts.md");
    private static final List<String> ITEMS =
            List.of("Formula", "Shapes", "Cost", "Source", "PyTorch", "Classic mistake");
    private static final List<String> SOURCES =
            List.of("deckle-lm/src/main/java/dev/deckle/nn", "deckle-lm/src/main/java/dev/deckle/optim",
                    "deckle-lm/src/main/java/dev/deckle/zero",
                    "deckle-lm/src/main/java/dev/deckle/generate", "deckle-lm/src/main/java/dev/deckle/data",
                    "deckle-align/src/main/java/dev/deckle/align", "deckle-tensor/src/main/java/dev/deckle/kernel",
                    "deckle-tensor/src/main/java/dev/deckle/random");

    /// The documentation of a file's class, without its slashes.
    private static List<String> documentation(Path file) throws IOException {
        return Files.readAllLines(file)
                .stream()
                .dropWhile(line -> !line.startsWith("///"))
                .takeWhile(line -> line.startsWith("///"))
                .map(line -> line.length() > 4 ? line.substring(4) : "")
                .toList();
    }

    private static List<Path> parts(String folder) throws IOException {
        try (Stream<Path> files = Files.list(ROOT.resolve(folder))) {
            List<Path> found = new ArrayList<>();
            for (Path file : files.sorted().toList()) {
                if (documentation(file).stream().anyMatch(line -> line.startsWith("- **Classic mistake**"))) {
                    found.add(file);
                }
            }
            return found;
        }
    }

    private static String page() throws IOException {
        Map<String, List<Part>> explained = Parts.all().stream().collect(
                Collectors.groupingBy(p -> p.type().getSimpleName(), LinkedHashMap::new, Collectors.toList()));
        StringBuilder page =
                new StringBuilder("# The parts\n\nEach part of a language model: its formula, its shapes, what it "
                        + "costs, where it comes from, PyTorch's name for it,\nand what people get wrong. This "
                        + "page is made of the "
                        + "documentation of the classes, which say the rest.\n");
        for (String folder : SOURCES) {
            String name = folder.substring(folder.lastIndexOf('/') + 1);
            List<Path> parts = parts(folder);
            if (parts.isEmpty()) {
                continue;
            }
            page.append("\n## ").append(name).append("\n");
            for (Path file : parts) {
                String type = file.getFileName().toString().replace(".java", "");
                page.append("\n### [").append(type).append("](../").append(folder).append('/').append(type)
                        .append(".java)\n\n");
                page.append(unwrapped(documentation(file))).append('\n');
                List<Part> here = explained.getOrDefault(type, List.of());
                if (!here.isEmpty()) {
                    page.append("\nAt work: ").append(here.stream()
                            .map(p -> "`./deckle explain " + p.name() + "`")
                            .collect(Collectors.joining(", "))).append("\n");
                }
            }
        }
        return page.toString();
    }

    /// Paragraphs and items as one line each, so that the page does not depend on where comments are wrapped.
    private static String unwrapped(List<String> lines) {
        StringBuilder text = new StringBuilder();
        boolean code = false;
        for (String line : lines.stream().takeWhile(l -> !l.startsWith("@param")).map(PartsPageTest::plain).toList()) {
            boolean fence = line.startsWith("```");
            boolean apart = code || fence || line.isBlank() || line.startsWith("- ") || text.toString().endsWith("\n\n")
                    || text.isEmpty();
            text.append(apart ? text.isEmpty() || text.toString().endsWith("\n") ? "" : "\n" : " ").append(
                    code ? line : line.strip());
            text.append(line.isBlank() ? "\n" : "");
            code ^= fence;
        }
        return text.toString().strip();
    }

    /// References to other classes become code.
    private static String plain(String line) {
        return line.replaceAll("(?<![\\w`])\\[(?:[\\w.]*\\.)?#?(\\w+)(?:#(\\w+))?(?:\\([^)]*\\))?\\](?!\\()", "`$1`");
    }

    @Test
    void thePageIsWhatTheClassesSay() throws IOException {
        if (System.getProperty("deckle.docs", "").equals("write")) {
            Files.writeString(PAGE, page());
        }
        assertEquals(Files.readString(PAGE), page(), "docs/parts.md is stale: write it anew as this test says");
    }

    @Test
    void everyPartSaysAllOfIt() throws IOException {
        for (String folder : SOURCES) {
            for (Path file : parts(folder)) {
                List<String> said = documentation(file).stream()
                        .filter(line -> line.startsWith("- **"))
                        .map(line -> line.substring(4, line.indexOf("**", 4)))
                        .toList();
                assertEquals(ITEMS, said, file.toString());
            }
        }
    }

    @Test
    void whatIsExplainedIsOnThePage() throws IOException {
        String page = page();
        for (Part p : Parts.all()) {
            assertTrue(page.contains("`./deckle explain " + p.name() + "`"), p.name());
        }
    }
}
