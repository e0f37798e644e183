package dev.deckle.app;

import com.google.gson.JsonObject;
import dev.deckle.app.StepProfile.Line;
import dev.deckle.memory.Workspace;
import dev.deckle.models.Llama;
import dev.deckle.nn.Pass;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.OpObserver;
import dev.deckle.tensor.Tensor;

import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

/// Training steps as a run makes them, on random tokens: forward, backward, clipping and AdamW.
final class TrainBenchmark {
    /// What is trained.
    ///
    /// @param batch sequences in a step
    record Size(int vocab, int hidden, int layers, int heads, int batch, int context) {
        /// The feed-forward network's width: about 8/3 of the model's.
        int ffn() {
            return Math.max(64, hidden * 8 / 3 / 64 * 64);
        }
    }

    /// The JVM compiles what runs often: a run gets faster until about its sixteenth step (4,700, then 5,400 tokens a
    /// second with the 10m preset in BF16 on a Zen 5). Steps of large models need fewer.
    private static final int WARM_UP = 16;
    private static final int LEAST_WARM_UP = 4;
    private static final double WARM_UP_SECONDS = 15;
    private static final int MEASURED = 8;

    private final Size size;
    private final DType dtype;

    /// @param dtype of the matrices; BF16 has F32 masters
    TrainBenchmark(Size size, DType dtype) {
        this.size = size;
        this.dtype = dtype;
    }

    /// The median of 8 steps after the warm-up.
    Benchmarks.Figure run() {
        return run(new StepProfile());
    }

    private Benchmarks.Figure run(StepProfile profile) {
        Llama.Config config = Llama.Config.of(size.vocab, size.hidden, size.ffn(), size.layers, size.heads, size.heads,
                size.context, false);
        try (Partition partition = new Partition(0, 1, new Partition.Options(Stage.REPLICATED, dtype));
                Llama model = Llama.create(config, 0, 1, partition);
                AdamW optimizer = partition.optimizer(new AdamW.Options(0.9, 0.999, 1e-8, 0.01))) {
            Steps steps = new Steps(partition, model, optimizer, profile);
            double first = steps.next();
            OptionalDouble ready = ThisProcess.seconds();
            int warm = 1;
            for (long start = System.nanoTime(); warm < LEAST_WARM_UP
                    || warm < WARM_UP && System.nanoTime() - start < WARM_UP_SECONDS * 1e9; warm++) {
                steps.next();
            }
            profile.restart();
            double[] seconds = new double[MEASURED];
            double last = 0;
            for (int i = 0; i < MEASURED; i++) {
                last = steps.next();
                seconds[i] = steps.seconds;
            }
            Benchmarks.require(Math.abs(first - Math.log(size.vocab)) < 0.5 && last < first + 0.5,
                    "the loss of random tokens is " + first + " then " + last);
            Map<String, Number> more = new LinkedHashMap<>();
            more.put("parameters", model.parameterCount());
            more.put("warm_up_steps", warm);
            ready.ifPresent(s -> more.put("first_step_s", Math.round(s * 100) / 100.0));
            ThisProcess.peakBytes().ifPresent(b -> more.put("peak_mb", b >> 20));
            return new Benchmarks.Figure("train", more, size.batch * size.context / Benchmarks.median(seconds),
                    "tok_per_s");
        }
    }

    /// One step after another.
    private final class Steps {
        private final Partition partition;
        private final Llama model;
        private final AdamW optimizer;
        private final StepProfile profile;
        private final Generator random = new Generator(1);
        double seconds; // that the last one took

        Steps(Partition partition, Llama model, AdamW optimizer, StepProfile profile) {
            this.partition = partition;
            this.model = model;
            this.optimizer = optimizer;
            this.profile = profile;
        }

        /// The loss before it.
        double next() {
            Tensor x = Tensor.of(ids(random), size.batch, size.context);
            Tensor y = Tensor.of(ids(random));
            long start = System.nanoTime();
            double loss;
            try (Workspace _ = Workspace.open()) {
                loss = partition.differentiate(() -> loss(model, x, y, random, profile), Tensor.full(DType.F32, 1),
                        true);
            }
            profile.begin("gradient norm");
            double norm = Math.sqrt(partition.gradSquares());
            profile.begin("optimizer");
            optimizer.step(3e-4, AdamW.clip(norm, 1));
            partition.updated();
            profile.end();
            seconds = (System.nanoTime() - start) / 1e9;
            return loss;
        }
    }

    private Tensor loss(Llama model, Tensor x, Tensor y, Generator random, StepProfile profile) {
        profile.begin("forward");
        Tensor loss = model.lossSum(model.hidden(x, Pass.train(random)), y, -100).mul(1.0 / y.numel());
        profile.begin("backward");
        return loss;
    }

    private long[] ids(Generator random) {
        long[] ids = new long[size.batch * size.context];
        Arrays.setAll(ids, _ -> random.nextInt((long) size.vocab));
        return ids;
    }

    // ---- the profile

    /// The same with each operation's share told, and how fast it is beside what this machine does at best: products
    /// beside a square product of 2,048, the rest beside the bandwidth of memory.
    Benchmarks.Figure profiled(Console console) {
        StepProfile profile = new StepProfile();
        Benchmarks.Figure figure = OpObserver.during(profile, () -> run(profile));
        double peak = Benchmarks.peak(dtype);
        double peakF32 = dtype == DType.F32 ? peak : Benchmarks.peak(DType.F32);
        double bandwidth = ModelBenchmarks.bandwidth();
        List<Line> lines = profile.lines();
        double all = lines.stream().mapToDouble(Line::seconds).sum();
        if (!console.json()) {
            console.result("operation             calls  forward  backward   share       rate  of peak");
        }
        double floor = 0;
        for (Line l : lines) {
            double best = !l.product() ? bandwidth : l.name().startsWith("linear") ? peak : peakF32;
            double rate = l.product() ? l.gflops() : l.gbPerSecond();
            floor += l.product() ? l.cost().flops() / 1e9 / best : 0;
            String unit = l.product() ? "gflops" : "gb_per_s";
            if (console.json()) {
                JsonObject o = new JsonObject();
                o.addProperty("op", l.name());
                o.addProperty("calls", l.calls());
                o.addProperty("forward_ms", l.forward() * 1e3);
                o.addProperty("backward_ms", l.backward() * 1e3);
                o.addProperty("share", l.seconds() / all);
                o.addProperty(unit, rate);
                o.addProperty("of_peak", rate / best);
                console.emit(o);
            } else {
                console.result(String.format(Locale.ROOT, "%-20s %6.0f %8.2f %9.2f %6.1f%% %10s %8s", l.name(),
                        l.calls(), l.forward() * 1e3, l.backward() * 1e3, 100 * l.seconds() / all,
                        l.cost().bytes() == 0 ? ""
                                : String.format(Locale.ROOT, "%.0f %s", rate, unit.equals("gflops")
                                        ? "GF/s"
                                        : "GB/s"),
                        l.cost().bytes() == 0 ? "" : String.format(Locale.ROOT, "%.0f%%", 100 * rate / best)));
            }
        }
        if (!console.json()) {
            console.result(String.format(Locale.ROOT, "a step takes %.1f ms (times in ms); its products alone at this "
                    + "machine's peak (%.0f GFLOP/s; f32 %.0f): %.1f ms; memory is read at %.1f GB/s", all * 1e3, peak,
                    peakF32, floor * 1e3, bandwidth));
        }
        return figure;
    }
}
