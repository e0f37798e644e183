package dev.deckle.train;

import com.google.gson.JsonObject;
import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.Timeline;
import dev.deckle.distributed.Traffic;
import dev.deckle.generate.Finite;
import dev.deckle.memory.Workspace;
import dev.deckle.models.Adapted;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Recomputation;
import dev.deckle.optim.AdamW;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.stream.Stream;

/// The steps of a run, on one rank: gradients, clipping, AdamW; and when it is time, an evaluation, a sample, a
/// checkpoint. What is learned is the [Task]'s.
///
/// The state of a run is its options and the number of steps made. Which text a step sees, which numbers a random
/// stream gives and how fast it learns are functions of these, so resuming needs little else but weights and moments.
///
/// What a clock or a user decides the first rank decides for all.
public final class Loop implements AutoCloseable {
    private static final Duration EVALUATE = Duration.ofSeconds(25);
    private static final Duration SAVE = Duration.ofSeconds(60);

    /// The learning rate of a step.
    @FunctionalInterface
    public interface Schedule {
        /// @param progress of the run, from 0 to 1
        double at(long step, double progress);
    }

    /// @param folder the run's, for messages
    /// @param steps where it ends; 0 where `minutes` say that
    /// @param evalEvery steps between evaluations; 0: every 25 seconds
    /// @param saveEvery steps between checkpoints; 0: every minute
    /// @param recompute whether a gradient finds the inputs of layers alone ([Recomputation]), whatever the task is
    /// @param json all of the run's options, for its checkpoints
    public record Options(
            Path folder, long steps, double minutes, Schedule schedule, double gradClip, AdamW.Options adamw,
            int evalEvery, int saveEvery, boolean recompute, JsonObject json) {}

    /// What is to be done after a step.
    ///
    /// @param progress of the whole run, from 0 to 1
    private record Plan(boolean last, boolean evaluate, boolean save, double progress) {
        double[] numbers() {
            return new double[] {last ? 1 : 0, evaluate ? 1 : 0, save ? 1 : 0, progress};
        }

        static Plan of(double[] n) {
            return new Plan(n[0] != 0, n[1] != 0, n[2] != 0, n[3]);
        }
    }

    private final Options options;
    private final CausalLm model;
    private final Optional<Adapted> adapted;
    private final Partition partition;
    private final Task task;
    private final AdamW optimizer;
    private Communicator ranks;
    private Timeline timeline;
    private long step;
    private double secondsBefore;
    private long saved = -1;
    private long start;
    private Traffic stepTraffic = Traffic.NONE;

    /// @param partition the home of the model's parameters; this and the model are closed with the loop
    public Loop(Options options, CausalLm model, Partition partition, Task task) {
        this(options, model, Optional.empty(), partition, task);
    }

    /// The same where an adapter is what learns, and all that checkpoints hold of the model.
    ///
    /// @param partition which was told that the model below is frozen
    public Loop(Options options, Adapted adapted, Partition partition, Task task) {
        this(options, adapted.model(), Optional.of(adapted), partition, task);
    }

    private Loop(Options options, CausalLm model, Optional<Adapted> adapted, Partition partition, Task task) {
        this.options = options;
        this.model = model;
        this.adapted = adapted;
        this.partition = partition;
        this.task = task;
        optimizer = partition.optimizer(options.adamw);
    }

    /// Goes on from a checkpoint.
    ///
    /// @throws IllegalArgumentException if the data is no longer what the run was trained on
    public void restore(Checkpoint checkpoint) throws IOException {
        if (checkpoint.state().dataChecksum() != task.checksum()) {
            throw new IllegalArgumentException(options.folder + ": the data has changed since the run began: "
                    + "to train on other data, start a new run from this one's model");
        }
        checkpoint.restore(model, partition);
        task.restore(checkpoint.folder());
        optimizer.restore(checkpoint.state().step());
        step = checkpoint.state().step();
        secondsBefore = checkpoint.state().seconds();
        saved = step;
    }

    /// Trains until the steps or the minutes are over, or `stop` asks to: the step at hand is then finished and saved.
    ///
    /// @param folder where the first rank keeps the run; the others have none
    /// @return whether it came to its end
    /// @throws IllegalStateException if the loss or the gradients are no longer finite: the last checkpoint stays
    boolean train(Communicator ranks, Timeline timeline, Optional<RunFolder> folder, TrainListener listener,
            BooleanSupplier stop) throws IOException {
        this.ranks = ranks;
        this.timeline = timeline;
        partition.connect(ranks, timeline);
        task.connect(ranks, partition);
        agreeOnData();
        try (Records records = folder.isEmpty() ? null : Records.open(folder.get(), listener, step + 1)) {
            start = System.nanoTime();
            long evaluatedAt = start;
            long savedAt = start;
            Plan plan = agree(new Plan(over() || stop.getAsBoolean(), false, false, progress()));
            while (!plan.last) {
                long began = System.nanoTime();
                Traffic before = ranks.traffic();
                double lr = options.schedule.at(step, plan.progress);
                double[] sums = partition.sum(gradients(), partition.gradSquares());
                double norm = Math.sqrt(sums[1]);
                guard(sums[0], norm);
                update(lr, AdamW.clip(norm, options.gradClip));
                step++;
                stepTraffic = ranks.traffic().since(before);
                Map<String, Number> metrics = new LinkedHashMap<>(task.metrics(step, seconds(began)));
                boolean over = over();
                boolean last = over || stop.getAsBoolean();
                // who stops it may not wait for an evaluation: mpirun kills a second after Ctrl-C
                plan = agree(new Plan(last, over || due(options.evalEvery, evaluatedAt, EVALUATE),
                        last || due(options.saveEvery, savedAt, SAVE), progress()));
                if (plan.evaluate) {
                    try (var _ = timeline.open(Timeline.COMPUTE, "evaluate", 0)) {
                        metrics.putAll(task.evaluate(plan.last));
                    }
                }
                if (records != null) {
                    records.step(new TrainListener.Step(step, sums[0], lr, norm, metrics, left()));
                }
                if (plan.evaluate) {
                    sample(Optional.ofNullable(records));
                    evaluatedAt = System.nanoTime();
                }
                if (plan.save) {
                    if (records != null) {
                        records.sync();
                    }
                    save(folder);
                    savedAt = System.nanoTime();
                }
            }
            if (saved != step) {
                save(folder);
            }
            return over();
        }
    }

