package dev.deckle.generate;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Pass;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;

/// Sequences that are being continued together, token by token, as somebody asks for the tokens: a step of the model is
/// computed when [#next] needs it and never before, so a slow reader holds the work up and one that has had enough
/// closes it. Any thread may use it, a virtual one as well as another: calls wait for each other.
///
/// Prompts of unequal length get padding on their left ([KvCache#pad]), equal prompts are computed once, and long ones
/// go through the model in pieces, so that memory does not grow with them. A step computes one token of each sequence
/// that goes on, in one pass, for which the weights are read once. A sequence that has ended leaves the batch.
///
/// A sequence continues as it would alone: what differs is the rounding of sums whose order depends on the batch, and,
/// with dynamic rotary positions, that their frequencies follow the longest sequence, as in transformers.
public final class Decoding implements Iterator<Decoding.Token>, AutoCloseable {
    /// A new token.
    ///
    /// @param sequence whose it is, counted from 0 in the order of the prompts
    /// @param logProb the natural logarithm of its probability as the model gave it, before temperature, penalty and
    ///     filters (after the temperature with [TextGenerator#withTemperedLogProbs()])
    /// @param last whether the sequence ends with it
    public record Token(int sequence, int id, float logProb, boolean last) {}

    /// Tokens of the prompts that go through the model at once.
    static final int PIECE = 512;

    private final TextGenerator generator;
    private final List<Sequence> sequences = new ArrayList<>();
    private final ArrayDeque<Token> ready = new ArrayDeque<>();
    private List<Sequence> going; // in the order of the cache's rows
    private KvCache cache; // from the first step on
    private boolean remembers; // whether later sequences can use what is in the cache

    private static final class Sequence {
        private final int index;
        private final int prompt;
        private final Generator random;
        private final int[] ids;
        private final float[] logProbs;
        private int length;
        private boolean ended;

        Sequence(int index, int[] prompt, int most, Generator random) {
            this.index = index;
            this.prompt = prompt.length;
            this.random = random;
            ids = Arrays.copyOf(prompt, prompt.length + most);
            logProbs = new float[most];
            length = prompt.length;
            ended = most == 0;
        }

        int made() {
            return length - prompt;
        }

        int[] prompt() {
            return Arrays.copyOf(ids, prompt);
        }

        int[] ids() {
            return Arrays.copyOf(ids, length);
        }
    }

    /// @param randoms what each sequence draws from
    Decoding(
            TextGenerator generator, List<int[]> prompts, ToIntFunction<int[]> maxNewTokens,
            List<Generator> randoms) {
        this.generator = generator;
        for (int i = 0; i < prompts.size(); i++) {
            generator.check(prompts.get(i));
            sequences.add(new Sequence(i, prompts.get(i), generator.most(prompts.get(i),
                    maxNewTokens.applyAsInt(prompts.get(i))), randoms.get(i)));
        }
        going = sequences.stream().filter(s -> !s.ended).toList();
    }

    /// Whether a sequence goes on.
    @Override
    public synchronized boolean hasNext() {
        return !ready.isEmpty() || going.stream().anyMatch(s -> !s.ended);
    }

    /// The next token of one of the sequences. They take turns; those that have ended are left out.
    ///
    /// @throws NoSuchElementException if all have ended
    @Override
    public synchronized Token next() {
        if (!hasNext()) {
            throw new NoSuchElementException("all sequences have ended");
        }
        if (ready.isEmpty()) {
            step();
        }
        return ready.remove();
    }

    /// Ends a sequence after the tokens of it that [#next] has returned.
    public synchronized void stop(int sequence) {
        Sequence s = sequences.get(sequence);
        s.ended = true;
        if (ready.removeIf(token -> token.sequence == sequence)) {
            s.length--; // a step makes one token a sequence
        }
    }

    /// The prompt and the new tokens so far; the token that ended it is included.
    public synchronized int[] ids(int sequence) {
        return sequences.get(sequence).ids();
    }

    /// The logarithms of the probabilities of the new tokens so far.
    public synchronized float[] logProbs(int sequence) {
        Sequence s = sequences.get(sequence);
        return Arrays.copyOf(s.logProbs, s.made());
    }

    /// Ends all sequences and gives back the memory of their cache; waits for a step that runs.
    @Override
    public synchronized void close() {
        sequences.forEach(s -> s.ended = true);
        ready.clear();
        going = List.of();
        if (cache != null) {
            cache.close();
        }
    }

    private void step() {
        try (ModelMemory.Lease _ = generator.model().lease()) {
            compute();
        } catch (RuntimeException | Error e) {
            close(); // a prompt that has gone halfway must not be taken for a whole one
            throw e;
        }
    }

