package dev.deckle.train;

import dev.deckle.data.Batch;
import dev.deckle.data.Batches;
import dev.deckle.data.Evaluation;
import dev.deckle.data.Tokens;
import dev.deckle.distributed.Communicator;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TextGenerator;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import dev.deckle.tokenizer.Tokenizer;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// To predict the next token of text. Ranks share each batch by its rows.
final class NextToken implements Task {
    private static final int SAMPLE_TOKENS = 64;
    private static final int WINDOWS = 128;
    private static final int LAST_WINDOWS = 1024;
    private static final long NO_TARGET = -100;

    private final TrainOptions options;
    private final Tokenizer tokenizer;
    private final Tokens tokens;
    private final CausalLm model;
    private final Batches batches;
    private final int endToken;
    private Communicator ranks;
    private Partition partition;

    NextToken(TrainOptions options, Tokenizer tokenizer, Tokens tokens, CausalLm model) {
        this.options = options;
        this.tokenizer = tokenizer;
        this.tokens = tokens;
        this.model = model;
        batches = new Batches(tokens.train(), options.batch_size, options.context, options.seed);
        endToken = tokenizer.endOfText().orElseThrow();
    }

    @Override
    public void connect(Communicator ranks, Partition partition) {
        this.ranks = ranks;
        this.partition = partition;
    }

    @Override
    public List<MicroBatch> microBatches(long step) {
        List<MicroBatch> parts = new ArrayList<>();
        int rows = options.batch_size / ranks.worldSize();
        for (int i = 0; i < options.grad_accum; i++) {
            long position = step * options.grad_accum + i;
            parts.add(new MicroBatch(() -> {
                Generator dropout = new Generator(options.seed * 0x9E3779B97F4A7C15L + position
                        + ranks.rank() * 0xC2B2AE3D27D4EB4FL); // of its own on each rank
                return lossSum(batches.at(position, ranks.rank() * rows, rows), Pass.train(dropout));
            }, 1.0 / tokensPerStep()));
        }
        return parts;
    }

    private long tokensPerStep() {
        return (long) options.batch_size * options.context * options.grad_accum;
    }

    /// The sum of the losses of all tokens of a batch.
    private Tensor lossSum(Batch batch, Pass pass) {
        Tensor hidden = model.hidden(ids(batch.inputs(), batch), pass); // (B, T, hidden_size)
        return model.lossSum(hidden, ids(batch.targets(), batch), NO_TARGET);
    }

    @Override
    public boolean savesMasters() {
        return true;
    }

    private static Tensor ids(int[] ids, Batch batch) {
        long[] wide = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            wide[i] = ids[i];
        }
        return Tensor.of(wide, batch.rows(), batch.context());
    }

    @Override
    public Map<String, Number> metrics(long step, double seconds) {
        Map<String, Number> m = new LinkedHashMap<>();
        m.put("tokens", step * tokensPerStep());
        m.put("tok_per_s", Math.round(tokensPerStep() / (seconds + 1e-9) * 10) / 10.0);
        return m;
    }

    /// The loss on held-out text in nats a token, and in bits per byte of text, which does not depend on the tokenizer.
    @Override
    public Map<String, Number> evaluate(boolean last) {
        Evaluation held = new Evaluation(tokens.validation(), options.batch_size, options.context,
                last ? LAST_WINDOWS : WINDOWS);
        double sum = 0;
        long count = 0;
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
        if (count == 0) {
            return Map.of();
        }
        double mean = partition.sum(sum)[0] / count;
        Map<String, Number> m = new LinkedHashMap<>();
        m.put("val_loss", mean);
        m.put("val_bpb", tokens.validation().bitsPerByte(mean));
        return m;
    }

    /// Text that the model makes from nothing. Where no rank has all parameters, all generate it together.
    @Override
    public Optional<Sample> sample(long step) {
        boolean together = options.stage() == Stage.PARAMETERS && ranks.worldSize() > 1;
        if (!together && ranks.rank() > 0) {
            return Optional.empty();
        }
        CausalLm speaker = together ? new SameLogits(model, ranks) : model;
        TextGenerator generator = new TextGenerator(speaker, new Sampler(0.8, 50, 1, 0, 1), Set.of(endToken));
        Generator random = new Generator(options.seed + step);
        int[] ids =
                partition.evaluate(() -> generator.generate(new int[] {endToken}, SAMPLE_TOKENS, random, _ -> true));
        return Optional.of(new Sample(tokenizer.decode(Arrays.copyOfRange(ids, 1, ids.length)), List.of()));
    }

    /// Of everything that is trained on and held out.
    @Override
    public long checksum() {
        return tokens.train().checksum() << 32 | tokens.validation().checksum();
    }
}
