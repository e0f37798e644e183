package dev.deckle.explain.page;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Step;
import dev.deckle.explain.Values;
import dev.deckle.io.AtomicFile;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// An explanation as one file of HTML that needs nothing but a browser: no network, and no JavaScript to be read (all
/// steps are in the file; the script shows them one at a time).
///
/// The look is in `page.css`, the walking in `page.js`, the frame in `page.html`, beside this class. The file is
/// well-formed XML too, which is how the tests read it.
public final class HtmlPage {
    private static final Pattern PLACE = Pattern.compile("\\{\\{(\\w+)}}");

    private HtmlPage() {}

    /// Writes the page: whole, or not at all.
    ///
    /// @throws UncheckedIOException naming the file
    public static void write(Path file, Explanation explanation) {
        AtomicFile.write(file.toAbsolutePath(), render(explanation));
    }

    public static String render(Explanation explanation) {
        StringBuilder contents = new StringBuilder();
        StringBuilder steps = new StringBuilder();
        List<Step> all = explanation.steps();
        for (int n = 1; n <= all.size(); n++) {
            Step step = all.get(n - 1);
            contents.append("<li class=\"" + kind(step) + "\"><a href=\"#step-" + n + "\">"
                    + (step.kind() == Step.Kind.MISTAKE ? "<span class=\"away\">Mistake: </span>" : "")
                    + HtmlText.escape(step.title()) + "</a></li>\n");
            steps.append(step(n, step));
        }
        Map<String, String> places = Map.of(
                "name", HtmlText.escape(explanation.name()),
                "title", HtmlText.escape(explanation.title()),
                "idea", HtmlText.escape(explanation.idea()),
                "contents", contents.toString(),
                "steps", steps.toString(),
                "css", resource("page.css"),
                "js", resource("page.js"));
        return PLACE.matcher(resource("page.html"))
                .replaceAll(place -> Matcher.quoteReplacement(places.get(place.group(1))));
    }

    private static String kind(Step step) {
        return "kind-" + step.kind().name().toLowerCase(Locale.ROOT);
    }

    private static String step(int n, Step step) {
        StringBuilder out = new StringBuilder();
        out.append("<section class=\"step " + kind(step) + (n == 1 ? " current" : "") + "\" id=\"step-" + n
                + "\" aria-labelledby=\"title-" + n + "\">\n");
        out.append("<p class=\"kind\">" + heading(n, step.kind()) + "</p>\n");
        out.append("<h2 id=\"title-" + n + "\" tabindex=\"-1\">" + HtmlText.escape(step.title()) + "</h2>\n");
        paragraph(out, "formula", step.formula());
        paragraph(out, "note", step.note());
        out.append("<div class=\"tensors\">\n");
        List<Map.Entry<String, Values>> singles = step.tensors().entrySet().stream()
                .filter(e -> e.getValue().values().size() == 1)
                .toList();
        if (!singles.isEmpty()) {
            out.append(HtmlTensor.singles(singles.stream().map(Map.Entry::getKey).toList(),
                    singles.stream().map(Map.Entry::getValue).toList()));
        }
        int t = 0;
        for (var e : step.tensors().entrySet()) {
            if (e.getValue().values().size() != 1) {
                out.append(new HtmlTensor(e.getKey(), e.getValue()).html("tensor-" + n + "-" + ++t));
            }
        }
        return out.append("</div>\n</section>\n").toString();
    }

    private static String heading(int n, Step.Kind kind) {
        return switch (kind) {
            case INPUT -> n + " · Given";
            case STEP -> "Step " + n;
            case OUTPUT -> n + " · Result";
            case GRADIENT -> n + " · Gradient";
            case MISTAKE -> n + " · <strong>✗ A common mistake</strong>";
        };
    }

    private static void paragraph(StringBuilder out, String kind, String text) {
        if (!text.isBlank()) {
            String html = kind.equals("formula") ? HtmlText.formula(text) : HtmlText.escape(text);
            out.append("<p class=\"" + kind + "\">" + html + "</p>\n");
        }
    }

    private static String resource(String name) {
        try (InputStream in = HtmlPage.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException(name + " is missing from the jar");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
