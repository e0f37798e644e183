package dev.deckle.app;

import com.google.gson.JsonObject;
import dev.deckle.distributed.Traffic;
import dev.deckle.models.Llama;
import dev.deckle.models.Models;
import dev.deckle.tensor.DType;
import dev.deckle.train.TrainOptions;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import dev.deckle.zero.ZeroLayout;
import dev.deckle.zero.ZeroPlan;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// What training a model would take on many ranks.
@Command(
        name = "plan",
        description = "What training a model takes on N ranks in each of ZeRO's stages: bytes that a rank holds and "
                + "sends, by the paper's formula and as this implementation does it, without running it.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle plan --model-size 7.5B --ranks 64 --dtype bf16",
            "  ./deckle plan --model-size 7.5B --ranks 64 --dtype bf16 --bandwidth 25 --latency 5 --memory 80GB",
            "  ./deckle plan --preset 58m --ranks 4 --grad-accum 8",
            "  ./deckle plan --model Qwen3-0.6B --ranks 3 --json      a folder with config.json; no weights are read",
            "",
            "A number of parameters alone gives a Llama with a layer for each 128 of its hidden size, heads of width "
                    + "64, a vocabulary of 32,000 and a feed-forward network whose width makes up the number."
        })
final class Plan extends Verb {
    private static final Pattern SIZE = Pattern.compile("(\\d{1,12}(?:\\.\\d{1,12})?)([KMB]?)");
    private static final double MOST_PARAMETERS = 1e13;
    private static final int MOST_RANKS = 1 << 16;
    private static final int MOST_MICRO_BATCHES = 1 << 20;
    private static final int LARGEST = 1 << 20; // of a layer's sizes
    private static final int RANKS_OF_THE_TABLE = 1024;

    @Option(names = "--model-size", paramLabel = "N[K|M|B]", description = "parameters, such as 7.5B")
    private String modelSize;

    @Option(names = "--preset", paramLabel = "NAME", description = "a model of train: small, 10m, 58m")
    private String preset;

    @Option(names = "--model", paramLabel = "DIR", description = "a model folder, of which config.json is read")
    private Path model;

    @Option(names = "--layers", paramLabel = "N", description = "blocks")
    private Integer layers;

    @Option(names = "--hidden-size", paramLabel = "N", description = "numbers a token carries from block to block")
    private Integer hiddenSize;

    @Option(names = "--heads", paramLabel = "N", description = "attention heads")
    private Integer heads;

    @Option(names = "--kv-heads", paramLabel = "N", description = "key and value heads, shared by the attention heads")
    private Integer kvHeads;

    @Option(names = "--ffn-size", paramLabel = "N", description = "width of the feed-forward network")
    private Integer ffnSize;

    @Option(names = "--vocab-size", paramLabel = "N", description = "tokens")
    private Integer vocabSize;

    @Option(names = "--tied", description = "the head is the embedding")
    private boolean tied;

    @Option(names = "--dtype", paramLabel = "TYPE", defaultValue = "f32",
            description = "f32 (default), or bf16: matrices in half precision, their masters in f32")
    private Train.DataType dtype;

    @Option(names = "--ranks", paramLabel = "N", defaultValue = "8", description = "ranks that share it; default: 8")
    private int ranks;

    @Option(names = "--grad-accum", paramLabel = "N", defaultValue = "1",
            description = "micro-batches in a step: stages 2 and 3 sum gradients in each, 3 gathers in each")
    private int gradAccum;

    @Option(names = "--bandwidth", paramLabel = "GB/S",
            description = "what a rank can send: shows the time of a step's communication on 1 to 1,024 ranks")
    private Double bandwidth;

    @Option(names = "--latency", paramLabel = "US", description = "microseconds of an empty message; default: 0")
    private Double latency;

    @Option(names = "--memory", paramLabel = "SIZE", converter = ByteSize.class,
            description = "of a rank, such as 80GB: shows which stages fit")
    private Long memory;

    /// What is planned.
    ///
    /// @param what the model in words
    /// @param asked the number of parameters for the paper's formulas
    private record Subject(String what, ZeroLayout layout, double asked) {}

    @Override
    boolean computes() {
        return false;
    }

