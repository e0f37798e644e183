package dev.deckle.train;

import dev.deckle.data.Corpus;
import dev.deckle.data.Document;
import dev.deckle.data.Tokens;
import dev.deckle.distributed.Timeline;
import dev.deckle.distributed.Traffic;
import dev.deckle.kernel.Team;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Llama;
import dev.deckle.models.Models;
import dev.deckle.nn.ParameterHome;
import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import dev.deckle.zero.Partition;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/// A training run from text to a model folder: corpus, tokenizer, tokens, model, then [Trainer]'s loop.
/// ```java
/// try (var run = Pretraining.start(TrainOptions.preset("small").complete(), Path.of("runs/first"), listener)) {
///     run.train(() -> false);
/// }
/// ```
public final class Pretraining implements AutoCloseable {
    /// The token that ends a document.
    public static final String END = "<|endoftext|>";

    private final Path path;
    private final Optional<RunFolder> folder; // where the first rank is
    private final TrainOptions options;
    private final Launch launch;
    private final TrainListener listener;
    private final List<Trainer> trainers = new ArrayList<>(); // one a rank of this process
    private Tokenizer tokenizer;
    private Tokens tokens;
    private volatile OptionalDouble hidden = OptionalDouble.empty();

    private Pretraining(Path path, Optional<RunFolder> folder, TrainOptions options, Launch launch,
            TrainListener listener) {
        this.path = path;
        this.folder = folder;
        this.options = options;
        this.launch = launch;
        this.listener = listener;
    }

    /// Prepares a new run in `out`, its ranks as threads of this process.
    ///
    /// @throws IOException in one line, if the folder or the data will not do
    /// @throws IllegalArgumentException in one line, if options do not fit each other or the data
    public static Pretraining start(TrainOptions options, Path out, TrainListener listener) throws IOException {
        return start(options, out, listener, Launch.threads(options.ranks));
    }

    /// The same with ranks elsewhere too: every process calls it.
    ///
    /// @param listener told of what the first rank does
    public static Pretraining start(TrainOptions options, Path out, TrainListener listener, Launch launch)
            throws IOException {
        Optional<RunFolder> folder = launch.ranks().contains(0) ? Optional.of(RunFolder.create(out)) : Optional.empty();
        return prepare(new Pretraining(out, folder, options, launch, listener), Optional.empty());
    }

    /// Prepares to go on with a run from its newest checkpoint, with the options that `change` makes of its own.
    public static Pretraining resume(Path out, UnaryOperator<TrainOptions> change, TrainListener listener)
            throws IOException {
        return resume(out, change, listener, Optional.empty());
    }

    /// The same with ranks elsewhere too: every process calls it, and all see the folder.
    ///
    /// @param elsewhere empty where all ranks are threads of this process, as many as the options ask for
    public static Pretraining resume(
            Path out, UnaryOperator<TrainOptions> change, TrainListener listener, Optional<Launch> elsewhere)
            throws IOException {
        boolean first = elsewhere.isEmpty() || elsewhere.get().ranks().contains(0);
        Optional<RunFolder> folder = first ? Optional.of(RunFolder.resume(out)) : Optional.empty();
        try {
            Checkpoint c = Checkpoint.newest(out).orElseThrow(() -> new IOException(out
                    + ": holds no checkpoint to resume from" + (Files.exists(out.resolve("metrics.jsonl"))
                            ? ": the run ended before its first one; start it anew with another --out"
                            : "")));
            TrainOptions options = change.apply(c.state().options()).complete();
            if (options.steps > 0 && options.steps < c.state().step()) {
                throw new IllegalArgumentException(
                        "--steps " + options.steps + ": the run is at step " + c.state().step()
                                + " already");
            }
            return prepare(new Pretraining(out, folder, options, elsewhere.orElse(Launch.threads(options.ranks)),
                    listener), Optional.of(c));
        } catch (IOException | RuntimeException | Error e) {
            if (folder.isPresent()) {
                folder.get().close();
            }
            throw e;
        }
    }

