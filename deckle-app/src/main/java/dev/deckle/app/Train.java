package dev.deckle.app;

import dev.deckle.kernel.Door;
import dev.deckle.tensor.DType;
import dev.deckle.train.Launch;
import dev.deckle.train.Pretraining;
import dev.deckle.train.Run;
import dev.deckle.train.RunFolder;
import dev.deckle.train.TrainListener;
import dev.deckle.train.TrainOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Trains a model. Flags that are not given keep the preset's value, or on resuming the run's own.
@Command(
        name = "train",
        description = "Train a model on text, by default on the JDK's own sources for two and a half minutes.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle train                                     a small model that writes Java",
            "  ./deckle train --data notes/ book.txt --minutes 10 on your own text",
            "  ./deckle train --preset 10m --steps 2000 --out runs/ten",
            "  ./deckle train --resume runs/ten --steps 4000      go on, to a new end"
        })
final class Train extends Verb {
    @Option(names = "--data", paramLabel = "PATH", arity = "1..*",
            description = "text files, folders, zip or jar files of text, .jsonl with a text field")
    private List<Path> data;

    @Option(names = "--out", paramLabel = "DIR", description = "where the run goes; default: the next free runs/run-N")
    private Path out;

    @Option(names = "--resume", paramLabel = "DIR",
            description = "go on with the run in DIR from its newest checkpoint")
    private Path resume;

    @Option(names = "--init", paramLabel = "DIR",
            description = "start from the weights and tokenizer of a model folder")
    private Path init;

    @Option(names = "--steps", paramLabel = "N", description = "optimizer steps")
    private Long steps;

    @Option(names = "--minutes", paramLabel = "M", description = "train by the clock instead; default: 2.5")
    private Double minutes;

    @Option(names = "--preset", paramLabel = "NAME", description = "sizes that go together: small (default), 10m, 58m")
    private String preset;

    @Option(names = "--layers", paramLabel = "N", description = "blocks")
    private Integer layers;

    @Option(names = "--hidden-size", paramLabel = "N", description = "numbers a token carries from block to block")
    private Integer hiddenSize;

    @Option(names = "--heads", paramLabel = "N", description = "attention heads")
    private Integer heads;

    @Option(names = "--kv-heads", paramLabel = "N", description = "key and value heads, shared by the attention heads")
    private Integer kvHeads;

    @Option(names = "--attention", paramLabel = "KIND",
            description = "mha, mqa (one key head) or gqa (--kv-heads of them)")
    private Attention attention;

    @Option(names = "--ffn-size", paramLabel = "N",
            description = "width of the feed-forward network; default: 8/3 of hidden")
    private Integer ffnSize;

    @Option(names = "--context", paramLabel = "N", description = "tokens in a sequence")
    private Integer context;

    @Option(names = "--batch-size", paramLabel = "N", description = "sequences in a micro-batch")
    private Integer batchSize;

    @Option(names = "--grad-accum", paramLabel = "N", description = "micro-batches in a step")
    private Integer gradAccum;

    @Option(names = "--recompute",
            description = "keep only the inputs of layers for the gradients and compute the layers again: less memory, "
                    + "more time, the same numbers")
    private boolean recompute;

    @Option(names = "--vocab-size", paramLabel = "N", description = "tokens that the tokenizer learns")
    private Integer vocabSize;

    @Option(names = "--lr", paramLabel = "X", description = "the highest learning rate")
    private Double lr;

    @Option(names = "--min-lr", paramLabel = "X", description = "the last one; default: a tenth of --lr")
    private Double minLr;

    @Option(names = "--warmup-steps", paramLabel = "N", description = "steps until the highest")
    private Integer warmupSteps;

    @Option(names = "--weight-decay", paramLabel = "X", description = "of matrices; norms and biases have none")
    private Double weightDecay;

    @Option(names = "--grad-clip", paramLabel = "X", description = "the longest gradient taken as it is; 0: no limit")
    private Double gradClip;

