package dev.deckle.app;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.tensor.DType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

/// Measures this machine.
@Command(
        name = "bench",
        description = "Measure matrix products, attention, a training step, decoding, a prompt or rollouts.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle bench gemm",
            "  ./deckle bench train --preset 10m --fresh-jvms 5    five processes, their median and spread",
            "  ./deckle bench train --dtype bf16 --profile    each operation's share and rate",
            "  ./deckle bench decode --preset 1b --dtype bf16    against the bandwidth of the memory",
            "  ./deckle bench decode --batch-size 16 --json"
        })
final class Bench extends Verb {
    enum What {
        gemm,
        attention,
        train,
        decode,
        prefill,
        rollout
    }

    enum Size {
        _10m("10m", new ModelBenchmarks.Shapes(65, 384, 1024, 6, 6, 6, false), 12, 256),
        _58m("58m", new ModelBenchmarks.Shapes(32_000, 512, 1344, 8, 8, 8, false), 4, 512),
        /// Llama 3.2 1B's shape.
        _1b("1b", new ModelBenchmarks.Shapes(128_256, 2048, 8192, 16, 32, 8, true), 1, 512);

        private final String label;
        private final ModelBenchmarks.Shapes shapes;
        private final int batch; // of a training step
        private final int context;

        Size(String label, ModelBenchmarks.Shapes shapes, int batch, int context) {
            this.label = label;
            this.shapes = shapes;
            this.batch = batch;
            this.context = context;
        }

        @Override
        public String toString() {
            return label;
        }
    }

    enum DataType {
        f32(DType.F32),
        bf16(DType.BF16);

        private final DType type;

        DataType(DType type) {
            this.type = type;
        }
    }

    @Parameters(paramLabel = "gemm|attention|train|decode|prefill|rollout", description = "what")
    private What what;

    @Option(names = "--preset", paramLabel = "NAME", defaultValue = "10m",
            description = "the model: 10m (default), 58m or 1b",
            converter = SizeConverter.class)
    private Size preset;

    @Option(names = "--dtype", paramLabel = "TYPE", defaultValue = "f32",
            description = "the weights: f32 or bf16; train keeps masters in f32")
    private DataType dtype;

    @Option(names = "--batch-size", paramLabel = "N",
            description = "sequences at once: decode 1, rollout 16, train the preset's if not given")
    private Integer batchSize;

    @Option(names = "--hidden-size", paramLabel = "N", description = "train: in place of the preset's")
    private Integer hiddenSize;

    @Option(names = "--layers", paramLabel = "N", description = "train: in place of the preset's")
    private Integer layers;

    @Option(names = "--heads", paramLabel = "N", description = "train: in place of the preset's; else of 64 each")
    private Integer heads;

    @Option(names = "--context", paramLabel = "T", description = "train: in place of the preset's")
    private Integer context;

    @Option(names = "--vocab-size", paramLabel = "V", description = "train: in place of the preset's")
    private Integer vocabSize;

    @Option(names = "--profile", description = "train: where the time of a step goes, and what it could be at best")
    private boolean profile;

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
        boolean batches = what == What.decode || what == What.rollout || what == What.train;
        if (batchSize != null && (batchSize < 1 || !batches)) {
            throw wrongUsage(
                    "--batch-size is a positive number of sequences for decode, rollout or train, not " + batchSize
                            + (batches ? "" : " for " + what));
        }
        if (preset == Size._1b && (what == What.gemm || what == What.attention)) {
            throw wrongUsage("--preset 1b is for models, not for " + what);
        }
        if (what != What.train
                && Stream.of(hiddenSize, layers, heads, context, vocabSize).anyMatch(Objects::nonNull)) {
            throw wrongUsage("--hidden-size, --layers, --heads, --context and --vocab-size are for train, not for "
                    + what);
        }
        if (dtype == DataType.bf16 && what == What.attention) {
            throw wrongUsage("--dtype bf16 is not for attention, which is computed in f32");
        }
        if (profile && (what != What.train || freshJvms > 0)) {
            throw wrongUsage("--profile goes with train, in one process");
        }
        Benchmarks measure = new Benchmarks();
        ModelBenchmarks model = new ModelBenchmarks(preset.shapes, dtype.type);
        List<Benchmarks.Figure> figures = switch (what) {
            case gemm -> measure.gemm(dtype.type);
            case attention -> measure.attention();
            case train -> train(console);
            case decode -> model.decode(batchSize == null ? 1 : batchSize);
            case prefill -> model.prefill();
            case rollout -> model.rollout(batchSize == null ? 16 : batchSize);
        };
        for (Benchmarks.Figure f : figures) {
            if (console.json()) {
                console.emit(json(f));
            } else {
                String more = f.more().entrySet().stream()
                        .map(e -> ", " + e.getKey() + " " + e.getValue())
                        .collect(Collectors.joining());
                console.result(String.format(Locale.ROOT, "%-24s %10.1f %s%s", f.name(), f.value(), f.unit(), more));
            }
        }
        return Deckle.DONE;
    }

    /// The preset, with what is given in place of its own.
    private TrainBenchmark.Size trained() {
        int hidden = hiddenSize == null ? preset.shapes.hidden() : hiddenSize;
        int own = hiddenSize == null ? preset.shapes.heads() : Math.max(1, hidden / 64);
        TrainBenchmark.Size size = new TrainBenchmark.Size(
                vocabSize == null ? preset.shapes.vocab() : vocabSize, hidden,
                layers == null ? preset.shapes.layers() : layers, heads == null ? own : heads,
                batchSize == null ? preset.batch : batchSize, context == null ? preset.context : context);
        if (size.vocab() < 2 || size.layers() < 1 || size.context() < 1 || size.heads() < 1 || hidden < 1
                || hidden % (2 * size.heads()) != 0) {
            throw wrongUsage(
                    "--hidden-size must be a multiple of twice the heads, and all sizes positive, not " + size);
        }
        return size;
    }

    private List<Benchmarks.Figure> train(Console console) {
        TrainBenchmark train = new TrainBenchmark(trained(), dtype.type);
        return List.of(profile ? train.profiled(console) : train.run());
    }

    private JsonObject json(Benchmarks.Figure f) {
        JsonObject o = new JsonObject();
        if (what == What.gemm || what == What.attention) {
            o.addProperty("shape", f.name());
        } else {
            o.addProperty("preset", preset.toString());
        }
        o.addProperty("dtype", dtype.toString());
        f.more().forEach(o::addProperty);
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
            List<Double> values = sorted(runs, r, unit).stream().map(JsonElement::getAsDouble).toList();
            double median = values.get(values.size() / 2);
            if (console.json()) {
                for (String key : List.copyOf(first.keySet())) {
                    if (first.getAsJsonPrimitive(key).isNumber()) {
                        first.add(key, sorted(runs, r, key).get(values.size() / 2));
                    }
                }
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

    private static List<JsonElement> sorted(List<List<JsonObject>> runs, int row, String key) {
        return runs.stream()
                .map(run -> run.get(row).get(key))
                .sorted(Comparator.comparingDouble(JsonElement::getAsDouble))
                .toList();
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
            throw new TypeConversionException("must be 10m, 58m or 1b, not " + value);
        }
    }
}
