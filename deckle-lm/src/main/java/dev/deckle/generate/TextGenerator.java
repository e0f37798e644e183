package dev.deckle.generate;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.Set;
import java.util.function.IntPredicate;

/// Continues token ids with a model, one token at a time through a KV cache. Knows nothing of text.
public final class TextGenerator {
    private final CausalLm model;
    private final Sampler sampler;
    private final Set<Integer> endTokens;

    /// @param endTokens the ids that end a text
    public TextGenerator(CausalLm model, Sampler sampler, Set<Integer> endTokens) {
        this.model = model;
        this.sampler = sampler;
        this.endTokens = Set.copyOf(endTokens);
    }

    /// The prompt and at most `maxNewTokens` more; an end token is included and ends it.
    ///
    /// @param each sees every new token as it comes; where it returns false the text ends after that token
    /// @throws IllegalArgumentException if the prompt is empty, holds an id that the model does not have, or is longer
    ///     than the model's positions
    public int[] generate(int[] prompt, int maxNewTokens, Generator random, IntPredicate each) {
        check(prompt);
        int room = model.maxPositionEmbeddings() - prompt.length;
        int most = Math.min(maxNewTokens, room + 1); // the last token needs no position: nothing follows it
        int[] ids = Arrays.copyOf(prompt, prompt.length + Math.max(0, most));
        int n = prompt.length;
        try (NoGrad _ = NoGrad.open(); KvCache cache = new KvCache(Math.max(prompt.length, ids.length - 1))) {
            int from = 0;
            while (n < ids.length) {
                int next = sampler.next(logits(cache, ids, from, n), Arrays.copyOf(ids, n), random);
                from = n;
                ids[n++] = next;
                if (!each.test(next) || endTokens.contains(next)) {
                    break;
                }
            }
        }
        return Arrays.copyOf(ids, n);
    }

    private float[] logits(KvCache cache, int[] ids, int from, int to) {
        try (Workspace _ = Workspace.open()) {
            long[] fresh = new long[to - from];
            for (int i = 0; i < fresh.length; i++) {
                fresh[i] = ids[from + i];
            }
            Tensor hidden = model.hidden(Tensor.of(fresh, 1, fresh.length), Pass.decode(cache)); // (1, T, hidden)
            float[] last = model.head(hidden.slice(1, fresh.length - 1, fresh.length)).toFloats(); // (vocab)
            return Finite.require(last, model.parameters());
        }
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
