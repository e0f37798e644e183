package dev.deckle.train;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import dev.deckle.data.Batch;
import dev.deckle.data.Batches;
import dev.deckle.data.Evaluation;
import dev.deckle.data.Tokens;
import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.Timeline;
import dev.deckle.distributed.Traffic;
import dev.deckle.generate.Finite;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TextGenerator;
import dev.deckle.io.AtomicFile;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Conversion;
import dev.deckle.nn.Pass;
import dev.deckle.optim.AdamW;
import dev.deckle.optim.CosineSchedule;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import dev.deckle.tokenizer.Tokenizer;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/// Trains a model to predict the next token: one rank's loop, as a script.
///
/// The state of a run is its options and the number of steps made. Which text a step sees, which numbers a random
/// stream gives and how fast it learns are functions of these, so resuming needs nothing else but weights and moments.
///
/// Ranks share each batch by its rows. What a clock or a user decides the first rank decides for all.
final class Trainer implements AutoCloseable {
    private static final Duration EVALUATE = Duration.ofSeconds(25);
    private static final Duration SAVE = Duration.ofSeconds(60);
    private static final int SAMPLE_TOKENS = 64;
    private static final int WINDOWS = 128;
    private static final int LAST_WINDOWS = 1024;
    private static final long NO_TARGET = -100;

    /// What all ranks of a run have in common.
    record Job(TrainOptions options, Tokenizer tokenizer, Tokens tokens, Path folder) {}

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

    private final Job job;
    private final TrainOptions options;
    private final CausalLm model;
    private final Partition partition;
    private final AdamW optimizer;
    private final Batches batches;
    private final CosineSchedule schedule;
    private final int endToken;
    private Communicator ranks;
    private Timeline timeline;
    private long step;
    private double secondsBefore;
    private long saved = -1;
    private long start;
    private Traffic stepTraffic = Traffic.NONE;

    /// @param partition the home of the model's parameters, closed with the trainer
    Trainer(Job job, CausalLm model, Partition partition) {
        this.job = job;
        options = job.options;
        this.model = model;
        this.partition = partition;
        optimizer = partition.optimizer(
                new AdamW.Options(options.adam_beta1, options.adam_beta2, options.adam_eps, options.weight_decay));
        batches = new Batches(job.tokens.train(), options.batch_size, options.context, options.seed);
        schedule = new CosineSchedule(options.lr, options.min_lr, options.warmup_steps);
        endToken = job.tokenizer.endOfText().orElseThrow();
    }

