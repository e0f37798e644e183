package dev.deckle.app;

import dev.deckle.align.Demo;
import dev.deckle.train.TrainListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;

/// `align demo`: improves weak starts by each method, and shows by how much.
record AlignDemo(Console console, Path folder, List<String> methods, long firstSeed, int seeds) {
    private static final String ROW = "%-7s %4s %7.3f %7.3f %6d %8.1f";

    void run() throws IOException {
        if (!console.json()) {
            console.result("method  seed  before   after  steps  seconds");
        }
        List<Demo.Result> results = new ArrayList<>();
        DemoChart chart = new DemoChart();
        for (long seed = firstSeed; seed < firstSeed + seeds; seed++) {
            Path own = Files.createDirectories(folder.resolve("seed-" + seed));
            Demo.run(own, seed, methods, new Quiet(console), r -> {
                results.add(r);
                if (console.json()) {
                    console.emit(r.json());
                } else {
                    console.result(String.format(ROW, r.method(), r.seed(), r.before(), r.after(), r.steps(),
                            r.seconds()));
                }
            });
            if (seed == firstSeed) {
                for (String method : methods) {
                    chart.add(method, own.resolve(method).resolve("metrics.jsonl"));
                }
            }
        }
        if (seeds > 1 && !console.json()) {
            methods.forEach(method -> mean(method, results.stream().filter(r -> r.method().equals(method)).toList()));
        }
        draw(chart);
        console.log("what it made is in " + folder);
    }

    private void mean(String method, List<Demo.Result> of) {
        console.result(String.format(ROW, method, "mean", mean(of, Demo.Result::before), mean(of, Demo.Result::after),
                of.getFirst().steps(), mean(of, Demo.Result::seconds)));
    }

    private static double mean(List<Demo.Result> of, ToDoubleFunction<Demo.Result> what) {
        return of.stream().mapToDouble(what).average().orElseThrow();
    }

    /// A picture that cannot be drawn is no reason to fail: the figures are there.
    private void draw(DemoChart chart) {
        try {
            chart.write(folder.resolve("demo.png"));
        } catch (IOException e) {
            console.log(Errors.message(e));
        }
    }

    /// Only what `-v` asks for.
    private record Quiet(Console console) implements TrainListener {
        @Override
        public void note(String line) {
            console.detail(line);
        }

        @Override
        public void step(Step s) {
            if (s.step() % 20 == 0) {
                console.detail(s.json().toString());
            }
        }

        @Override
        public void sample(long step, String text) {
            console.detail(text);
        }
    }
}
