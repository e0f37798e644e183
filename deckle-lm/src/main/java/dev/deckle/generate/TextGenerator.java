package dev.deckle.generate;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.IntPredicate;

/// Continues token ids with a model, one token at a time through a KV cache. Knows nothing of text.
public final class TextGenerator {
    private final CausalLm model;
    private final Sampler sampler;
    private final Set<Integer> endTokens;
    private final KvCache.Kind cacheKind;

    /// With a contiguous cache.
    ///
    /// @param endTokens the ids that end a text
    public TextGenerator(CausalLm model, Sampler sampler, Set<Integer> endTokens) {
        this(model, sampler, endTokens, KvCache.Kind.CONTIGUOUS);
    }

    /// @param endTokens the ids that end a text
    public TextGenerator(CausalLm model, Sampler sampler, Set<Integer> endTokens, KvCache.Kind cacheKind) {
        this.model = model;
        this.sampler = sampler;
        this.endTokens = Set.copyOf(endTokens);
        this.cacheKind = cacheKind;
    }

    /// The prompt and at most `maxNewTokens` more; an end token is included and ends it.
    ///
    /// @param each sees every new token as it comes; where it returns false the text ends after that token
    /// @throws IllegalArgumentException if the prompt is empty, holds an id that the model does not have, or is longer
    ///     than the model's positions
    public int[] generate(int[] prompt, int maxNewTokens, Generator random, IntPredicate each) {
        check(prompt);
        int[] ids = Arrays.copyOf(prompt, prompt.length + most(prompt, maxNewTokens));
        int n = prompt.length;
        try (NoGrad _ = NoGrad.open(); KvCache cache = cache(prompt, ids.length, 1)) {
            while (n < ids.length) {
                int[] before = Arrays.copyOf(ids, n);
                int next = sampler.next(logits(cache, before), before, random);
                ids[n++] = next;
                if (!each.test(next) || endTokens.contains(next)) {
                    break;
                }
            }
        }
        return Arrays.copyOf(ids, n);
    }

    /// The likeliest continuations, the best first; each is the prompt and at most `maxNewTokens` more, an end token
    /// included. The prompt is computed once; then all beams go through the model in one pass a step. Of the sampler
    /// only the repetition penalty counts.
    ///
    /// @param listener sees every step
    /// @throws IllegalArgumentException as [#generate] does
    public List<BeamSearch.Hypothesis> beams(
            int[] prompt, int maxNewTokens, BeamSearch search, Consumer<BeamSearch.Step> listener) {
        check(prompt);
        int most = most(prompt, maxNewTokens);
        try (NoGrad _ = NoGrad.open(); KvCache cache = cache(prompt, prompt.length + most, search.numBeams())) {
            return search.search((beams, parents) -> logProbs(cache, beams, parents), prompt, most, endTokens,
                    listener);
        }
    }

    /// How many tokens there is room for.
    private int most(int[] prompt, int maxNewTokens) {
        int room = model.maxPositionEmbeddings() - prompt.length;
        return Math.max(0, Math.min(maxNewTokens, room + 1)); // the last token needs no position: nothing follows it
    }

    private KvCache cache(int[] prompt, int length, int sequences) {
        return cacheKind.open(Math.max(prompt.length, length - 1), sequences);
    }

    private float[] logits(KvCache cache, int[] ids) {
        try (Workspace _ = Workspace.open()) {
            return Finite.require(last(cache, List.of(ids)).toFloats(), model.parameters());
        }
    }

    private float[][] logProbs(KvCache cache, List<int[]> beams, int[] parents) {
        if (cache.length() > 0) {
            cache.reorder(parents);
        }
        try (Workspace _ = Workspace.open()) {
            float[] all = last(cache, beams).logSoftmax(-1).toFloats();
            Finite.require(all, model.parameters());
            float[][] rows = new float[beams.size()][];
            for (int b = 0; b < rows.length; b++) {
                rows[b] = Arrays.copyOfRange(all, b * model.vocabSize(), (b + 1) * model.vocabSize());
                sampler.penalise(rows[b], beams.get(b));
            }
            return rows;
        }
    }

    /// The logits (B, 1, vocab) after sequences of one length, of which the cache knows all but the last positions.
    private Tensor last(KvCache cache, List<int[]> sequences) {
        int from = cache.length();
        int t = sequences.getFirst().length - from;
        long[] fresh = sequences.stream()
                .flatMapToInt(ids -> Arrays.stream(ids, from, from + t))
                .asLongStream()
                .toArray();
        Tensor hidden = model.hidden(Tensor.of(fresh, sequences.size(), t), Pass.decode(cache)); // (B, T, hidden)
        return model.head(hidden.slice(1, t - 1, t));
    }

    private void check(int[] prompt) {
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
