package dev.deckle.generate;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.PagedKvCache;
import dev.deckle.nn.PagedMemory;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.function.ToIntFunction;
import java.util.stream.LongStream;

/// Continues token ids with a model through a KV cache: one sequence or many at once, by drawing, by taking the
/// likeliest token, or by beam search. Knows nothing of text.
public final class TextGenerator {
    /// Where a generator keeps keys and values.
    @FunctionalInterface
    private interface Caches {
        KvCache open(int capacity, int sequences);
    }

    private final CausalLm model;
    private final Sampler sampler;
    private final Set<Integer> endTokens;
    private final int minNewTokens;
    private final boolean tempered;
    private final Caches caches;

    /// With a contiguous cache.
    ///
    /// @param endTokens the ids that end a text
    public TextGenerator(CausalLm model, Sampler sampler, Set<Integer> endTokens) {
        this(model, sampler, endTokens, KvCache.Kind.CONTIGUOUS);
    }

    /// @param endTokens the ids that end a text
    public TextGenerator(CausalLm model, Sampler sampler, Set<Integer> endTokens, KvCache.Kind cacheKind) {
        this(model, sampler, endTokens, 0, false,
                (capacity, sequences) -> model.cache(cacheKind, capacity, sequences));
    }

    private TextGenerator(
            CausalLm model, Sampler sampler, Set<Integer> endTokens, int minNewTokens, boolean tempered,
            Caches caches) {
        this.model = model;
        this.sampler = sampler;
        this.endTokens = Set.copyOf(endTokens);
        this.minNewTokens = minNewTokens;
        this.tempered = tempered;
        this.caches = caches;
    }

    /// The same where no end token comes before so many others.
    public TextGenerator withMinNewTokens(int minNewTokens) {
        return new TextGenerator(model, sampler, endTokens, minNewTokens, tempered, caches);
    }

    /// The same, with log-probabilities at the sampler's temperature: those of the distribution that tokens are drawn
    /// from, where nothing else filters it.
    public TextGenerator withTemperedLogProbs() {
        return new TextGenerator(model, sampler, endTokens, minNewTokens, true, caches);
    }

    /// What the logits are divided by for log-probabilities.
    double logProbTemperature() {
        return tempered && sampler.temperature() > 0 ? sampler.temperature() : 1;
    }

    /// The same with a paged cache in a memory that outlives this generator's calls: a prompt that begins as an earlier
    /// sequence did is computed from where they part.
    public TextGenerator withMemory(PagedMemory memory) {
        return new TextGenerator(model, sampler, endTokens, minNewTokens, tempered,
                (capacity, _) -> new PagedKvCache(capacity, memory));
    }

    /// The prompt and at most `maxNewTokens` more; an end token is included and ends it.
    ///
    /// @param each sees every new token as it comes; where it returns false the text ends after that token
    /// @throws IllegalArgumentException if the prompt is empty, holds an id that the model does not have, or is longer
    ///     than the model's positions
    public int[] generate(int[] prompt, int maxNewTokens, Generator random, IntPredicate each) {
        try (Decoding decoding = new Decoding(this, List.of(prompt), _ -> maxNewTokens, List.of(random))) {
            while (decoding.hasNext()) {
                if (!each.test(decoding.next().id())) {
                    decoding.stop(0);
                }
            }
            return decoding.ids(0);
        }
    }

    /// Continues several prompts together, each as [#generate] would continue it alone; to be closed. A prompt may come
    /// more than once, for several answers.
    ///
    /// @param seed sequence i draws from a generator with the seed `seed + i`
    /// @throws IllegalArgumentException as [#generate] does
    public Decoding decode(List<int[]> prompts, int maxNewTokens, long seed) {
        return decode(prompts, _ -> maxNewTokens, seed);
    }

    /// The same with a limit for each prompt.
    public Decoding decode(List<int[]> prompts, ToIntFunction<int[]> maxNewTokens, long seed) {
        List<Generator> randoms = LongStream.range(seed, seed + prompts.size()).mapToObj(Generator::new).toList();
        return new Decoding(this, prompts, maxNewTokens, randoms);
    }

    /// The likeliest continuations, the best first; each is the prompt and at most `maxNewTokens` more, an end token
    /// included. The prompt is computed once; then all beams go through the model in one pass a step. Of the sampler
    /// only the repetition penalty counts.
    ///
    /// @param listener sees every step
    /// @throws IllegalArgumentException as [#generate] does
    public List<BeamSearch.Hypothesis> beams(
            int[] prompt, int maxNewTokens, BeamSearch search, Consumer<BeamSearch.Step> listener) {
        return beams(prompt, maxNewTokens, search, _ -> false, listener);
    }