    private void compute() {
        try (NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
            Tensor logits; // (going, vocab)
            if (cache == null) {
                logits = prompts();
            } else {
                leave();
                long[] last = going.stream().mapToLong(s -> s.ids[s.length - 1]).toArray();
                logits = logits(Tensor.of(last, last.length, 1));
            }
            choose(logits);
        }
        if (going.stream().allMatch(s -> s.ended)) {
            remember(going);
            cache.close();
        }
    }

    /// The sequences that have ended leave the batch.
    private void leave() {
        remember(going.stream().filter(s -> s.ended).toList());
        int[] rows = IntStream.range(0, going.size()).filter(r -> !going.get(r).ended).toArray();
        if (rows.length < going.size()) {
            going = IntStream.of(rows).mapToObj(going::get).toList();
            cache.reorder(rows);
        }
    }

    /// What a cache can use for later sequences: all that has gone through the model.
    private void remember(List<Sequence> ended) {
        if (!remembers) {
            return;
        }
        ended.forEach(s -> cache.remember(going.indexOf(s), Arrays.copyOf(s.ids, s.length - 1)));
    }

    /// The prompts through the model, each different one once; then every sequence has its row.
    private Tensor prompts() {
        Map<List<Integer>, Integer> rows = new LinkedHashMap<>();
        int[] rowOf = going.stream()
                .mapToInt(s -> rows.computeIfAbsent(Arrays.stream(s.prompt()).boxed().toList(), _ -> rows.size()))
                .toArray();
        List<int[]> prompts = rows.keySet().stream().map(l -> l.stream().mapToInt(i -> i).toArray()).toList();
        int longest = prompts.stream().mapToInt(p -> p.length).max().orElseThrow();
        int most = going.stream().mapToInt(s -> s.ids.length - s.prompt).max().orElseThrow();
        cache = generator.cache(longest + most - 1, going.size()); // the last token goes through no model
        cache.pad(prompts.stream().mapToInt(p -> longest - p.length).toArray());
        // rotated keys of a length beyond these are of this length only: one piece, and nothing from before
        boolean fixed = longest + most <= generator.model().state().fixedPositions();
        int from = fixed ? cache.reuse(prompts) : 0;
        int piece = fixed ? Math.max(1, PIECE / prompts.size()) : longest;
        remembers = fixed;
        while (longest - from > piece) {
            try (Workspace _ = Workspace.open()) {
                generator.model().hidden(columns(prompts, longest, from, from + piece), Pass.decode(cache));
            }
            from += piece;
        }
        Tensor logits = logits(columns(prompts, longest, from, longest)); // (prompts, vocab)
        for (int r = 0; r < prompts.size() && remembers; r++) {
            cache.remember(r, prompts.get(r));
        }
        if (going.size() == prompts.size()) {
            return logits;
        }
        cache.reorder(rowOf);
        return Functional.embedding(logits, Tensor.of(Arrays.stream(rowOf).asLongStream().toArray()));
    }

    /// Columns of the prompts as they stand beside each other, their ends in line; id 0 stands for padding.
    private static Tensor columns(List<int[]> prompts, int longest, int from, int to) {
        long[] ids = prompts.stream()
                .flatMapToLong(p -> IntStream.range(from, to)
                        .map(i -> i - longest + p.length)
                        .mapToLong(i -> i < 0 ? 0 : p[i]))
                .toArray();
        return Tensor.of(ids, prompts.size(), to - from);
    }

    /// The logits (B, vocab) after ids (B, T).
    private Tensor logits(Tensor ids) {
        Tensor hidden = generator.model().hidden(ids, Pass.decode(cache)); // (B, T, hidden)
        Tensor last = hidden.slice(1, ids.dim(1) - 1, ids.dim(1));
        return generator.model().head(last).squeeze(1);
    }

    private void choose(Tensor logits) {
        int vocab = logits.dim(1);
        float[] all = Finite.require(logits.toFloats(), generator.model().parameters());
        long[] chosen = new long[going.size()];
        for (int r = 0; r < chosen.length; r++) {
            Sequence s = going.get(r);
            float[] scores = Arrays.copyOfRange(all, r * vocab, (r + 1) * vocab);
            chosen[r] = generator.next(scores, s.ids(), s.made(), s.random);
        }
        double temperature = generator.logProbTemperature();
        Tensor scaled = temperature == 1 ? logits : logits.div(temperature);
        float[] losses = Functional.crossEntropy(scaled, Tensor.of(chosen), -1).toFloats();
        for (int r = 0; r < chosen.length; r++) {
            Sequence s = going.get(r);
            int id = (int) chosen[r];
            s.logProbs[s.made()] = -losses[r];
            s.ids[s.length++] = id;
            s.ended = s.length == s.ids.length || generator.ends(id);
            ready.add(new Token(s.index, id, -losses[r], s.ended));
        }
    }
}
