package dev.deckle.train;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import dev.deckle.models.Llama;
import dev.deckle.optim.AdamW;
import dev.deckle.optim.CosineSchedule;
import dev.deckle.tensor.DType;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/// Everything that decides about a training run: plain fields, named as the flags of `deckle train`. Two runs with
/// equal options and equal data are equal to the bit, on any number of threads (unless a clock ends them: see
/// [#minutes]).
public final class TrainOptions {
    private static final Gson GSON =
            new GsonBuilder().setPrettyPrinting().serializeNulls().disableHtmlEscaping().create();

    /// Text files, folders, archives; empty for the JDK's own sources.
    public List<String> data = new ArrayList<>();

    /// The model folder whose weights and tokenizer a run starts from; empty for a new model.
    public String init = "";

    /// Optimizer steps; 0 where the clock ends the run.
    public long steps;

    /// Minutes of training where `steps` is 0. The learning rate then follows the clock, so such runs differ from each
    /// other.
    public double minutes = 2.5;

    public int layers;
    public int hidden_size;
    public int heads;
    public int kv_heads;
    public int ffn_size;

    /// Tokens in a sequence.
    public int context;

    /// Sequences in a micro-batch.
    public int batch_size;

    /// Micro-batches in a step; their gradients are normalised by the tokens of all of them.
    public int grad_accum = 1;

    /// Whether layers keep only their inputs for the gradients, and are computed again when these come: less memory,
    /// more time, the same bits.
    public boolean recompute;

    public int vocab_size;
    public double lr;
    /// The last learning rate; negative: a tenth of `lr`.
    public double min_lr = -1;
    public int warmup_steps = 50;
    public double weight_decay = 0.1;

    /// The longest gradient that is taken as it is; 0 for no limit.
    public double grad_clip = 1;

    public double adam_beta1 = 0.9;
    public double adam_beta2 = 0.95;
    public double adam_eps = 1e-8;
    public long seed = 1;

    /// Ranks that share each batch by its rows.
    public int ranks = 1;

    /// What of the model's state is divided among the ranks: ZeRO's stage, 0 to 3.
    public int zero;

    /// What layers compute with: f32, or bf16 for matrices, whose masters are then kept in F32 and are what is saved.
    public String dtype = "f32";

    /// A folder for files that hold the optimizer's state in place of memory; empty for memory.
    public String offload = "";

    /// The file for a Chrome trace of what each rank did when; empty for none. It is no part of a run's state.
    public transient String trace = "";

    /// Steps between evaluations; 0: every 25 seconds.
    public int eval_every;

    /// Steps between checkpoints; 0: every minute.
    public int save_every;

    /// The sizes of a preset, and what trains them well.
    private record Preset(int layers, int hidden, int heads, int context, int batch, int vocab, double lr) {}

    private static final Map<String, Preset> PRESETS = new TreeMap<>(Map.of(
            "small", new Preset(4, 256, 4, 128, 16, 2048, 2e-3),
            "10m", new Preset(6, 384, 6, 256, 12, 4096, 1e-3),
            "58m", new Preset(8, 512, 8, 512, 4, 32_000, 6e-4)));

    private static final int MOST_TOKENS = 1 << 24;

    private TrainOptions() {}

    /// The names of the presets.
    public static List<String> presets() {
        return List.copyOf(PRESETS.keySet());
    }

    /// The options of a preset.
    ///
    /// @throws IllegalArgumentException if there is none of that name
    public static TrainOptions preset(String name) {
        Preset p = PRESETS.get(name);
        if (p == null) {
            throw new IllegalArgumentException(
                    "--preset must be one of " + String.join(", ", PRESETS.keySet()) + ", not "
                            + name);
        }
        TrainOptions o = new TrainOptions();
        o.layers = p.layers;
        o.hidden_size = p.hidden;
        o.heads = p.heads;
        o.context = p.context;
        o.batch_size = p.batch;
        o.vocab_size = p.vocab;
        o.lr = p.lr;
        return o;
    }