    @Option(names = "--adam-beta1", paramLabel = "X", description = "memory of the gradient's mean")
    private Double adamBeta1;

    @Option(names = "--adam-beta2", paramLabel = "X", description = "memory of its square")
    private Double adamBeta2;

    @Option(names = "--adam-eps", paramLabel = "X", description = "keeps the division finite")
    private Double adamEps;

    @Option(names = "--seed", paramLabel = "N", description = "of everything random: the same seed, the same run")
    private Long seed;

    @Option(names = "--dtype", paramLabel = "TYPE",
            description = "f32, or bf16: matrices in half precision, their masters in f32, which are what is saved; "
                    + "default: bf16 where the processor multiplies it (see doctor), else f32")
    private DataType dtype;

    @Option(names = "--ranks", paramLabel = "N",
            description = "ranks that share each batch, as threads; under mpirun its processes are the ranks")
    private Integer ranks;

    @Option(names = "--zero", paramLabel = "STAGE",
            description = "what the ranks divide: 0 nothing, 1 optimizer state, 2 gradients too, 3 parameters too")
    private Integer zero;

    @Option(names = "--offload", paramLabel = "DIR",
            description = "keep the optimizer's state in files there, mapped, in place of memory")
    private Path offload;

    @Option(names = "--trace", paramLabel = "FILE",
            description = "write what each rank did when, as a Chrome trace (ui.perfetto.dev opens it)")
    private Path trace;

    @Option(names = "--eval-every", paramLabel = "N", description = "steps between evaluations; default: every 25 s")
    private Integer evalEvery;

    @Option(names = "--save-every", paramLabel = "N", description = "steps between checkpoints; default: every minute")
    private Integer saveEvery;

    /// What may differ when a run is resumed.
    private static final List<String> FREE =
            List.of("steps", "minutes", "recompute", "eval_every", "save_every", "ranks", "zero", "offload");

    enum Attention {
        mha,
        mqa,
        gqa
    }

    enum DataType {
        f32,
        bf16
    }

    @Override
    int run(Console console) throws IOException {
        if (steps != null && minutes != null) {
            throw wrongUsage("--steps and --minutes: give one of them, what ends the run");
        }
        if (steps != null && steps < 1) {
            throw wrongUsage("--steps must be positive, not " + steps);
        }
        if (resume != null && out != null
                && !out.toAbsolutePath().normalize().equals(resume.toAbsolutePath().normalize())) {
            throw wrongUsage("--resume " + resume + " goes on in that folder: leave --out away, or give the same");
        }
        if (resume != null && preset != null) {
            throw wrongUsage("--preset: a run that is resumed keeps its sizes");
        }
        if (init != null && Stream.of(preset, layers, hiddenSize, heads, kvHeads, attention, ffnSize, vocabSize)
                .anyMatch(Objects::nonNull)) {
            throw wrongUsage(
                    "--init: the model has its sizes and its vocabulary, so --preset, --layers and the like do "
                            + "not go with it");
        }
        ranks = Processes.count(console, ranks);
        Processes.run(trace != null,
                elsewhere -> RunProgress.follow(console,
                        run -> "generate --model " + run.folder() + " --prompt \"public \"",
                        "train --resume %s",
                        progress -> resume != null ? resumed(progress, elsewhere) : started(progress, elsewhere)));
        return Deckle.DONE;
    }

    private Run started(TrainListener listener, Optional<Launch> elsewhere) throws IOException {
        TrainOptions o = checked(change(preset()));
        Path folder = out == null ? RunFolder.next(Path.of("runs")) : out;
        return Pretraining.start(o, folder, listener, elsewhere.orElse(Launch.threads(o.ranks)));
    }

