package dev.deckle.train;

import dev.deckle.data.Corpus;
import dev.deckle.data.Document;
import dev.deckle.data.Tokens;
import dev.deckle.kernel.Team;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Llama;
import dev.deckle.models.Models;
import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;

/// A training run from text to a model folder: corpus, tokenizer, tokens, model, then [Trainer]'s loop.
/// ```java
/// try (var run = Pretraining.start(TrainOptions.preset("small").complete(), Path.of("runs/first"), listener)) {
///     run.train(() -> false);
/// }
/// ```
public final class Pretraining implements AutoCloseable {
    /// The token that ends a document.
    public static final String END = "<|endoftext|>";

    private final RunFolder folder;
    private final TrainOptions options;
    private final TrainListener listener;
    private Tokenizer tokenizer;
    private Tokens tokens;
    private CausalLm model;
    private Trainer trainer;

    private Pretraining(RunFolder folder, TrainOptions options, TrainListener listener) {
        this.folder = folder;
        this.options = options;
        this.listener = listener;
    }

    /// Prepares a new run in `out`.
    ///
    /// @throws IOException in one line, if the folder or the data will not do
    /// @throws IllegalArgumentException in one line, if options do not fit each other or the data
    public static Pretraining start(TrainOptions options, Path out, TrainListener listener) throws IOException {
        return prepare(new Pretraining(RunFolder.create(out), options, listener), Optional.empty());
    }

    /// Prepares to go on with a run from its newest checkpoint, with the options that `change` makes of its own.
    public static Pretraining resume(Path out, UnaryOperator<TrainOptions> change, TrainListener listener)
            throws IOException {
        RunFolder folder = RunFolder.resume(out);
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
            return prepare(new Pretraining(folder, options, listener), Optional.of(c));
        } catch (IOException | RuntimeException | Error e) {
            folder.close();
            throw e;
        }
    }

    private static Pretraining prepare(Pretraining p, Optional<Checkpoint> from) throws IOException {
        try {
            p.prepare(from);
            return p;
        } catch (IOException | RuntimeException | Error e) {
            p.close();
            if (from.isEmpty()) {
                p.folder.discard();
            }
            throw e;
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
            model = from.isPresent() ? Models.openTrainable(from.get().folder()) : newModel(end);
        }
        if (options.context > model.maxPositionEmbeddings()) {
            throw new IllegalArgumentException("--context " + options.context + ": the model takes at most "
                    + model.maxPositionEmbeddings() + " positions");
        }
        if (tokenizer.vocabularySize() > model.vocabSize()) {
            throw new IllegalArgumentException("the tokenizer has " + tokenizer.vocabularySize()
                    + " tokens, the model's embedding only " + model.vocabSize());
        }
        trainer = new Trainer(folder, options, tokenizer, tokens, model, listener);
        if (from.isPresent()) {
            trainer.restore(from.get());
            Metrics.cutBack(folder.file("metrics.jsonl"), trainer.step());
            listener.note(String.format("resumed from step %,d", trainer.step()));
        } else {
            Metrics.cutBack(folder.file("metrics.jsonl"), 0); // of a run that was killed before its first checkpoint
            Trainer.describe(folder, model, tokenizer, options.init);
        }
        listener.note(String.format("a model of %,d parameters, %d threads, written to %s", model.parameterCount(),
                Team.shared().threads(), folder.path()));
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

    private CausalLm newModel(int end) throws IOException {
        return options.init.isEmpty()
                ? Llama.create(options.model(tokenizer.vocabularySize()), end, options.seed)
                : Models.openTrainable(Path.of(options.init));
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
        return folder.file("tokens");
    }

    /// Trains until the end or until `stop` asks.
    ///
    /// @return whether it came to its end
    public boolean train(BooleanSupplier stop) throws IOException {
        return trainer.train(stop);
    }

    public TrainOptions options() {
        return options;
    }

    /// How many steps were made.
    public long step() {
        return trainer.step();
    }

    public CausalLm model() {
        return model;
    }

    public Path folder() {
        return folder.path();
    }

    @Override
    public void close() throws IOException {
        if (trainer != null) {
            trainer.close();
        }
        if (model != null) {
            model.close();
        }
        if (tokens != null) {
            tokens.close();
        }
        folder.close();
    }
}
