package dev.deckle.train;

import dev.deckle.data.Corpus;
import dev.deckle.data.Document;
import dev.deckle.data.Tokens;
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
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// Pretraining: from text to a [Run] that learns it: corpus, tokenizer, tokens, model.
public final class Pretraining {
    /// The token that ends a document.
    public static final String END = "<|endoftext|>";

    private final TrainOptions options;
    private final TrainListener listener;
    private final Path path;
    private final Optional<Checkpoint> from;
    private Tokenizer tokenizer;
    private Tokens tokens;

    private Pretraining(TrainOptions options, TrainListener listener, Path path, Optional<Checkpoint> from) {
        this.options = options;
        this.listener = listener;
        this.path = path;
        this.from = from;
    }

    /// Prepares a new run in `out`, its ranks as threads of this process.
    ///
    /// @throws IOException in one line, if the folder or the data will not do
    /// @throws IllegalArgumentException in one line, if options do not fit each other or the data
    public static Run start(TrainOptions options, Path out, TrainListener listener) throws IOException {
        return start(options, out, listener, Launch.threads(options.ranks));
    }

    /// The same with ranks elsewhere too: every process calls it.
    ///
    /// @param listener told of what the first rank does
    public static Run start(TrainOptions options, Path out, TrainListener listener, Launch launch) throws IOException {
        Pretraining p = new Pretraining(options, listener, out, Optional.empty());
        return Run.start(out, launch, listener, options.steps, options.trace, p::prepare);
    }

    /// Prepares to go on with a run from its newest checkpoint, with the options that `change` makes of its own.
    public static Run resume(Path out, UnaryOperator<TrainOptions> change, TrainListener listener) throws IOException {
        return resume(out, change, listener, Optional.empty());
    }

    /// The same with ranks elsewhere too: every process calls it, and all see the folder.
    ///
    /// @param elsewhere empty where all ranks are threads of this process, as many as the options ask for
    public static Run resume(
            Path out, UnaryOperator<TrainOptions> change, TrainListener listener, Optional<Launch> elsewhere)
            throws IOException {
        return Run.resume(out, listener, elsewhere, c -> {
            TrainOptions options = change.apply(TrainOptions.read(c.state().options())).complete();
            Pretraining p = new Pretraining(options, listener, out, Optional.of(c));
            return new Run.Onward(options.ranks, options.steps, options.trace, p::prepare);
        });
    }

    private void prepare(Run run) throws IOException {
        try (Corpus corpus = options.data.isEmpty()
                ? Corpus.defaultCorpus(Path.of(System.getProperty("java.home")))
                : Corpus.open(options.data.stream().map(Path::of).toList())) {
            listener.note(corpus.description());
            Corpus.Split split = corpus.split(options.seed);
            tokenizer = from.isPresent() ? Tokenizer.load(from.get().folder()) : tokenizer(split.train());
            int end = tokenizer.endOfText().orElseThrow(() -> new IllegalArgumentException(options.init
                    + ": its tokenizer names no end token (eos_token in tokenizer_config.json)"));
            tokens = run.share(Tokens.prepare(cache(), split, tokenizer, end));
            listener.note(String.format("%,d tokens to train on, %,d held out%s", tokens.train().size(),
                    tokens.validation().size(), tokens.rebuilt() ? "" : " (from the cache)"));
            run.loops(rank -> loop(rank, run.ranks(), end));
        }
        if (from.isEmpty() && run.runFolder().isPresent()) {
            run.runFolder().get().describe(run.model(), tokenizer, options.init);
        }
    }

    private Loop loop(int rank, int ranks, int end) throws IOException {
        Partition partition = new Partition(rank, ranks, options.partition());
        try {
            CausalLm model = model(end, partition);
            Loop loop =
                    new Loop(options.loop(path), model, partition, new NextToken(options, tokenizer, tokens, model));
            if (from.isPresent()) {
                loop.restore(from.get());
            }
            return loop;
        } catch (IOException | RuntimeException | Error e) {
            partition.close();
            throw e;
        }
    }

    private CausalLm model(int end, ParameterHome home) throws IOException {
        CausalLm model = from.isPresent() ? Models.openTrainable(from.get().folder(), home)
                : !options.init.isEmpty() ? Models.openTrainable(Path.of(options.init), home)
                        : Llama.create(options.model(tokenizer.vocabularySize()), end, options.seed, home);
        model.configJson().remove("torch_dtype");
        model.configJson().addProperty("dtype", "float32"); // of what is saved
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
}