    private TrainOptions preset() {
        try {
            TrainOptions o = TrainOptions.preset(preset == null ? "small" : preset);
            o.dtype = Door.current().forTraining() == DType.BF16 ? "bf16" : "f32";
            return o;
        } catch (IllegalArgumentException e) {
            throw wrongUsage(e.getMessage());
        }
    }

    private TrainOptions checked(TrainOptions o) {
        try {
            return o.complete();
        } catch (IllegalArgumentException e) {
            throw wrongUsage(e.getMessage());
        }
    }

    /// The run's own options, with another end if one is given; whatever else is given must be what it was.
    private Run resumed(TrainListener listener, Optional<Launch> elsewhere) throws IOException {
        return Pretraining.resume(resume, own -> {
            var before = own.json();
            TrainOptions now = checked(change(own));
            var after = now.json();
            for (String key : before.keySet()) {
                boolean free = FREE.contains(key);
                if (!free && !before.get(key).equals(after.get(key))) {
                    throw wrongUsage(
                            "--" + key.replace('_', '-') + ": the run to resume has " + before.get(key) + ", not "
                                    + after.get(key));
                }
            }
            return now;
        }, listener, elsewhere);
    }

    private TrainOptions change(TrainOptions o) {
        if (data != null) {
            o.data = new ArrayList<>(data.stream().map(Train::absolute).toList());
        }
        set(init, v -> o.init = absolute(v));
        set(steps, v -> o.steps = v);
        set(minutes, v -> {
            o.minutes = v;
            o.steps = 0;
        });
        set(layers, v -> o.layers = v);
        set(hiddenSize, v -> o.hidden_size = v);
        set(heads, v -> o.heads = v);
        set(kvHeads, v -> o.kv_heads = v);
        set(attention, v -> o.kv_heads = kvHeads(v, o));
        set(ffnSize, v -> o.ffn_size = v);
        set(context, v -> o.context = v);
        set(batchSize, v -> o.batch_size = v);
        set(gradAccum, v -> o.grad_accum = v);
        o.recompute |= recompute;
        set(vocabSize, v -> o.vocab_size = v);
        set(lr, v -> o.lr = v);
        set(minLr, v -> {
            if (v < 0) {
                throw wrongUsage("--min-lr must not be negative, not " + v);
            }
            o.min_lr = v;
        });
        set(warmupSteps, v -> o.warmup_steps = v);
        set(weightDecay, v -> o.weight_decay = v);
        set(gradClip, v -> o.grad_clip = v);
        set(adamBeta1, v -> o.adam_beta1 = v);
        set(adamBeta2, v -> o.adam_beta2 = v);
        set(adamEps, v -> o.adam_eps = v);
        set(seed, v -> o.seed = v);
        set(dtype, v -> o.dtype = v.name());
        set(ranks, v -> o.ranks = v);
        set(zero, v -> o.zero = v);
        set(offload, v -> o.offload = absolute(v));
        set(trace, v -> o.trace = absolute(v));
        set(evalEvery, v -> o.eval_every = v);
        set(saveEvery, v -> o.save_every = v);
        return o;
    }

    private static String absolute(Path path) {
        return path.toAbsolutePath().normalize().toString();
    }

    private int kvHeads(Attention kind, TrainOptions o) {
        int own = kvHeads == null ? 0 : kvHeads;
        return switch (kind) {
            case mha -> {
                if (own != 0 && own != o.heads) {
                    throw wrongUsage(
                            "--attention mha has a key head for each of the " + o.heads + " heads, not --kv-heads "
                                    + own);
                }
                yield o.heads;
            }
            case mqa -> {
                if (own > 1) {
                    throw wrongUsage("--attention mqa has one key head, not --kv-heads " + own);
                }
                yield 1;
            }
            case gqa -> own != 0 ? own : o.heads % 2 == 0 ? o.heads / 2 : o.heads;
        };
    }

    private static <T> void set(T given, Consumer<T> to) {
        Optional.ofNullable(given).ifPresent(to);
    }
}