    private static Pretraining prepare(Pretraining p, Optional<Checkpoint> from) throws IOException {
        try {
            boolean first = p.folder.isPresent();
            if (first && !p.options.trace.isEmpty()) {
                checkTrace(Path.of(p.options.trace)); // it is written at the end, which is late for bad news
            }
            if (!first) {
                p.launch.others().ifPresent(o -> o.barrier().await()); // what the first rank caches is found, not made
            }
            p.prepare(from);
            if (first) {
                p.launch.others().ifPresent(o -> o.barrier().await());
            }
            return p;
        } catch (IOException | RuntimeException | Error e) {
            p.close();
            if (from.isEmpty() && p.folder.isPresent()) {
                p.folder.get().discard();
            }
            throw e;
        }
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

    private void prepare(Optional<Checkpoint> from) throws IOException {
        try (Corpus corpus = options.data.isEmpty()
                ? Corpus.defaultCorpus(Path.of(System.getProperty("java.home")))
                : Corpus.open(options.data.stream().map(Path::of).toList())) {
            listener.note(corpus.description());
            Corpus.Split split = corpus.split(options.seed);
            tokenizer = from.isPresent() ? Tokenizer.load(from.get().folder()) : tokenizer(split.train());
            int end = tokenizer.endOfText().orElseThrow(() -> new IllegalArgumentException(options.init
                    + ": its tokenizer names no end token (eos_token in tokenizer_config.json)"));
            tokens = Tokens.prepare(cache(), split, tokenizer, end);
            listener.note(String.format("%,d tokens to train on, %,d held out%s", tokens.train().size(),
                    tokens.validation().size(), tokens.rebuilt() ? "" : " (from the cache)"));
            Trainer[] made = new Trainer[launch.ranks().size()];
            try {
                Team.shared().parallelFor(made.length, i -> made[i] = trainer(launch.ranks().get(i), end, from));
            } finally {
                Stream.of(made).filter(Objects::nonNull).forEach(trainers::add); // to be closed
            }
        }
        CausalLm model = model();
        if (folder.isPresent()) {
            if (from.isPresent()) {
                Metrics.cutBack(folder.get().file("metrics.jsonl"), step());
                listener.note(String.format("resumed from step %,d", step()));
            } else {
                Metrics.cutBack(folder.get().file("metrics.jsonl"), 0); // of a run killed before its first checkpoint
                Trainer.describe(folder.get(), model, tokenizer, options.init);
            }
        }
        listener.note(String.format("a model of %,d parameters, %s, written to %s", model.parameterCount(), ranks(),
                path));
    }

    private String ranks() {
        int threads = Team.shared().threads();
        return launch.worldSize() == 1 ? threads + " threads"
                : String.format("%d ranks (ZeRO stage %d) %s", launch.worldSize(), options.zero,
                        launch.others().isPresent() ? "as processes of " + threads + " threads each"
                                : "on " + threads + " threads");
    }

    private Trainer trainer(int rank, int end, Optional<Checkpoint> from) {
        Partition partition = new Partition(rank, launch.worldSize(), options.partition());
        try {
            CausalLm model = model(end, from, partition);
            Trainer t = new Trainer(new Trainer.Job(options, tokenizer, tokens, path), model, partition);
            from.ifPresent(t::restore);
            return t;
        } catch (IOException e) {
            partition.close();
            throw new UncheckedIOException(e);
        } catch (RuntimeException | Error e) {
            partition.close();
            throw e;
        }
    }

    private CausalLm model(int end, Optional<Checkpoint> from, ParameterHome home) throws IOException {
        CausalLm model = from.isPresent() ? Models.openTrainable(from.get().folder(), home)
                : !options.init.isEmpty() ? Models.openTrainable(Path.of(options.init), home)
                        : Llama.create(options.model(tokenizer.vocabularySize()), end, options.seed, home);
        if (options.dtype.equals("bf16")) {
            model.configJson().remove("torch_dtype");
            model.configJson().addProperty("dtype", "bfloat16");
        }
        if (options.context > model.maxPositionEmbeddings()) {
            throw new IllegalArgumentException("--context " + options.context + ": the model takes at most "
                    + model.maxPositionEmbeddings() + " positions");
        }
        if (tokenizer.vocabularySize() > model.vocabSize()) {
            throw new IllegalArgumentException("the tokenizer has " + tokenizer.vocabularySize()
                    + " tokens, the model's embedding only " + model.vocabSize());
        }
        return model;
    }

    private Tokenizer tokenizer(List<Document> documents) throws IOException {
        if (!options.init.isEmpty()) {
            return Tokenizer.load(Path.of(options.init));
        }
        long start = System.nanoTime();
        BpeTrainer trainer = new BpeTrainer(options.vocab_size, List.of(END));
        Team.shared().parallelFor(documents.size(), i -> {
            try {
                trainer.count(documents.get(i).read());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        Tokenizer t = trainer.train().withMaxLength(options.context);
        listener.note(String.format("a vocabulary of %,d tokens in %.1f s", t.vocabularySize(),
                (System.nanoTime() - start) / 1e9));
        return t;
    }

    /// Where tokens are kept between runs: the user's cache (or `-Ddeckle.cache=DIR`), or the run's own folder where
    /// that cannot be written.
    private Path cache() {
        String base = Optional.ofNullable(System.getenv("XDG_CACHE_HOME"))
                .filter(s -> !s.isBlank())
                .orElse(Path.of(System.getProperty("user.home"), ".cache").toString());
        Path shared = Path.of(System.getProperty("deckle.cache", base + "/deckle"), "tokens");
        try {
            Files.createDirectories(shared);
            if (Files.isWritable(shared)) {
                return shared;
            }
        } catch (IOException _) {
            // a home that cannot be written: the run's folder can
        }
        return path.resolve("tokens");
    }

    /// Trains until the end or until `stop` asks.
    ///
    /// @return whether it came to its end
    /// @throws dev.deckle.distributed.RankFailure if a rank elsewhere ended before
    public boolean train(BooleanSupplier stop) throws IOException {
        boolean traced = !options.trace.isEmpty();
        AtomicBoolean ended = new AtomicBoolean();
        try {
            launch.run(traced, (ranks, timeline) -> {
                boolean first = ranks.rank() == 0;
                Trainer trainer = trainers.get(launch.ranks().indexOf(ranks.rank()));
                try {
                    boolean end =
                            trainer.train(ranks, timeline, first ? folder : Optional.empty(), listener, stop);
                    byte[][] events = traced ? ranks.allGather(timeline.events(ranks.rank())) : new byte[0][];
                    if (first) {
                        ended.set(end);
                    }
                    if (first && traced) {
                        hidden = OptionalDouble.of(timeline.hidden());
                        Timeline.write(Path.of(options.trace), List.of(events));
                    }
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        return ended.get();
    }

    public TrainOptions options() {
        return options;
    }

    /// How many steps were made.
    public long step() {
        return trainers.getFirst().step();
    }

    /// The model as the first rank of this process has it.
    public CausalLm model() {
        return trainers.getFirst().model();
    }

    /// What the first rank of this process holds.
    public Partition.Memory memory() {
        return trainers.getFirst().partition().memory();
    }

    /// What the first rank of this process sent in its last step.
    public Traffic traffic() {
        return trainers.getFirst().stepTraffic();
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
        trainers.forEach(Trainer::close);
        trainers.clear();
        if (tokens != null) {
            tokens.close();
        }
        if (folder.isPresent()) {
            folder.get().close();
        }
    }
}
