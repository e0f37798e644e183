package dev.deckle.train;

import dev.deckle.distributed.Timeline;
import dev.deckle.distributed.Traffic;
import dev.deckle.kernel.Team;
import dev.deckle.models.Adapted;
import dev.deckle.models.CausalLm;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/// A run that is prepared: its folder, and a [Loop] for each rank of this process.
/// ```java
/// try (Run run = Pretraining.start(TrainOptions.preset("small").complete(), Path.of("runs/first"), listener)) {
///     run.train(() -> false);
/// }
/// ```
public final class Run implements AutoCloseable {
    /// Makes what the ranks share, and then [#loops] of them.
    @FunctionalInterface
    public interface Preparation {
        void of(Run run) throws IOException;
    }

    /// Makes the loop of one rank.
    @FunctionalInterface
    public interface Builder {
        Loop of(int rank) throws IOException;
    }

    private final Path path;
    private final Optional<RunFolder> folder; // where the first rank is
    private final Launch launch;
    private final TrainListener listener;
    private final long steps;
    private final String trace;
    private final List<Loop> loops = new ArrayList<>();
    // ranks, which are prepared side by side, add to it
    private final List<AutoCloseable> shared = Collections.synchronizedList(new ArrayList<>());
    private volatile OptionalDouble hidden = OptionalDouble.empty();

    private Run(Path path, Optional<RunFolder> folder, Launch launch, TrainListener listener, long steps,
            String trace) {
        this.path = path;
        this.folder = folder;
        this.launch = launch;
        this.listener = listener;
        this.steps = steps;
        this.trace = trace;
    }

    /// A run in a folder of its own.
    ///
    /// @param steps at which it ends; 0 where the clock ends it
    /// @param trace the file for a Chrome trace, or empty
    public static Run start(
            Path out, Launch launch, TrainListener listener, long steps, String trace, Preparation preparation)
            throws IOException {
        Optional<RunFolder> folder = launch.ranks().contains(0) ? Optional.of(RunFolder.create(out)) : Optional.empty();
        Run run = new Run(out, folder, launch, listener, steps, trace);
        try {
            run.prepare(preparation);
            return run;
        } catch (IOException | RuntimeException | Error e) {
            run.close();
            if (folder.isPresent()) {
                folder.get().discard();
            }
            throw e;
        }
    }

    /// What a run goes on with.
    ///
    /// @param ranks as threads, where there are none elsewhere
    /// @param steps at which it ends; 0 where the clock ends it
    public record Onward(int ranks, long steps, String trace, Preparation preparation) {}

    /// Makes that of the newest checkpoint.
    @FunctionalInterface
    public interface Continuation {
        Onward from(Checkpoint checkpoint) throws IOException;
    }

    /// One that goes on in its folder. With ranks elsewhere every process calls it, and all see the folder.
    ///
    /// @param elsewhere empty where all ranks are threads of this process
    public static Run resume(
            Path out, TrainListener listener, Optional<Launch> elsewhere, Continuation continuation)
            throws IOException {
        boolean first = elsewhere.isEmpty() || elsewhere.get().ranks().contains(0);
        Optional<RunFolder> folder = first ? Optional.of(RunFolder.resume(out)) : Optional.empty();
        Optional<Run> run = Optional.empty();
        try {
            Checkpoint c = Checkpoint.toResume(out);
            Onward on = continuation.from(c);
            if (on.steps > 0 && on.steps < c.state().step()) {
                throw new IllegalArgumentException(
                        "--steps " + on.steps + ": the run is at step " + c.state().step() + " already");
            }
            run = Optional.of(new Run(out, folder, elsewhere.orElse(Launch.threads(on.ranks)), listener, on.steps,
                    on.trace));
            run.get().prepare(on.preparation);
            listener.note(String.format("resumed from step %,d", run.get().step()));
            return run.get();
        } catch (IOException | RuntimeException | Error e) {
            if (run.isPresent()) {
                run.get().close();
            } else if (folder.isPresent()) {
                folder.get().close();
            }
            throw e;
        }
    }

    private void prepare(Preparation preparation) throws IOException {
        boolean first = folder.isPresent();
        if (first && !trace.isEmpty()) {
            checkTrace(Path.of(trace)); // it is written at the end, which is late for bad news
        }
        if (!first) {
            launch.others().ifPresent(o -> o.barrier().await()); // what the first rank caches is found, not made
        }
        preparation.of(this);
        if (first) {
            launch.others().ifPresent(o -> o.barrier().await());
            for (String file : List.of("metrics.jsonl", "samples.jsonl")) {
                Metrics.cutBack(folder.get().file(file), step()); // of a run that was killed
            }
        }
        listener.note(String.format("%s, %s, written to %s", adapted()
                .map(a -> String.format("an adapter of %,d parameters on %s", a.parameterCount(), a.base()))
                .orElseGet(() -> String.format("a model of %,d parameters", model().parameterCount())), places(),
                path));
    }

