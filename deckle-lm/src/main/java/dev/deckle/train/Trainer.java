package dev.deckle.train;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import dev.deckle.autograd.NoGrad;
import dev.deckle.data.Batch;
import dev.deckle.data.Batches;
import dev.deckle.data.Evaluation;
import dev.deckle.data.Tokens;
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
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;

/// Trains a model to predict the next token: the loop, as a script.
///
/// The state of a run is its options and the number of steps made. Which text a step sees, which numbers a random
/// stream gives and how fast it learns are functions of these, so resuming needs nothing else but weights and moments.
final class Trainer implements AutoCloseable {
    private static final Duration EVALUATE = Duration.ofSeconds(25);
    private static final Duration SAVE = Duration.ofSeconds(60);
    private static final int SAMPLE_TOKENS = 64;
    private static final int WINDOWS = 128;
    private static final int LAST_WINDOWS = 1024;
    private static final long NO_TARGET = -100;

    private final RunFolder run;
    private final TrainOptions options;
    private final Tokenizer tokenizer;
    private final Tokens tokens;
    private final CausalLm model;
    private final AdamW optimizer;
    private final Batches batches;
    private final CosineSchedule schedule;
    private final TrainListener listener;
    private final int endToken;
    private long step;
    private double secondsBefore;
    private long saved = -1;

    Trainer(RunFolder run, TrainOptions options, Tokenizer tokenizer, Tokens tokens, CausalLm model,
            TrainListener listener) {
        this.run = run;
        this.options = options;
        this.tokenizer = tokenizer;
        this.tokens = tokens;
        this.model = model;
        this.listener = listener;
        optimizer = new AdamW(model.parameters(),
                new AdamW.Options(options.adam_beta1, options.adam_beta2, options.adam_eps, options.weight_decay),
                AdamW::isMatrix);
        batches = new Batches(tokens.train(), options.batch_size, options.context, options.seed);
        schedule = new CosineSchedule(options.lr, options.min_lr, options.warmup_steps);
        endToken = tokenizer.endOfText().orElseThrow();
    }

    /// Goes on from a checkpoint.
    ///
    /// @throws IllegalArgumentException if the data is no longer what the run was trained on
    void restore(Checkpoint checkpoint) {
        if (checkpoint.state().dataChecksum() != dataChecksum()) {
            throw new IllegalArgumentException(run.path() + ": the data has changed since the run began: "
                    + "to train on other text, start a new run with --init " + run.path());
        }
        checkpoint.restore(optimizer);
        step = checkpoint.state().step();
        secondsBefore = checkpoint.state().seconds();
        saved = step;
    }

    /// Trains until the steps or the minutes are over, or `stop` asks to: the step at hand is then finished and saved.
    ///
    /// @return whether it came to its end
    /// @throws IllegalStateException if the loss or the gradients are no longer finite: the last checkpoint stays
    boolean train(BooleanSupplier stop) throws IOException {
        try (Metrics metrics = Metrics.open(run.file("metrics.jsonl"));
                TensorBoardWriter board = TensorBoardWriter.open(run.path(), step + 1)) {
            long start = System.nanoTime();
            long evaluatedAt = start;
            long savedAt = start;
            boolean last = over(start) || stop.getAsBoolean();
            while (!last) {
                long began = System.nanoTime();
                double lr = schedule.atProgress(step, progress(start));
                double loss = accumulate();
                double norm = optimizer.gradNorm();
                guard(loss, norm);
                optimizer.step(lr, AdamW.clip(norm, options.grad_clip));
                step++;
                double rate = tokensPerStep() / (seconds(began) + 1e-9);
                last = over(start) || stop.getAsBoolean();
                boolean evaluate = last || due(options.eval_every, evaluatedAt, EVALUATE);
                Optional<TrainListener.Evaluated> evaluated =
                        evaluate ? evaluate(last ? LAST_WINDOWS : WINDOWS) : Optional.empty();
                var report = new TrainListener.Step(step, loss, lr, norm, step * tokensPerStep(), rate, left(start),
                        evaluated);
                record(metrics, board, report);
                listener.step(report);
                if (evaluate) {
                    listener.sample(step, sample());
                    evaluatedAt = System.nanoTime();
                }
                if (last || due(options.save_every, savedAt, SAVE)) {
                    metrics.sync();
                    save(secondsBefore + seconds(start));
                    savedAt = System.nanoTime();
                }
            }
            if (saved != step) {
                save(secondsBefore + seconds(start));
            }
            return over(start);
        }
    }