    @Override
    int run(Console console) throws IOException {
        check();
        Subject subject = subject();
        if (subject.layout.largest() > Integer.MAX_VALUE) {
            console.log(String.format(Locale.ROOT, "a layer of this model has %,d numbers of one type, and a tensor "
                    + "here at most %,d: it can be planned, not trained", subject.layout.largest(), Integer.MAX_VALUE));
        }
        List<ZeroPlan> plans = Stream.of(Stage.values())
                .map(s -> new ZeroPlan(subject.layout, s, gradAccum))
                .toList();
        if (console.json()) {
            for (int n : bandwidth == null ? List.of(ranks) : counts()) {
                plans.forEach(p -> console.emit(json(subject, p, n)));
            }
            return Deckle.DONE;
        }
        console.result(String.format(Locale.ROOT, "%s: %,d parameters", subject.what, subject.layout.parameters()));
        console.result("");
        bytes(console, subject, plans);
        console.result("");
        traffic(console, subject, plans);
        if (bandwidth != null) {
            console.result("");
            times(console, plans);
        }
        return Deckle.DONE;
    }

    // ---- what is asked for

    private void check() {
        long sources = Stream.of(modelSize, preset, model).filter(Objects::nonNull).count();
        if (sources > 1) {
            throw wrongUsage("--model-size, --preset and --model: give one of them");
        }
        if (sources == 0 && (layers == null || hiddenSize == null)) {
            throw wrongUsage("give the model: --model-size 7.5B, --preset 10m, --model DIR, or --layers with "
                    + "--hidden-size");
        }
        if (model != null && (tied || Stream.of(layers, hiddenSize, heads, kvHeads, ffnSize, vocabSize)
                .anyMatch(Objects::nonNull))) {
            throw wrongUsage("--model: its config.json has its sizes, so --layers, --hidden-size and the like do not "
                    + "go with it");
        }
        within("--layers", layers, 10_000);
        within("--hidden-size", hiddenSize, LARGEST);
        within("--heads", heads, LARGEST);
        within("--kv-heads", kvHeads, LARGEST);
        within("--ffn-size", ffnSize, LARGEST);
        within("--vocab-size", vocabSize, 1 << 24);
        within("--ranks", ranks, MOST_RANKS);
        within("--grad-accum", gradAccum, MOST_MICRO_BATCHES);
        if (bandwidth != null && !(bandwidth > 0 && bandwidth < 1e9)) {
            throw wrongUsage("--bandwidth must be a positive number of GB/s, not " + bandwidth);
        }
        if (latency != null && !(latency >= 0 && latency < 1e9)) {
            throw wrongUsage("--latency must be a number of microseconds from 0, not " + latency);
        }
        if (latency != null && bandwidth == null) {
            throw wrongUsage("--latency goes with --bandwidth, which gives the time of communication");
        }
    }

    private void within(String flag, Integer value, int most) {
        if (value != null && (value < 1 || value > most)) {
            throw wrongUsage(String.format(Locale.ROOT, "%s must be from 1 to %,d, not %d", flag, most, value));
        }
    }

    private Subject subject() throws IOException {
        ZeroLayout layout = new ZeroLayout(dtype == Train.DataType.bf16 ? DType.BF16 : DType.F32);
        if (model != null) {
            Models.describe(model, layout);
            return new Subject(model + "", layout, layout.parameters());
        }
        try {
            PlannedShape shape = (preset == null ? shape() : ofPreset()).checked();
            Llama.describe(shape.config(), layout);
            return new Subject(shape.toString(), layout,
                    modelSize == null ? layout.parameters() : parameters(modelSize));
        } catch (IllegalArgumentException e) {
            throw wrongUsage(e.getMessage());
        }
    }

    private PlannedShape shape() {
        var wish = new PlannedShape.Wish(Optional.ofNullable(layers), Optional.ofNullable(hiddenSize),
                Optional.ofNullable(heads), Optional.ofNullable(kvHeads), Optional.ofNullable(ffnSize),
                Optional.ofNullable(vocabSize), tied);
        return modelSize == null ? PlannedShape.of(layers, hiddenSize, wish)
                : PlannedShape.ofSize(parameters(modelSize), wish);
    }

