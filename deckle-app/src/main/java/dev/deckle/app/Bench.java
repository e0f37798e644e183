package dev.deckle.app;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

/// Measures this machine.
@Command(
        name = "bench",
        description = "Measure matrix products, attention, a training step or decoding on this machine.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle bench gemm",
            "  ./deckle bench train --preset 10m --fresh-jvms 5    five processes, their median and spread",
            "  ./deckle bench decode --json"
        })
final class Bench extends Verb {
    enum What {
        gemm,
        attention,
        train,
        decode
    }

    enum Size {
        _10m("10m"),
        _58m("58m");

        private final String label;

        Size(String label) {
            this.label = label;
        }

        @Override
        public String toString() {
            return label;
        }
    }

    enum DataType {
        f32
    }

    @Parameters(paramLabel = "gemm|attention|train|decode", description = "what")
    private What what;

    @Option(names = "--preset", paramLabel = "NAME", defaultValue = "10m",
            description = "the model: 10m (default) or 58m",
            converter = SizeConverter.class)
    private Size preset;

    @Option(names = "--dtype", paramLabel = "TYPE", defaultValue = "f32", description = "f32")
    private DataType dtype;

    @Option(names = "--fresh-jvms", paramLabel = "N", defaultValue = "0",
            description = "measure in N new processes, one after the other")
    private int freshJvms;

    @Override
    int run(Console console) throws IOException {
        if (freshJvms < 0) {
            throw wrongUsage("--fresh-jvms must not be negative, not " + freshJvms);
        }
        if (freshJvms > 0) {
            return inFreshJvms(console);
        }
        Benchmarks measure = new Benchmarks(preset == Size._10m);
        List<Benchmarks.Figure> figures = switch (what) {
            case gemm -> measure.gemm();
            case attention -> measure.attention();
            case train -> measure.train();
            case decode -> measure.decode();
        };
        for (Benchmarks.Figure f : figures) {
            if (console.json()) {
                console.emit(json(f));
            } else {
                console.result(String.format("%-24s %10.1f %s", f.name(), f.value(), f.unit()));
            }
        }
        return Deckle.DONE;
    }

    private JsonObject json(Benchmarks.Figure f) {
        JsonObject o = new JsonObject();
        if (what == What.gemm || what == What.attention) {
            o.addProperty("shape", f.name());
        } else {
            o.addProperty("preset", preset.toString());
        }
        o.addProperty("dtype", dtype.toString());
        o.addProperty(f.unit(), Math.round(f.value() * 10) / 10.0);
        return o;
    }

    /// The same call again and again, each in a process of its own: what a JIT compiler does differs from one to the
    /// next.
    private int inFreshJvms(Console console) throws IOException {
        ProcessHandle.Info self = ProcessHandle.current().info();
        List<String> command = new ArrayList<>(List.of(self.command().orElseThrow()));
        List<String> arguments = new ArrayList<>(List.of(self.arguments().orElseThrow()));
        int at = arguments.indexOf("--fresh-jvms");
        if (at >= 0) {
            arguments.subList(at, at + 2).clear();
        } else {
            arguments.removeIf(a -> a.startsWith("--fresh-jvms="));
        }
        command.addAll(arguments);
        if (!console.json()) {
            command.add("--json");
        }
        List<List<JsonObject>> runs = new ArrayList<>();
        for (int i = 0; i < freshJvms; i++) {
            Process p = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
            String out = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (exit(p) != 0) {
                throw new IOException("process " + (i + 1) + " of " + freshJvms + " failed");
            }
            runs.add(out.lines().map(l -> JsonParser.parseString(l).getAsJsonObject()).toList());
            console.detail(out.strip());
        }
        for (int row = 0; row < runs.getFirst().size(); row++) {
            int r = row;
            JsonObject first = runs.getFirst().get(row);
            String unit = first.keySet().stream().reduce((_, b) -> b).orElseThrow();
            List<Double> values = runs.stream().map(run -> run.get(r).get(unit).getAsDouble())
                    .sorted(Comparator.naturalOrder()).toList();
            double median = values.get(values.size() / 2);
            if (console.json()) {
                first.addProperty(unit, median);
                first.addProperty("min", values.getFirst());
                first.addProperty("max", values.getLast());
                console.emit(first);
            } else {
                String name = first.has("shape") ? first.get("shape").getAsString() : preset.toString();
                console.result(String.format("%-24s %10.1f %s, from %.1f to %.1f in %d processes", name, median, unit,
                        values.getFirst(), values.getLast(), values.size()));
            }
        }
        return Deckle.DONE;
    }

    private static int exit(Process p) {
        try {
            return p.waitFor();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            p.destroy();
            return -1;
        }
    }

    static final class SizeConverter implements ITypeConverter<Size> {
        @Override
        public Size convert(String value) {
            for (Size s : Size.values()) {
                if (s.label.equals(value)) {
                    return s;
                }
            }
            throw new TypeConversionException("must be 10m or 58m, not " + value);
        }
    }
}