    /// Goes on from a checkpoint.
    ///
    /// @throws IllegalArgumentException if the data is no longer what the run was trained on
    void restore(Checkpoint checkpoint) {
        if (checkpoint.state().dataChecksum() != dataChecksum()) {
            throw new IllegalArgumentException(job.folder + ": the data has changed since the run began: "
                    + "to train on other text, start a new run with --init " + job.folder);
        }
        checkpoint.restore(partition);
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
        agreeOnData();
        try (Records records = folder.isEmpty() ? null : Records.open(folder.get(), listener, step + 1)) {
            start = System.nanoTime();
            long evaluatedAt = start;
            long savedAt = start;
            Plan plan = agree(new Plan(over() || stop.getAsBoolean(), false, false, progress()));
            while (!plan.last) {
                long began = System.nanoTime();
                Traffic before = ranks.traffic();
                double lr = schedule.atProgress(step, plan.progress);
                double[] sums = partition.sum(accumulate(), partition.gradSquares());
                double loss = sums[0] / tokensPerStep();
                double norm = Math.sqrt(sums[1]);
                guard(loss, norm);
                update(lr, AdamW.clip(norm, options.grad_clip));
                step++;
                stepTraffic = ranks.traffic().since(before);
                double rate = tokensPerStep() / (seconds(began) + 1e-9);
                boolean last = over() || stop.getAsBoolean();
                plan = agree(new Plan(last, last || due(options.eval_every, evaluatedAt, EVALUATE),
                        last || due(options.save_every, savedAt, SAVE), progress()));
                Optional<TrainListener.Evaluated> evaluated =
                        plan.evaluate ? evaluate(plan.last ? LAST_WINDOWS : WINDOWS) : Optional.empty();
                if (records != null) {
                    records.step(new TrainListener.Step(step, loss, lr, norm, step * tokensPerStep(), rate, left(),
                            evaluated));
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
        Tensor t = Tensor.of(new long[] {dataChecksum()}, 1);
        ranks.broadcast(t, 0).await();
        if (t.toLongs()[0] != dataChecksum()) {
            throw new IllegalArgumentException("rank " + ranks.rank() + " reads other data than rank 0: --data and the "
                    + "tokenizer must be the same on every host");
        }
    }

    /// The gradient of the mean loss over all tokens of the step's micro-batches.
    ///
    /// @return the sum of the losses of this rank's tokens
    private double accumulate() {
        double sum = 0;
        int rows = options.batch_size / ranks.worldSize();
        for (int i = 0; i < options.grad_accum; i++) {
            long position = step * options.grad_accum + i;
            Batch batch = batches.at(position, ranks.rank() * rows, rows);
            Generator dropout = new Generator(options.seed * 0x9E3779B97F4A7C15L + position
                    + ranks.rank() * 0xC2B2AE3D27D4EB4FL); // of its own on each rank
            try (Workspace _ = Workspace.open()) {
                sum += partition.differentiate(() -> lossSum(batch, Pass.train(dropout)),
                        Tensor.full(DType.F32, 1.0 / tokensPerStep()), i == options.grad_accum - 1);
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

    /// The sum of the losses of all tokens of a batch.
    private Tensor lossSum(Batch batch, Pass pass) {
        Tensor logits = model.forward(ids(batch.inputs(), batch), pass); // (B, T, V)
        Tensor targets = ids(batch.targets(), batch).reshape(-1); // (B*T)
        return Functional.crossEntropy(logits.reshape(-1, logits.dim(-1)), targets, NO_TARGET).sum();
    }

    private static Tensor ids(int[] ids, Batch batch) {
        long[] wide = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            wide[i] = ids[i];
        }
        return Tensor.of(wide, batch.rows(), batch.context());
    }

    private Optional<TrainListener.Evaluated> evaluate(int windows) {
        Evaluation held = new Evaluation(job.tokens.validation(), options.batch_size, options.context, windows);
        double sum = 0;
        long count = 0;
        try (var _ = timeline.open(Timeline.COMPUTE, "evaluate", 0)) {
            for (Batch batch : held) {
                int from = batch.rows() * ranks.rank() / ranks.worldSize();
                int to = batch.rows() * (ranks.rank() + 1) / ranks.worldSize();
                // a rank without rows computes one all the same, because the ranks must keep together
                Batch own = batch.part(Math.min(from, batch.rows() - 1), Math.max(1, to - from));
                double loss = partition.evaluate(() -> {
                    try (Workspace _ = Workspace.open()) {
                        return lossSum(own, Pass.evaluate()).item();
                    }
                });
                sum += to > from ? loss : 0;
                count += batch.targets().length;
            }
        }
        if (count == 0) {
            return Optional.empty();
        }
        double mean = partition.sum(sum)[0] / count;
        return Optional.of(new TrainListener.Evaluated(mean, job.tokens.validation().bitsPerByte(mean)));
    }

    /// Text that the model makes from nothing. Where no rank has all parameters, all generate it together.
    private void sample(Optional<Records> records) {
        boolean together = options.stage() == Stage.PARAMETERS && ranks.worldSize() > 1;
        if (!together && records.isEmpty()) {
            return;
        }
        try (var _ = timeline.open(Timeline.COMPUTE, "sample", 0)) {
            CausalLm speaker = together ? new SameLogits(model, ranks) : model;
            TextGenerator generator = new TextGenerator(speaker, new Sampler(0.8, 50, 1, 0, 1), Set.of(endToken));
            Generator random = new Generator(options.seed + step);
            int[] ids = partition.evaluate(
                    () -> generator.generate(new int[] {endToken}, SAMPLE_TOKENS, random, _ -> true));
            records.ifPresent(r -> r.sample(step, job.tokenizer.decode(Arrays.copyOfRange(ids, 1, ids.length))));
        }
    }

    /// A model whose logits are those of the first rank: hosts with other processors round differently, and ranks that
    /// draw different tokens would soon wait for each other in vain.
    private record SameLogits(CausalLm model, Communicator ranks) implements CausalLm {
        @Override
        public Tensor hidden(Tensor ids, Pass pass) {
            return model.hidden(ids, pass);
        }

        @Override
        public Tensor head(Tensor hidden) {
            Tensor logits = model.head(hidden);
            ranks.broadcast(logits.reshape(-1), 0).await();
            return logits;
        }

        @Override
        public State state() {
            return model.state();
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
            Checkpoint.save(folder, model, partition,
                    new Checkpoint.State(step, secondsBefore + seconds(start), dataChecksum(), options));
        }
        saved = step;
    }

    /// Of everything that is trained on and held out.
    private long dataChecksum() {
        return job.tokens.train().checksum() << 32 | job.tokens.validation().checksum();
    }

    long step() {
        return step;
    }

    CausalLm model() {
        return model;
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

    private long tokensPerStep() {
        return (long) options.batch_size * options.context * options.grad_accum;
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

    /// Writes the files that make the run folder a Hugging Face model folder; the weights come with each checkpoint.
    ///
    /// @param init the folder of the model that is trained on, empty for a new one
    static void describe(RunFolder run, CausalLm model, Tokenizer tokenizer, String init) throws IOException {
        var gson = new GsonBuilder().setPrettyPrinting().serializeNulls().create();
        AtomicFile.write(run.file("config.json"), gson.toJson(model.configJson()) + "\n");
        if (!init.isEmpty()) {
            Conversion.copyBeside(Path.of(init), run.path()); // templates and end tokens stay those of the model
            return;
        }
        JsonObject generation = new JsonObject();
        int end = tokenizer.endOfText().orElseThrow();
        generation.addProperty("bos_token_id", end);
        generation.addProperty("eos_token_id", end);
        AtomicFile.write(run.file("generation_config.json"), gson.toJson(generation) + "\n");
        tokenizer.save(run.path());
    }

    @Override
    public void close() {
        optimizer.close();
        model.close();
        partition.close();
    }
}
