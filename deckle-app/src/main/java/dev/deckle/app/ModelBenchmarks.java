package dev.deckle.app;

import dev.deckle.generate.Decoding;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TextGenerator;
import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import dev.deckle.memory.ModelMemory;
import dev.deckle.models.Llama;
import dev.deckle.nn.KvCache;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.LongAdder;

/// How fast a model runs: a Llama of a preset's shape, with random weights of F32 or BF16 made in memory. The text is
/// nonsense; its speed is that of any model of the shape.
///
/// Decoding reads every weight for each step, so what bounds it is how fast memory can be read. That is measured in the
/// same run, by a plain loop.
final class ModelBenchmarks {
    /// Sizes of a model.
    ///
    /// @param tied whether the head is the embedding
    record Shapes(int vocab, int hidden, int ffn, int layers, int heads, int kvHeads, boolean tied) {}

    private static final int PROMPT = 16;
    private static final int PREFILL = 512;
    private static final int ROLLOUT_PROMPT = 128;
    private static final int ROLLOUT_NEW = 64;
    private static final int WARM_UP = 3;
    private static final int MEASURED = 5;
    /// Bytes of the buffer whose reading is timed: more than any cache.
    private static final long BUFFER = 512L << 20;
    private static final int CHUNK = 1 << 20;

    private final Shapes shapes;
    private final DType dtype;

    ModelBenchmarks(Shapes shapes, DType dtype) {
        this.shapes = shapes;
        this.dtype = dtype;
    }

    /// Tokens of `batch` sequences, one of each at a time, after prompts of 16: the median of 5 runs after 3.
    List<Benchmarks.Figure> decode(int batch) {
        int steps = shapes.hidden >= 2048 ? 32 : 128;
        try (Llama model = model(PROMPT + steps + 1)) {
            TextGenerator generator = new TextGenerator(model, Sampler.greedy(), Set.of());
            List<int[]> prompts = prompts(batch, PROMPT);
            double[] seconds = new double[MEASURED];
            List<int[]> texts = List.of();
            for (int i = 0; i < WARM_UP + MEASURED; i++) {
                try (Decoding decoding = generator.decode(prompts, steps + 1, 1)) {
                    for (int b = 0; b < batch; b++) {
                        decoding.next(); // the prompts' own step
                    }
                    long start = System.nanoTime();
                    decoding.forEachRemaining(_ -> {});
                    seconds[Math.max(0, i - WARM_UP)] = (System.nanoTime() - start) / 1e9;
                    List<int[]> now = new ArrayList<>();
                    for (int b = 0; b < batch; b++) {
                        now.add(decoding.ids(b));
                    }
                    Benchmarks.require(texts.isEmpty() || Arrays.deepEquals(texts.toArray(), now.toArray()),
                            "greedy decoding gave two texts");
                    texts = now;
                }
            }
            double step = Benchmarks.median(seconds) / steps;
            double read = read(model) / step / 1e9;
            Map<String, Number> more = new LinkedHashMap<>();
            more.put("batch_size", batch);
            more.put("gb_per_s", rounded(read));
            more.put("share_of_bandwidth", rounded(read / bandwidth()));
            return List.of(new Benchmarks.Figure("decode", more, batch / step, "tok_per_s"));
        }
    }

    /// A prompt of 512 tokens up to its first new token.
    List<Benchmarks.Figure> prefill() {
        try (Llama model = model(PREFILL + 1)) {
            TextGenerator generator = new TextGenerator(model, Sampler.greedy(), Set.of());
            List<int[]> prompts = prompts(1, PREFILL);
            double[] seconds = new double[MEASURED];
            int first = -1;
            for (int i = 0; i < WARM_UP + MEASURED; i++) {
                long start = System.nanoTime();
                try (Decoding decoding = generator.decode(prompts, 1, 1)) {
                    int now = decoding.next().id();
                    Benchmarks.require(first < 0 || first == now, "one prompt gave two tokens");
                    first = now;
                }
                seconds[Math.max(0, i - WARM_UP)] = (System.nanoTime() - start) / 1e9;
            }
            double median = Benchmarks.median(seconds);
            Map<String, Number> more = new LinkedHashMap<>();
            more.put("tokens", PREFILL);
            more.put("seconds", rounded(median));
            return List.of(new Benchmarks.Figure("prefill", more, PREFILL / median, "tok_per_s"));
        }
    }

    /// What a policy draws for one prompt of 128 tokens: a group of completions of 64 tokens each at temperature 1,
    /// with their log-probabilities, from the prompt on. The prompt's part of the cache is there once.
    List<Benchmarks.Figure> rollout(int group) {
        try (Llama model = model(ROLLOUT_PROMPT + ROLLOUT_NEW)) {
            TextGenerator generator = new TextGenerator(model, new Sampler(1, 0, 1, 0, 1), Set.of(),
                    KvCache.Kind.PAGED).withTemperedLogProbs();
            List<int[]> prompts = Collections.nCopies(group, prompts(1, ROLLOUT_PROMPT).getFirst());
            double[] seconds = new double[MEASURED];
            for (int i = 0; i < WARM_UP + MEASURED; i++) {
                long start = System.nanoTime();
                try (Decoding decoding = generator.decode(prompts, ROLLOUT_NEW, i)) {
                    decoding.forEachRemaining(_ -> {});
                    Benchmarks.require(decoding.logProbs(group - 1).length == ROLLOUT_NEW, "a completion is short");
                }
                seconds[Math.max(0, i - WARM_UP)] = (System.nanoTime() - start) / 1e9;
            }
            double median = Benchmarks.median(seconds);
            Map<String, Number> more = new LinkedHashMap<>();
            more.put("group_size", group);
            more.put("max_new_tokens", ROLLOUT_NEW);
            more.put("seconds", rounded(median));
            return List.of(new Benchmarks.Figure("rollout", more, group * ROLLOUT_NEW / median, "tok_per_s"));
        }
    }

