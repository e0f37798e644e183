package dev.deckle.app;

import com.google.gson.JsonObject;
import dev.deckle.explain.Explanation;
import dev.deckle.explain.page.HtmlPage;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.explain.story.Parts;
import dev.deckle.explain.page.StepJson;
import dev.deckle.explain.page.TextPage;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeSet;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Shows a part at work.
@Command(
        name = "explain",
        description = "Show a part of a language model at work on small numbers, step by step.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle explain                               what there is to explain",
            "  ./deckle explain softmax --values 5,1,0",
            "  ./deckle explain softmax --html softmax.html   the same as a page to walk through"
        })
final class Explain extends Verb {
    @Parameters(arity = "0..1", paramLabel = "NAME", description = "the part; without one: a list of all")
    private String name;

    @Option(names = "--seed", paramLabel = "N", description = "of the random inputs")
    private Long seed;

    @Option(names = "--heads", paramLabel = "N", description = "query heads")
    private Integer heads;

    @Option(names = "--kv-heads", paramLabel = "N", description = "key and value heads")
    private Integer kvHeads;

    @Option(names = "--values", paramLabel = "5,1,0", description = "the numbers to work on")
    private String values;

    @Option(names = "--html", paramLabel = "FILE", description = "write a page for the browser instead")
    private Path html;

    @Override
    int run(Console console) {
        if (name == null) {
            list(console);
            return Deckle.DONE;
        }
        Part part = Parts.named(name).orElseThrow(() -> {
            List<String> known = Parts.all().stream().map(Part::name).toList();
            return wrongUsage("nothing to explain is called " + name
                    + Errors.nearest(name, known).map(n -> "; did you mean " + n + "?").orElse("")
                    + " (deckle explain lists all)");
        });
        Explanation explanation = explain(part);
        if (html != null) {
            HtmlPage.write(html, explanation);
            String said = html + ": " + explanation.title() + ", to be opened in a browser";
            if (console.json()) {
                console.log(said);
            } else {
                console.result(said);
            }
        }
        if (console.json()) {
            StepJson.of(explanation).forEach(console::emit);
        } else if (html == null) {
            console.stream(new TextPage(console.outColumns(), console.outColour()).render(explanation));
            console.log("the class: " + part.type().getName());
        }
        return Deckle.DONE;
    }

    private void list(Console console) {
        Stream.of("--seed", "--heads", "--kv-heads", "--values", "--html").filter(this::given).findFirst()
                .ifPresent(flag -> {
                    throw wrongUsage(flag + " needs the NAME of a part (deckle explain lists all)");
                });
        Map<String, List<Part>> groups = new LinkedHashMap<>();
        Parts.all().forEach(p -> groups.merge(p.group(), List.of(p),
                (a, b) -> Stream.concat(a.stream(), b.stream()).toList()));
        int width = Parts.all().stream().mapToInt(p -> p.name().length()).max().orElse(0);
        groups.forEach((group, parts) -> {
            if (!console.json()) {
                console.result(group);
            }
            for (Part p : parts) {
                if (console.json()) {
                    JsonObject o = new JsonObject();
                    o.addProperty("name", p.name());
                    o.addProperty("group", p.group());
                    o.addProperty("summary", p.summary());
                    console.emit(o);
                } else {
                    console.result(("  %-" + width + "s  %s").formatted(p.name(), p.summary()));
                }
            }
        });
    }

    private boolean given(String flag) {
        return spec().commandLine().getParseResult().hasMatchedOption(flag);
    }

    /// What does not fit among the reader's own numbers is wrong usage; without them a failure is ours.
    private Explanation explain(Part part) {
        List<String> own = Stream.of("seed", "heads", "kv-heads", "values").filter(f -> given("--" + f)).toList();
        for (String flag : own) {
            if (!part.takes().contains(flag)) {
                String takes = String.join(", ", new TreeSet<>(part.takes()).stream().map(f -> "--" + f).toList());
                throw wrongUsage("--" + flag + " is nothing that " + part.name() + " takes: "
                        + (takes.isEmpty() ? "it has its own numbers" : "it takes " + takes));
            }
        }
        Options options = new Options(seed == null ? Options.defaults().seed() : seed, positive("--heads", heads),
                positive("--kv-heads", kvHeads), Optional.ofNullable(values).map(this::numbers));
        try {
            return part.explain(options);
        } catch (IllegalArgumentException e) {
            throw own.isEmpty() ? e : wrongUsage(e.getMessage());
        }
    }

    private OptionalInt positive(String flag, Integer n) {
        if (n != null && n < 1) {
            throw wrongUsage(flag + " must be 1 or more, not " + n);
        }
        return n == null ? OptionalInt.empty() : OptionalInt.of(n);
    }

    private List<Double> numbers(String text) {
        return Stream.of(text.strip().split("\\s*,\\s*", -1)).map(this::number).toList();
    }

    private double number(String text) {
        try {
            double x = Double.parseDouble(text);
            if (Double.isFinite(x) && !Character.isLetter(text.charAt(text.length() - 1))) { // Java would read 1f
                return x;
            }
        } catch (NumberFormatException _) {
            // told below, as a number that is not finite
        }
        throw wrongUsage("--values: \"" + text + "\" is no finite number: such as 5,1,0 is expected");
    }
}