    /// The same where a sequence also ends when `stops` says so of its ids, as a stop text asks for.
    public List<BeamSearch.Hypothesis> beams(
            int[] prompt, int maxNewTokens, BeamSearch search, Predicate<int[]> stops,
            Consumer<BeamSearch.Step> listener) {
        check(prompt);
        int most = most(prompt, maxNewTokens);
        int capacity = Math.max(prompt.length, prompt.length + most - 1);
        try (NoGrad _ = NoGrad.open(); KvCache cache = cache(capacity, search.numBeams())) {
            return search.search((beams, parents) -> logProbs(cache, beams, parents, prompt.length), prompt, most,
                    endTokens, stops, listener);
        }
    }

    private float[][] logProbs(KvCache cache, List<int[]> beams, int[] parents, int prompt) {
        if (cache.length() > 0) {
            cache.reorder(parents);
        }
        try (ModelMemory.Lease _ = model.lease(); Workspace _ = Workspace.open()) {
            float[] all = last(cache, beams).logSoftmax(-1).toFloats();
            Finite.require(all, model.parameters());
            float[][] rows = new float[beams.size()][];
            for (int b = 0; b < rows.length; b++) {
                rows[b] = Arrays.copyOfRange(all, b * model.vocabSize(), (b + 1) * model.vocabSize());
                prepare(rows[b], beams.get(b), beams.get(b).length - prompt);
            }
            return rows;
        }
    }

    /// The logits (B, 1, vocab) after sequences of one length, of which the cache knows all but the last positions. A
    /// long prompt goes through in pieces.
    private Tensor last(KvCache cache, List<int[]> sequences) {
        int length = sequences.getFirst().length;
        boolean fixed = length <= model.state().fixedPositions(); // else all rotate by the whole length
        while (fixed && length - cache.length() > Decoding.PIECE) {
            try (Workspace _ = Workspace.open()) {
                model.hidden(columns(sequences, cache.length(), cache.length() + Decoding.PIECE), Pass.decode(cache));
            }
        }
        Tensor hidden = model.hidden(columns(sequences, cache.length(), length), Pass.decode(cache)); // (B, T, hidden)
        return model.head(hidden.slice(1, hidden.dim(1) - 1, hidden.dim(1)));
    }

    private static Tensor columns(List<int[]> sequences, int from, int to) {
        long[] ids = sequences.stream().flatMapToInt(s -> Arrays.stream(s, from, to)).asLongStream().toArray();
        return Tensor.of(ids, sequences.size(), to - from);
    }

    CausalLm model() {
        return model;
    }

    KvCache cache(int capacity, int sequences) {
        return caches.open(capacity, sequences);
    }

    boolean ends(int id) {
        return endTokens.contains(id);
    }

    /// What the model's scores are before any draw: repetitions penalised, the end held back.
    private void prepare(float[] scores, int[] ids, int made) {
        sampler.penalise(scores, ids);
        if (made < minNewTokens) {
            endTokens.stream().filter(id -> id < scores.length).forEach(id -> scores[id] = Float.NEGATIVE_INFINITY);
        }
    }

    /// The token after `ids`, the last `made` of which are new.
    int next(float[] logits, int[] ids, int made, Generator random) {
        prepare(logits, ids, made);
        return sampler.choose(logits, random);
    }

    /// How many tokens there is room for.
    int most(int[] prompt, int maxNewTokens) {
        int room = model.maxPositionEmbeddings() - prompt.length;
        return Math.max(0, Math.min(maxNewTokens, room + 1)); // the last token needs no position: nothing follows it
    }

    void check(int[] prompt) {
        if (prompt.length == 0) {
            throw new IllegalArgumentException("the prompt is empty: at least one token is needed to continue from");
        }
        for (int id : prompt) {
            if (id < 0 || id >= model.vocabSize()) {
                throw new IllegalArgumentException("token id " + id + " is not in 0.." + (model.vocabSize() - 1));
            }
        }
        if (prompt.length > model.maxPositionEmbeddings()) {
            throw new IllegalArgumentException("the prompt has " + prompt.length + " tokens, the model takes at most "
                    + model.maxPositionEmbeddings());
        }
    }
}