    private static void checkTrace(Path file) throws IOException {
        Path parent = file.toAbsolutePath().getParent();
        String why = Files.isDirectory(file) ? "it is a folder"
                : !Files.isDirectory(parent) ? "the folder does not exist"
                        : !Files.isWritable(parent) ? "no permission" : "";
        if (!why.isEmpty()) {
            throw new IOException("--trace " + file + ": cannot be written: " + why);
        }
    }

    private String places() {
        int threads = Team.shared().threads();
        return launch.worldSize() == 1 ? threads + " threads"
                : launch.worldSize() + " ranks (ZeRO stage " + loops.getFirst().partition().stage().ordinal() + ") "
                        + (launch.others().isPresent()
                                ? "as processes, this one of " + threads + " threads"
                                : "on " + threads + " threads");
    }

    /// What all ranks use and the run closes.
    public <T extends AutoCloseable> T share(T resource) {
        shared.add(resource);
        return resource;
    }

    /// Makes the loops of this process's ranks, side by side.
    public void loops(Builder builder) throws IOException {
        Loop[] made = new Loop[launch.ranks().size()];
        try {
            Team.shared().parallelFor(made.length, i -> {
                try {
                    made[i] = builder.of(launch.ranks().get(i));
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        } catch (UncheckedIOException e) {
            throw said(e);
        } finally {
            Stream.of(made).filter(Objects::nonNull).forEach(loops::add); // to be closed
        }
    }

    /// With its own words, if it has any that its cause lacks.
    private static IOException said(UncheckedIOException e) {
        IOException cause = e.getCause();
        return cause.toString().equals(e.getMessage()) ? cause : new IOException(e.getMessage(), cause);
    }

    /// How many ranks there are in all.
    public int ranks() {
        return launch.worldSize();
    }

    /// Where the first rank keeps the run; empty if that is elsewhere.
    public Optional<RunFolder> runFolder() {
        return folder;
    }

    /// Trains until the end or until `stop` asks.
    ///
    /// @return whether it came to its end
    /// @throws dev.deckle.distributed.RankFailure if a rank elsewhere ended before
    public boolean train(BooleanSupplier stop) throws IOException {
        boolean traced = !trace.isEmpty();
        AtomicBoolean ended = new AtomicBoolean();
        try {
            launch.run(traced, (ranks, timeline) -> {
                boolean first = ranks.rank() == 0;
                Loop loop = loops.get(launch.ranks().indexOf(ranks.rank()));
                try {
                    boolean end =
                            loop.train(ranks, timeline, first ? folder : Optional.empty(), listener, stop);
                    byte[][] events = traced ? ranks.allGather(timeline.events(ranks.rank())) : new byte[0][];
                    if (first) {
                        ended.set(end);
                    }
                    if (first && traced) {
                        hidden = OptionalDouble.of(timeline.hidden());
                        Timeline.write(Path.of(trace), List.of(events));
                    }
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        } catch (UncheckedIOException e) {
            throw said(e);
        }
        return ended.get();
    }

    /// The step at which it ends; 0 where the clock ends it.
    public long steps() {
        return steps;
    }

    /// How many steps were made.
    public long step() {
        return loops.getFirst().step();
    }

    /// The model as the first rank of this process has it.
    public CausalLm model() {
        return loops.getFirst().model();
    }

    /// The adapter of it that learns, where nothing else does.
    public Optional<Adapted> adapted() {
        return loops.getFirst().adapted();
    }

    /// What the first rank of this process holds.
    public Partition.Memory memory() {
        return loops.getFirst().partition().memory();
    }

    /// What the first rank of this process sent in its last step.
    public Traffic traffic() {
        return loops.getFirst().stepTraffic();
    }

    /// The share of the communication that was hidden behind computation, where a trace was asked for.
    public OptionalDouble hidden() {
        return hidden;
    }

    public Path folder() {
        return path;
    }

    @Override
    public void close() throws IOException {
        loops.forEach(Loop::close);
        loops.clear();
        for (AutoCloseable s : shared) {
            try {
                s.close();
            } catch (IOException | RuntimeException e) {
                throw e;
            } catch (Exception e) {
                throw new IOException(e.getMessage(), e);
            }
        }
        shared.clear();
        if (folder.isPresent()) {
            folder.get().close();
        }
    }
}