    /// Fills in what follows from other options, and checks them all.
    ///
    /// @throws IllegalArgumentException in one line that names the flag, what was given and what was expected
    public TrainOptions complete() {
        positive("--layers", layers);
        positive("--hidden-size", hidden_size);
        positive("--heads", heads);
        require(hidden_size % heads == 0, "--hidden-size " + hidden_size + " must be a multiple of --heads " + heads);
        kv_heads = kv_heads == 0 ? heads : kv_heads;
        require(kv_heads > 0 && heads % kv_heads == 0, "--heads " + heads + " must be a multiple of --kv-heads "
                + kv_heads);
        require(hidden_size / heads % 2 == 0, "--hidden-size " + hidden_size + " over --heads " + heads
                + " must give an even head size: rotary positions turn pairs");
        ffn_size = ffn_size == 0 ? Math.max(64, hidden_size * 8 / 3 / 64 * 64) : ffn_size;
        positive("--ffn-size", ffn_size);
        positive("--context", context);
        positive("--batch-size", batch_size);
        positive("--grad-accum", grad_accum);
        require((long) batch_size * context <= MOST_TOKENS, "--batch-size " + batch_size + " times --context " + context
                + " must be at most " + MOST_TOKENS + " tokens");
        positive("--ranks", ranks);
        require(batch_size % ranks == 0, "--batch-size " + batch_size + " must be a multiple of the " + ranks
                + " ranks, which share its rows");
        Stage.of(zero);
        require(dtype.equals("f32") || dtype.equals("bf16"), "--dtype must be f32 or bf16, not " + dtype);
        require(vocab_size >= 257, "--vocab-size must be at least 257 (the bytes and an end token), not " + vocab_size);
        require(steps >= 0, "--steps must be positive, not " + steps);
        require(steps > 0 || minutes > 0 && minutes < 1e6, "--minutes must be positive, not " + minutes);
        require(lr > 0 && lr < 10, "--lr must be above 0 and below 10, not " + lr);
        min_lr = min_lr < 0 ? lr / 10 : min_lr;
        require(min_lr <= lr, "--min-lr " + min_lr + " must not be above --lr " + lr);
        require(warmup_steps >= 0, "--warmup-steps must not be negative, not " + warmup_steps);
        require(weight_decay >= 0 && weight_decay < 10, "--weight-decay must be from 0 to 10, not " + weight_decay);
        require(grad_clip >= 0 && grad_clip < 1e30, "--grad-clip must be from 0 to 1e30, not " + grad_clip);
        require(adam_beta1 >= 0 && adam_beta1 < 1, "--adam-beta1 must be at least 0 and below 1, not " + adam_beta1);
        require(adam_beta2 >= 0 && adam_beta2 < 1, "--adam-beta2 must be at least 0 and below 1, not " + adam_beta2);
        require(adam_eps > 0 && adam_eps < 1, "--adam-eps must be above 0 and below 1, not " + adam_eps);
        require(eval_every >= 0, "--eval-every must not be negative, not " + eval_every);
        require(save_every >= 0, "--save-every must not be negative, not " + save_every);
        return this;
    }

    private static void positive(String flag, int value) {
        require(value > 0, flag + " must be positive, not " + value);
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalArgumentException(otherwise);
        }
    }

    Stage stage() {
        return Stage.of(zero);
    }

    /// How the model's state is laid out on the ranks.
    Partition.Options partition() {
        return new Partition.Options(stage(), dtype.equals("bf16") ? DType.BF16 : DType.F32, _ -> false,
                offload.isEmpty() ? Optional.empty() : Optional.of(Path.of(offload)));
    }

    /// How its steps are made.
    ///
    /// @param folder the run's
    Loop.Options loop(Path folder) {
        CosineSchedule schedule = new CosineSchedule(lr, min_lr, warmup_steps);
        return new Loop.Options(folder, steps, minutes, schedule::atProgress, grad_clip,
                new AdamW.Options(adam_beta1, adam_beta2, adam_eps, weight_decay), eval_every, save_every, recompute,
                json());
    }

    /// The model that they ask for, with the vocabulary that the tokenizer ended up with.
    Llama.Config model(int vocabularySize) {
        return Llama.Config.of(vocabularySize, hidden_size, ffn_size, layers, heads, kv_heads, context, false);
    }

    /// As JSON, for a checkpoint.
    public JsonObject json() {
        return GSON.toJsonTree(this).getAsJsonObject();
    }

    static TrainOptions read(JsonObject json) {
        try {
            TrainOptions o = GSON.fromJson(json, TrainOptions.class);
            if (o == null || o.data == null) {
                throw new IllegalArgumentException("options: a JSON object is expected");
            }
            return o;
        } catch (JsonParseException e) {
            throw new IllegalArgumentException("options: " + e.getMessage(), e);
        }
    }
}