    /// The first rank's plan is that of all.
    private Plan agree(Plan own) {
        if (ranks.worldSize() == 1) {
            return own;
        }
        Tensor t = Tensor.of(own.numbers());
        ranks.broadcast(t, 0).await();
        return Plan.of(t.toDoubles());
    }

    /// Ranks on several hosts each read the data there: it must be the same.
    private void agreeOnData() {
        Tensor t = Tensor.of(new long[] {task.checksum()}, 1);
        ranks.broadcast(t, 0).await();
        if (t.toLongs()[0] != task.checksum()) {
            throw new IllegalArgumentException("rank " + ranks.rank() + " reads other data than rank 0: --data and the "
                    + "tokenizer must be the same on every host");
        }
    }

    /// Gathers the gradients of a step.
    ///
    /// @return this rank's part of its loss
    private double gradients() throws IOException {
        double sum = 0;
        List<Task.MicroBatch> parts = task.microBatches(step);
        for (int i = 0; i < parts.size(); i++) {
            Task.MicroBatch part = parts.get(i);
            Supplier<Tensor> forward =
                    options.recompute ? () -> Recomputation.during(part.loss()) : part.loss();
            try (Workspace _ = Workspace.open()) {
                double loss = partition.differentiate(forward, Tensor.full(DType.F32, part.scale()),
                        i == parts.size() - 1);
                sum += loss * part.scale();
            }
        }
        return sum;
    }

    private void update(double lr, double gradScale) {
        try (var _ = timeline.open(Timeline.COMPUTE, "optimizer", 0)) {
            optimizer.step(lr, gradScale);
            partition.updated();
        }
    }

    private void sample(Optional<Records> records) throws IOException {
        try (var _ = timeline.open(Timeline.COMPUTE, "sample", 0)) {
            Optional<Task.Sample> sample = task.sample(step);
            if (records.isPresent() && sample.isPresent()) {
                records.get().sample(step, sample.get());
            }
        }
    }

    private void guard(double loss, double norm) {
        if (Double.isFinite(loss) && Double.isFinite(norm)) {
            return;
        }
        String here = Finite.firstBad(partition.keptWeights()).map(n -> "weight " + n)
                .or(() -> Finite.firstBad(partition.keptGradients()).map(n -> "the gradient of " + n))
                .orElse("");
        String where = Stream.of(ranks.allGather(here.getBytes(StandardCharsets.UTF_8)))
                .map(b -> new String(b, StandardCharsets.UTF_8))
                .filter(s -> !s.isEmpty())
                .findFirst()
                .orElse("their sum");
        throw new IllegalStateException("step " + (step + 1) + ": loss " + loss + ", gradient norm " + norm
                + "; the first that is not finite is " + where + ". Stopped"
                + (saved > 0 ? "; the checkpoint of step " + saved + " is kept" : "") + ": a smaller --lr may help");
    }

    private void save(Optional<RunFolder> folder) throws IOException {
        try (var _ = timeline.open(Timeline.COMPUTE, "save", 0)) {
            Checkpoint.save(folder, model, adapted, partition, task,
                    new Checkpoint.State(step, secondsBefore + seconds(start), task.checksum(), options.json));
        }
        saved = step;
    }

    long step() {
        return step;
    }

    CausalLm model() {
        return model;
    }

    Optional<Adapted> adapted() {
        return adapted;
    }

    Partition partition() {
        return partition;
    }

    /// What this rank sent in the last step.
    Traffic stepTraffic() {
        return stepTraffic;
    }

    private boolean due(int every, long since, Duration otherwise) {
        return every > 0 ? step % every == 0 : System.nanoTime() - since >= otherwise.toNanos();
    }

    private boolean over() {
        return options.steps > 0 ? step >= options.steps : secondsBefore + seconds(start) >= options.minutes * 60;
    }

    private double progress() {
        return options.steps > 0 ? (double) step / options.steps
                : (secondsBefore + seconds(start)) / (options.minutes * 60);
    }

    private Duration left() {
        double p = progress();
        double total = options.steps > 0 ? (secondsBefore + seconds(start)) / Math.max(p, 1e-9) : options.minutes * 60;
        return Duration.ofMillis((long) Math.max(0, total * (1 - p) * 1000));
    }

    private static double seconds(long since) {
        return (System.nanoTime() - since) / 1e9;
    }

    @Override
    public void close() {
        optimizer.close();
        model.close();
        partition.close();
    }
}
