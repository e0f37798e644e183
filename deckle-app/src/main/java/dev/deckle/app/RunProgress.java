package dev.deckle.app;

import dev.deckle.distributed.Traffic;
import dev.deckle.kernel.Team;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.train.Run;
import dev.deckle.train.TrainListener;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/// What the user sees of a run.
final class RunProgress implements TrainListener {
    /// Prepares a run that tells `progress` of itself.
    @FunctionalInterface
    interface Preparation {
        Run of(RunProgress progress) throws IOException;
    }

    private final Console console;
    private final LiveLine live;
    private final Function<Run, String> next;
    private final String onward;
    private final long began = System.nanoTime();
    private final RunNumbers numbers = new RunNumbers();
    private boolean drawable = true;
    private Path folder; // these two are known once the run is prepared, before its first step
    private long steps;

    private RunProgress(Console console, Function<Run, String> next, String onward) {
        this.console = console;
        this.next = next;
        this.onward = onward;
        live = console.live();
    }

    /// Prepares a run and trains it, to its end or until the user interrupts it.
    ///
    /// @param next what to do with a run that ended
    /// @param onward how to go on with the folder `%s` of one that was interrupted
    static void follow(Console console, Function<Run, String> next, String onward, Preparation preparation)
            throws IOException {
        RunProgress progress = new RunProgress(console, next, onward);
        try (Run run = preparation.of(progress)) {
            progress.begin(run);
            boolean ended = Interruption.watched(run::train);
            progress.finish(run, ended);
        }
    }

    private void begin(Run run) {
        folder = run.folder();
        steps = run.steps();
    }

    @Override
    public void note(String line) {
        console.log(line);
    }

    @Override
    public void step(Step s) {
        live.update(s.step(), steps, s.loss(), numbers.of(s, System.nanoTime()), s.left());
        if (console.json()) {
            console.emit(s.json());
        }
        String held = held(s);
        if (!held.isEmpty()) {
            console.log(String.format("step %,d: held-out %s", s.step(), held));
        }
    }

    /// What was measured on data that is not learned from; empty where nothing was.
    private static String held(Step s) {
        Map<String, String> shown = new LinkedHashMap<>();
        shown.put("val_loss", "loss %.3f");
        shown.put("val_bpb", "%.3f bits per byte");
        shown.put("eval_loss", "loss %.3f");
        shown.put("eval_accuracy", "accuracy %.3f");
        shown.put("eval_rewards/accuracies", "accuracy %.3f");
        shown.put("eval_rewards/margins", "margin %.3f");
        return shown.entrySet().stream()
                .filter(e -> s.metric(e.getKey()).isPresent())
                .map(e -> String.format(e.getValue(), s.metric(e.getKey()).getAsDouble()))
                .collect(Collectors.joining(", "));
    }

    @Override
    public void sample(long step, String text) {
        draw();
        console.log(text.strip().replaceAll("(?m)^", "    | "));
    }

    /// Draws `loss.png`. A picture that cannot be drawn is no reason to lose the run: it is told once.
    private void draw() {
        if (drawable) {
            try {
                LossChart.of(folder.resolve("metrics.jsonl"))
                        .write(folder.resolve("loss.png"), folder.getFileName().toString());
            } catch (IOException | UncheckedIOException e) {
                drawable = false;
                console.log(Errors.message(e));
            }
        }
    }

    private void finish(Run run, boolean ended) {
        live.close();
        draw();
        console.log("");
        console.log(String.format("%s after %,d steps, %s: %s", ended ? "Done" : "Interrupted",
                run.step(),
                LiveLine.span(Duration.ofNanos(System.nanoTime() - began)), run.folder()));
        console.log(String.format("  %s; loss.png, metrics.jsonl and TensorBoard events beside it", run.adapted()
                .map(a -> String.format("an adapter of %,d parameters as PEFT keeps it, on %s", a.parameterCount(),
                        a.base()))
                .orElseGet(() -> String.format("a Hugging Face model folder of %,d parameters",
                        run.model().parameterCount()))));
        memory(run).forEach(line -> console.log("  " + line));
        console.log("Next:  ./deckle " + next.apply(run));
        if (!ended) {
            console.log("       ./deckle " + String.format(onward, run.folder()));
        }
    }

    /// What a rank held and sent, and what the process held. Activations are all that a step makes and drops again.
    /// What the rest of the resident memory is, the JVM's own and files that are mapped, is not measured and so not
    /// told.
    private static List<String> memory(Run run) {
        Partition.Memory m = run.memory();
        List<String> lines = new ArrayList<>();
        lines.add(String.format("memory%s: %,.1f MB weights, %,.1f MB gradients, %,.1f MB optimizer%s, at most "
                + "%,.1f MB activations", run.ranks() > 1 ? " of rank 0" : "", m.parameters() / 1e6,
                m.gradients() / 1e6, m.optimizer() / 1e6,
                m.gathered() + m.incoming() == 0 ? ""
                        : String.format(", %,.1f MB for layers gathered or summed", (m.gathered() + m.incoming())
                                / 1e6),
                Workspace.highWaterMark() / 1e6));
        lines.add(String.format("%s%,.1f MB models and what trains them, %,.1f MB held for activations, %,.1f MB Java "
                + "heap; %d threads",
                ThisProcess.peakBytes().stream()
                        .mapToObj(b -> String.format("peak %,.1f MB resident: ", b / 1e6))
                        .findFirst()
                        .orElse("this process: "),
                ModelMemory.allocatedBytes() / 1e6, Workspace.reservedBytes() / 1e6,
                Runtime.getRuntime().totalMemory() / 1e6, Team.shared().threads()));
        if (run.ranks() > 1) {
            Traffic.Count sent = run.traffic().total();
            lines.add(String.format("communication of a step: %,d elements in %,d calls, %,.1f MB sent by rank 0%s",
                    sent.elements(), sent.calls(), sent.bytes() / 1e6,
                    run.hidden().isEmpty() ? ""
                            : String.format(", %.0f %% of its time behind computation",
                                    100 * run.hidden().getAsDouble())));
        }
        return lines;
    }
}