    private PlannedShape ofPreset() {
        TrainOptions o = TrainOptions.preset(preset);
        o.layers = Objects.requireNonNullElse(layers, o.layers);
        o.hidden_size = Objects.requireNonNullElse(hiddenSize, o.hidden_size);
        o.heads = Objects.requireNonNullElse(heads, o.heads);
        o.kv_heads = Objects.requireNonNullElse(kvHeads, o.kv_heads);
        o.ffn_size = Objects.requireNonNullElse(ffnSize, o.ffn_size);
        o.vocab_size = Objects.requireNonNullElse(vocabSize, o.vocab_size);
        o.complete();
        return new PlannedShape(o.layers, o.hidden_size, o.heads, o.kv_heads, o.ffn_size, o.vocab_size, tied);
    }

    private static double parameters(String text) {
        Matcher m = SIZE.matcher(text.strip().toUpperCase(Locale.ROOT));
        if (m.matches()) {
            int zeros = switch (m.group(2)) {
                case "K" -> 3;
                case "M" -> 6;
                case "B" -> 9;
                default -> 0;
            };
            double n = new BigDecimal(m.group(1)).movePointRight(zeros).doubleValue();
            if (n >= 1 && n <= MOST_PARAMETERS) {
                return n;
            }
        }
        throw new IllegalArgumentException("--model-size " + text + ": a number of parameters such as 500K, 58M or "
                + "7.5B is expected, at most 10000B");
    }

    // ---- tables

    private void bytes(Console console, Subject subject, List<ZeroPlan> plans) {
        String row = "%-2s%-22s%-10s%11s%11s%11s%12s%11s%s";
        console.result(String.format(Locale.ROOT, "%s, %s; a rank holds, by the paper's formula and as it is here%s:",
                ranks == 1 ? "1 rank" : String.format(Locale.ROOT, "%,d ranks", ranks),
                dtype == Train.DataType.bf16 ? "bf16 with f32 masters" : "f32",
                memory == null ? "" : " (activations come on top)"));
        console.result(String.format(row, "", "divided", "", "parameters", "gradients", "optimizer", "in passing",
                "total", memory == null ? "" : "  " + size(memory)).stripTrailing());
        for (ZeroPlan p : plans) {
            ZeroPlan.Paper paper = p.paper(subject.asked, ranks);
            Partition.Memory here = p.largest(ranks);
            console.result(String.format(row, p.stage().ordinal(), divided(p.stage()), "paper",
                    size(paper.parameters()), size(paper.gradients()), size(paper.optimizer()), "",
                    size(paper.total()), ""));
            long passing = here.gathered() + here.incoming();
            console.result(String.format(row, "", "", "here", size(here.parameters()), size(here.gradients()),
                    size(here.optimizer()), passing == 0 ? "" : size(passing), size(here.total()),
                    memory == null ? "" : here.total() <= memory ? "  fits" : "  too much"));
        }
        console.result("In passing: layers' parameters while they are gathered, gradients on their way to their sum.");
    }

    private static String divided(Stage stage) {
        return switch (stage) {
            case REPLICATED -> "nothing";
            case OPTIMIZER -> "optimizer state";
            case GRADIENTS -> "gradients too";
            case PARAMETERS -> "parameters too";
        };
    }

    private void traffic(Console console, Subject subject, List<ZeroPlan> plans) {
        console.result("In a step" + (gradAccum == 1 ? "" : " of " + gradAccum + " micro-batches") + " a rank sends "
                + "and receives, in times the model's parameters:");
        String row = "%-2s%10s%10s%22s%14s%14s";
        console.result(String.format(row, "", "paper", "here", "elements", "collectives", "bytes sent"));
        for (ZeroPlan p : plans) {
            Traffic.Count c = p.mostSent(ranks);
            console.result(String.format(Locale.ROOT, row, p.stage().ordinal(),
                    String.format(Locale.ROOT, "%.2f", p.paperElements(subject.asked, ranks) / subject.asked),
                    String.format(Locale.ROOT, "%.2f", (double) c.elements() / subject.layout.parameters()),
                    String.format(Locale.ROOT, "%,d", c.elements()), String.format(Locale.ROOT, "%,d", c.calls()),
                    size(c.bytes())));
        }
    }

