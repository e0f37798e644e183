package dev.deckle.app;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.SelfTest;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// What runs on this machine, and what does not and why.
@Command(
        name = "doctor",
        description = "Show what runs on this machine, what was refused and why; and check the kernels.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle doctor",
            "  ./deckle doctor --no-x86             what would run without it",
            "  ./deckle doctor --model runs/run-1   and what a model's KV cache takes"
        })
final class Doctor extends Verb {
    @Option(names = "--model", paramLabel = "DIR",
            description = "also this model: parameters, types, and the KV cache's bytes a token")
    private Path model;

    @Override
    int run(Console console) throws IOException {
        Optional<ModelReport> report = model == null ? Optional.empty() : Optional.of(ModelReport.of(model));
        Door door = Door.current();
        List<SelfTest.Result> results = SelfTest.run(door);
        boolean ok = results.stream().allMatch(SelfTest.Result::ok);
        if (console.json()) {
            JsonObject all = json(door, results);
            report.ifPresent(r -> all.add("model", r.json()));
            console.emit(all);
        } else {
            print(console, door, results);
            report.ifPresent(r -> r.print(console));
        }
        return ok ? Deckle.DONE : Deckle.FAILED;
    }

    private static String java() {
        return System.getProperty("java.vm.name") + " " + Runtime.version() + ", " + System.getProperty("os.name") + " "
                + System.getProperty("os.arch");
    }

    private static void print(Console console, Door door, List<SelfTest.Result> results) {
        console.result("java      " + java());
        console.result("threads   " + Team.shared().threads() + " of " + Runtime.getRuntime().availableProcessors()
                + " processors");
        console.result("memory    " + (Runtime.getRuntime().maxMemory() >> 20)
                + " MB of heap at most; tensors live outside of it");
        console.result("");
        for (Door.Backend b : door.backends()) {
            console.result(
                    String.format("%-9s %s%s", b.name(), b.kernels().isPresent() ? "" : "refused: ", b.reason()));
        }
        console.result("");
        console.result(String.format("%-14s %-8s %s", "f32 kernels", "by", "largest error against the definition"));
        for (SelfTest.Result r : results) {
            console.result(String.format(Locale.ROOT, "%-14s %-8s %.1e%s%s", name(r), r.backend(), r.error(),
                    r.ok() ? "" : "  WRONG: do not trust results on this machine",
                    r.backend().equals("scalar") ? "  SLOW: plain loops" : ""));
        }
        console.result("f64 runs in plain loops: it is there to check gradients with.");
        console.result("");
        console.result("training  " + training(door));
    }

    /// What `train` computes with unless told, and why.
    private static String training(Door door) {
        return door.forTraining() == DType.BF16
                ? "in bf16 unless told (--dtype): this processor multiplies it itself, which is faster than f32"
                : "in f32 unless told (--dtype): this processor does not multiply bf16 itself";
    }

    private static JsonObject json(Door door, List<SelfTest.Result> results) {
        JsonObject o = new JsonObject();
        o.addProperty("java", java());
        o.addProperty("threads", Team.shared().threads());
        JsonArray backends = new JsonArray();
        for (Door.Backend b : door.backends()) {
            JsonObject each = new JsonObject();
            each.addProperty("name", b.name());
            each.addProperty("open", b.kernels().isPresent());
            each.addProperty("reason", b.reason());
            backends.add(each);
        }
        o.add("backends", backends);
        o.addProperty("train_dtype", door.forTraining() == DType.BF16 ? "bf16" : "f32");
        JsonArray families = new JsonArray();
        for (SelfTest.Result r : results) {
            JsonObject each = new JsonObject();
            each.addProperty("family", name(r));
            each.addProperty("backend", r.backend());
            each.addProperty("error", Double.isFinite(r.error()) ? r.error() : null);
            each.addProperty("ok", r.ok());
            families.add(each);
        }
        o.add("families", families);
        return o;
    }

    private static String name(SelfTest.Result r) {
        return r.family().name().toLowerCase(Locale.ROOT);
    }
}