    /// Bytes of the weights that a step reads: of an embedding that is not the head as well, it reads some rows only.
    private long read(Llama model) {
        return model.parameters().entrySet().stream()
                .filter(e -> shapes.tied || !e.getKey().equals("model.embed_tokens.weight"))
                .mapToLong(e -> e.getValue().bytes())
                .sum();
    }

    private List<int[]> prompts(int batch, int length) {
        Generator random = new Generator(1);
        List<int[]> prompts = new ArrayList<>();
        for (int b = 0; b < batch; b++) {
            int[] ids = new int[length];
            Arrays.setAll(ids, _ -> (int) random.nextInt((long) shapes.vocab));
            prompts.add(ids);
        }
        return prompts;
    }

    private static double rounded(double x) {
        return Math.round(x * 1000) / 1000.0;
    }

    /// Gigabytes a second that all threads together read: the best of ten passes.
    static double bandwidth() {
        try (ModelMemory memory = new ModelMemory()) {
            long from = memory.allocate(BUFFER).address();
            LongAdder sum = new LongAdder();
            double best = 0;
            for (int i = 0; i < 10; i++) {
                long start = System.nanoTime();
                Team.shared().parallelFor((int) (BUFFER / CHUNK), task -> sum.add(sum(from + (long) task * CHUNK)));
                best = Math.max(best, BUFFER / 1e9 / ((System.nanoTime() - start) / 1e9));
            }
            Benchmarks.require(sum.sum() == 0, "new memory is not zero");
            return best;
        }
    }

    private static long sum(long from) {
        long a = 0;
        long b = 0;
        long c = 0;
        long d = 0;
        for (long at = from; at < from + CHUNK; at += 32) {
            a += Native.getLong(at);
            b += Native.getLong(at + 8);
            c += Native.getLong(at + 16);
            d += Native.getLong(at + 24);
        }
        return a + b + c + d;
    }

    // ---- the model

    private Llama model(int context) {
        Llama.Config config = Llama.Config.of(shapes.vocab, shapes.hidden, shapes.ffn, shapes.layers, shapes.heads,
                shapes.kvHeads, context, shapes.tied);
        ModelMemory memory = new ModelMemory();
        int kv = shapes.hidden / shapes.heads * shapes.kvHeads;
        Map<String, Tensor> checkpoint = new LinkedHashMap<>();
        checkpoint.put("model.embed_tokens.weight", matrix(memory, shapes.vocab, shapes.hidden));
        checkpoint.put("model.norm.weight", ones(memory));
        if (!shapes.tied) {
            checkpoint.put("lm_head.weight", matrix(memory, shapes.vocab, shapes.hidden));
        }
        for (int i = 0; i < shapes.layers; i++) {
            String layer = "model.layers." + i + ".";
            checkpoint.put(layer + "input_layernorm.weight", ones(memory));
            checkpoint.put(layer + "post_attention_layernorm.weight", ones(memory));
            checkpoint.put(layer + "self_attn.q_proj.weight", matrix(memory, shapes.hidden, shapes.hidden));
            checkpoint.put(layer + "self_attn.k_proj.weight", matrix(memory, kv, shapes.hidden));
            checkpoint.put(layer + "self_attn.v_proj.weight", matrix(memory, kv, shapes.hidden));
            checkpoint.put(layer + "self_attn.o_proj.weight", matrix(memory, shapes.hidden, shapes.hidden));
            checkpoint.put(layer + "mlp.gate_proj.weight", matrix(memory, shapes.ffn, shapes.hidden));
            checkpoint.put(layer + "mlp.up_proj.weight", matrix(memory, shapes.ffn, shapes.hidden));
            checkpoint.put(layer + "mlp.down_proj.weight", matrix(memory, shapes.hidden, shapes.ffn));
        }
        return Llama.of(config, 0, checkpoint, memory);
    }

    private Tensor ones(ModelMemory memory) {
        return Tensor.full(DType.F32, 1, shapes.hidden).copyInto(Tensor.empty(memory, DType.F32, Shape.of(
                shapes.hidden)));
    }

    /// Uniform with Llama's standard deviation of 0.02, by all threads: there are a billion of them.
    private Tensor matrix(ModelMemory memory, int rows, int columns) {
        Tensor w = Tensor.empty(memory, dtype, Shape.of(rows, columns));
        long at = w.address();
        float bound = (float) (0.02 * Math.sqrt(3));
        Team.shared().parallelFor(rows, r -> {
            SplittableRandom random = new SplittableRandom(r);
            for (long i = (long) r * columns; i < (r + 1L) * columns; i++) {
                float value = bound * (2 * random.nextFloat() - 1);
                if (dtype == DType.BF16) {
                    Bf16.set(at + 2 * i, value);
                } else {
                    Native.setFloat(at + 4 * i, value);
                }
            }
        });
        return w;
    }
}