    private void times(Console console, List<ZeroPlan> plans) {
        console.result(
                String.format(Locale.ROOT, "Bytes that a rank holds, and the time of a step's communication on a "
                        + "ring of %s GB/s and %s us, if none is hidden:", number(bandwidth), number(latency())));
        console.result(String.format("%6s%20s%20s%20s%20s%s", "ranks", "stage 0", "1", "2", "3",
                memory == null ? "" : "   fits from").stripTrailing());
        for (int n : counts()) {
            StringBuilder line = new StringBuilder(String.format(Locale.ROOT, "%,6d", n));
            plans.forEach(p -> line.append(String.format("%20s", size(p.largest(n).total()) + String.format("%10s",
                    time(seconds(p, n))))));
            if (memory != null) {
                line.append("   ").append(plans.stream()
                        .filter(p -> p.largest(n).total() <= memory)
                        .findFirst()
                        .map(p -> "stage " + p.stage().ordinal())
                        .orElse("none"));
            }
            console.result(line.toString());
        }
    }

    /// 1 to 1,024 by doubling, and the number that was asked for.
    private List<Integer> counts() {
        List<Integer> counts = new ArrayList<>(List.of(ranks));
        for (int n = 1; n <= RANKS_OF_THE_TABLE; n *= 2) {
            counts.add(n);
        }
        return counts.stream().distinct().sorted().toList();
    }

    private double latency() {
        return latency == null ? 0 : latency;
    }

    private double seconds(ZeroPlan plan, int n) {
        return plan.seconds(n, bandwidth * 1e9, latency() * 1e-6);
    }

    private JsonObject json(Subject subject, ZeroPlan plan, int n) {
        Partition.Memory here = plan.largest(n);
        ZeroPlan.Paper paper = plan.paper(subject.asked, n);
        Traffic.Count sent = plan.mostSent(n);
        JsonObject o = new JsonObject();
        o.addProperty("stage", plan.stage().ordinal());
        o.addProperty("ranks", n);
        o.addProperty("dtype", dtype.name());
        o.addProperty("grad_accum", gradAccum);
        o.addProperty("model_parameters", subject.layout.parameters());
        o.addProperty("parameters", here.parameters());
        o.addProperty("gradients", here.gradients());
        o.addProperty("optimizer", here.optimizer());
        o.addProperty("gathered", here.gathered());
        o.addProperty("incoming", here.incoming());
        o.addProperty("total", here.total());
        o.addProperty("paper_parameters", Math.round(paper.parameters()));
        o.addProperty("paper_gradients", Math.round(paper.gradients()));
        o.addProperty("paper_optimizer", Math.round(paper.optimizer()));
        o.addProperty("paper_total", Math.round(paper.total()));
        o.addProperty("elements", sent.elements());
        o.addProperty("paper_elements", Math.round(plan.paperElements(subject.asked, n)));
        o.addProperty("collectives", sent.calls());
        o.addProperty("bytes_sent", sent.bytes());
        if (memory != null) {
            o.addProperty("fits", here.total() <= memory);
        }
        if (bandwidth != null) {
            o.addProperty("seconds", seconds(plan, n));
        }
        return o;
    }

    // ---- numbers

    private static String size(double bytes) {
        String[] units = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
        int u = 0;
        double x = bytes;
        while (x >= 999.5 && u < units.length - 1) {
            x /= 1000;
            u++;
        }
        return (u == 0 ? String.format(Locale.ROOT, "%.0f", x) : three(x)) + " " + units[u];
    }

    private static String time(double seconds) {
        return seconds == 0 ? "0 s"
                : seconds < 1e-3 ? three(seconds * 1e6) + " us"
                        : seconds < 1 ? three(seconds * 1e3) + " ms" : three(seconds) + " s";
    }

    /// Three digits.
    private static String three(double x) {
        for (int decimals = 2; decimals > 0; decimals--) {
            String s = String.format(Locale.ROOT, "%." + decimals + "f", x);
            if (s.length() <= 4) {
                return s;
            }
        }
        return String.format(Locale.ROOT, "%.0f", x);
    }

    private static String number(double x) {
        return x == Math.rint(x) && x < 1e9 ? Long.toString((long) x) : Double.toString(x);
    }
}