    /// The gradient of the mean loss over all tokens of the step's micro-batches, and that loss.
    private double accumulate() {
        double sum = 0;
        for (int i = 0; i < options.grad_accum; i++) {
            Batch batch = batches.at(step * options.grad_accum + i);
            Generator dropout = new Generator(options.seed * 0x9E3779B97F4A7C15L + step * options.grad_accum + i);
            try (Workspace _ = Workspace.open()) {
                Tensor loss = lossSum(batch, Pass.train(dropout));
                loss.backward(Tensor.full(DType.F32, 1.0 / tokensPerStep()));
                sum += loss.item();
            }
        }
        return sum / tokensPerStep();
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
        Evaluation held = new Evaluation(tokens.validation(), options.batch_size, options.context, windows);
        double sum = 0;
        long count = 0;
        try (NoGrad _ = NoGrad.open()) {
            for (Batch batch : held) {
                try (Workspace _ = Workspace.open()) {
                    sum += lossSum(batch, Pass.evaluate()).item();
                    count += batch.targets().length;
                }
            }
        }
        return count == 0 ? Optional.empty()
                : Optional.of(new TrainListener.Evaluated(sum / count, tokens.validation().bitsPerByte(sum / count)));
    }

    private String sample() {
        TextGenerator generator = new TextGenerator(model, new Sampler(0.8, 50, 1, 0, 1), Set.of(endToken));
        int[] ids =
                generator.generate(new int[] {endToken}, SAMPLE_TOKENS, new Generator(options.seed + step), _ -> true);
        return tokenizer.decode(Arrays.copyOfRange(ids, 1, ids.length));
    }

    private void guard(double loss, double norm) {
        if (Double.isFinite(loss) && Double.isFinite(norm)) {
            return;
        }
        Map<String, Tensor> gradients = new LinkedHashMap<>();
        model.parameters().forEach((name, p) -> gradients.put(name, p.grad()));
        String where = Finite.firstBad(model.parameters()).map(n -> "weight " + n)
                .or(() -> Finite.firstBad(gradients).map(n -> "the gradient of " + n))
                .orElse("their sum");
        throw new IllegalStateException("step " + (step + 1) + ": loss " + loss + ", gradient norm " + norm
                + "; the first that is not finite is " + where + ". Stopped"
                + (saved > 0 ? "; the checkpoint of step " + saved + " is kept" : "") + ": a smaller --lr may help");
    }

    private void record(Metrics metrics, TensorBoardWriter board, TrainListener.Step s) throws IOException {
        try {
            write(metrics, board, s);
        } catch (IOException e) { // a channel's complaint names no file
            throw new IOException(run.path() + ": the records cannot be written: " + AtomicFile.reason(e), e);
        }
    }

    private static void write(Metrics metrics, TensorBoardWriter board, TrainListener.Step s) throws IOException {
        JsonObject line = s.json();
        metrics.write(line);
        Map<String, Double> scalars = new LinkedHashMap<>();
        for (String key : line.keySet()) {
            if (!key.equals("step") && !key.equals("tokens")) {
                scalars.put(key.startsWith("val_") ? "val/" + key.substring(4) : "train/" + key,
                        line.get(key).getAsDouble());
            }
        }
        board.add(s.step(), scalars);
    }

    private void save(double seconds) throws IOException {
        Checkpoint.save(run, model, optimizer, new Checkpoint.State(step, seconds, dataChecksum(), options));
        saved = step;
    }

    /// Of everything that is trained on and held out.
    private long dataChecksum() {
        return tokens.train().checksum() << 32 | tokens.validation().checksum();
    }

    long step() {
        return step;
    }

    private boolean due(int every, long since, Duration otherwise) {
        return every > 0 ? step % every == 0 : System.nanoTime() - since >= otherwise.toNanos();
    }

    private long tokensPerStep() {
        return (long) options.batch_size * options.context * options.grad_accum;
    }

    private boolean over(long start) {
        return options.steps > 0 ? step >= options.steps : secondsBefore + seconds(start) >= options.minutes * 60;
    }

    private double progress(long start) {
        return options.steps > 0 ? (double) step / options.steps
                : (secondsBefore + seconds(start)) / (options.minutes * 60);
    }

    private Duration left(long start) {
        double p = progress(start);
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
    }
}
