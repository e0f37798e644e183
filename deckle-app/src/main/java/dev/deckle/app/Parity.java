package dev.deckle.app;

import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import dev.deckle.parity.Verdict;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// Our parts against numbers that PyTorch computed.
@Command(
        name = "parity",
        description = {
            "Compare the parts with golden cases from PyTorch: values and gradients, on every backend.",
            "A number passes if it is within 1e-5 + 1e-4 times the expected one, a gradient within ten times that."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle parity golden/components               every case of a folder",
            "  ./deckle parity mha.safetensors rope.safetensors --json"
        })
final class Parity extends Verb {
    @Parameters(arity = "1..*", paramLabel = "DIR|FILE", description = "golden cases (*.safetensors)")
    private List<Path> paths;

    private final List<Verdict> failed = new ArrayList<>();
    private int cases;

    @Override
    int run(Console console) throws NoSuchFileException {
        List<Path> files = new ArrayList<>();
        for (Path path : paths) {
            if (!Files.exists(path)) {
                throw new NoSuchFileException(path.toString());
            }
            files.addAll(dev.deckle.parity.Parity.files(path));
        }
        if (!console.json()) {
            console.result(String.format(Locale.ROOT, "%-32s %-8s %11s %11s", "case", "backend", "max abs "
                    + "err", "max rel err"));
        }
        for (Path file : files) {
            dev.deckle.parity.Parity.run(file, v -> show(console, v));
            cases++;
        }
        String backends = String.join(", ", dev.deckle.parity.Parity.backends());
        long wrong = failed.stream().map(Verdict::name).distinct().count();
        console.log((cases - wrong) + " of " + cases + " cases pass on every backend (" + backends + ")");
        failed.stream().limit(1).forEach(v -> console.error("deckle: " + v.name() + " on " + v.backend() + ": "
                + v.reason()));
        return failed.isEmpty() ? Deckle.DONE : Deckle.FAILED;
    }

    private void show(Console console, Verdict v) {
        if (!v.ok()) {
            failed.add(v);
        }
        if (console.json()) {
            JsonObject o = new JsonObject();
            o.addProperty("case", v.name());
            o.addProperty("component", v.component());
            o.addProperty("backend", v.backend());
            number(o, "max_abs_err", v.maxAbsErr());
            number(o, "max_rel_err", v.maxRelErr());
            o.addProperty("ok", v.ok());
            if (!v.ok()) {
                o.addProperty("reason", v.reason());
            }
            console.emit(o);
        } else {
            console.result(String.format(Locale.ROOT, "%-32s %-8s %11.1e "
                    + "%11.1e%s", v.name(), v.backend(), v.maxAbsErr(),
                    v.maxRelErr(), v.ok() ? "" : "  WRONG: " + v.reason()));
        }
    }

    /// JSON has no number that is not finite: null says that nothing could be compared.
    private static void number(JsonObject o, String key, double value) {
        if (Double.isFinite(value)) {
            o.addProperty(key, value);
        } else {
            o.add(key, JsonNull.INSTANCE);
        }
    }
}
