package dev.deckle.explain.story;

import dev.deckle.autograd.NoGrad;
import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.explain.Step;
import dev.deckle.explain.Values;
import dev.deckle.generate.BeamSearch;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TopK;
import dev.deckle.nn.BlockPool;
import dev.deckle.nn.BlockTable;
import dev.deckle.nn.ContiguousKvCache;
import dev.deckle.nn.GroupedQueryAttention;
import dev.deckle.nn.Init;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.PagedKvCache;
import dev.deckle.nn.Pass;
import dev.deckle.nn.RopeScaling;
import dev.deckle.nn.RotaryEmbedding;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// How text comes out of a model.
final class DecodingStories {
    private static final String GROUP = "decoding";

    private DecodingStories() {}

    static List<Part> parts() {
        return List.of(
                new Part("top-k", GROUP, "the k largest of a stream, by a small heap", TopK.class, Set.of("values"),
                        DecodingStories::topK),
                new Part("top-p", GROUP, "the fewest tokens that reach a probability; min-p", Sampler.class,
                        Set.of("values"), DecodingStories::topP),
                new Part("beam-search", GROUP, "a few likely continuations at once", BeamSearch.class, Set.of(),
                        DecodingStories::beamSearch),
                new Part("kv-cache", GROUP, "keys and values are kept, not computed again", KvCache.class,
                        Set.of("seed"), DecodingStories::kvCache),
                new Part("paged-kv", GROUP, "the cache in blocks that sequences share", PagedKvCache.class, Set.of(),
                        DecodingStories::paged));
    }

    private static Explanation topK(Options options) {
        float[] v = Small.values(options, 3, 1, 10, 5, 8, 20);
        int k = Math.min(3, v.length);
        Story story =
                new Story("top-k", "Top-k by a bounded heap", "The k largest numbers of a stream in memory for k: the "
                        + "smallest that is kept stands on top, and is what the next number must beat.");
        story.given("A stream; k = " + k, "stream", Tensor.of(v));
        TopK top = new TopK(k);
        for (float number : v) {
            boolean full = top.size() == k;
            boolean kept = top.push(number);
            story.step(
                    "Here comes "
                            + Small.plain(number),
                    full ? kept ? "larger than the top: takes its place and sinks" : "not larger than the top: dropped"
                            : "there is room: added at the end, and rises",
                    "", "heap", heap(top));
        }
        double[] largest = top.largest().stream().mapToDouble(TopK.Entry::value).toArray();
        story.result("The " + k + " largest", "O(n log k) time, O(k) memory", "", "largest", largest);
        float[] logits = v.clone();
        Sampler.keepTopK(logits, k);
        story.step("As a filter of logits: the rest is hidden", "-∞ below the k-th largest; what equals it stays", "",
                "logits", Tensor.of(logits));
        double[] ascending = Arrays.copyOf(IntStream.range(0, v.length).mapToDouble(i -> v[i]).sorted().toArray(), k);
        return story.mistake("A heap with the largest on top", "the newcomer replaces the top when it is smaller",
                "That keeps the k smallest.", "wrong", ascending, "right", largest).tell();
    }

    private static double[] heap(TopK top) {
        return top.heap().stream().mapToDouble(TopK.Entry::value).toArray();
    }

    private static Explanation topP(Options options) {
        float[] v = Small.values(options, 0.5, 0.3, 0.15, 0.05);
        float[] logits = new float[v.length];
        for (int i = 0; i < v.length; i++) {
            if (!(v[i] > 0)) {
                throw Small.bad("--values", "probabilities above 0 are expected");
            }
            logits[i] = (float) Math.log(v[i]);
        }
        Tensor p = Tensor.of(Sampler.softmax(logits)).to(DType.F32);
        Story story =
                new Story("top-p", "Top-p and min-p", "Sampling from the likely tokens only. Top-p keeps as many as it "
                        + "takes to reach p; min-p keeps what is not too far behind the best.");
        story.given("Probabilities of the next token", "probabilities", p);
        float[] sorted = p.toFloats();
        Arrays.sort(sorted);
        Tensor ascending = Tensor.of(sorted);
        story.step("From the least likely up", "running sum", "Top-p = 0.7 may drop 0.3 in all.", "ascending",
                ascending,
                "running sum", ascending.cumsum(0));
        float[] nucleus = logits.clone();
        Sampler.keepTopP(nucleus, 0.7);
        Tensor kept = Tensor.of(Sampler.softmax(nucleus)).to(p.dtype());
        story.result("Top-p = 0.7", "dropped while the sum is at most 1 - p; the rest shares what is left",
                "The token that crosses 0.7 stays.", "probabilities", kept);
        float[] relative = logits.clone();
        Sampler.keepMinP(relative, 0.2);
        story.step("Min-p = 0.2", "kept if at least 0.2 times the largest", "", "probabilities",
                Tensor.of(Sampler.softmax(relative)).to(p.dtype()));
        float[] wrong = logits.clone();
        float[] each = p.toFloats();
        for (int i = 0; i < wrong.length; i++) {
            double mine = each[i];
            double above = IntStream.range(0, each.length).mapToDouble(j -> each[j]).filter(q -> q > mine).sum();
            wrong[i] = above + mine > 0.7 + 1e-6 && above > 0 ? Float.NEGATIVE_INFINITY : logits[i];
        }
        return story.mistake("The crossing token dropped", "kept only while the sum from the top is at most p",
                "With p = 0.7 and a first token of 0.8 nothing would be left at all.", "wrong",
                Tensor.of(Sampler.softmax(wrong)).to(p.dtype()), "right", kept).tell();
    }

    /// Four tokens: 0 ends a sequence, 3 begins one; what comes next depends on the last one.
    private static final double[][] NEXT = {{1, 0, 0, 0}, {0.3, 0.4, 0.3, 0}, {0.9, 0.06, 0.04, 0}, {0.1, 0.5, 0.4, 0}};

    private static Explanation beamSearch(Options options) {
        Tensor table = Tensor.of(Arrays.stream(NEXT).flatMapToDouble(Arrays::stream).toArray(), 4, 4);
        Story story =
                new Story("beam-search", "Beam search", "Follows the likeliest few beginnings at once, because the "
                        + "likeliest first token need not begin the likeliest sequence.");
        story.given(
                "A tiny language: the probability of each next token (columns) after each token (rows). 0 ends, "
                        + "3 begins. Two beams; at most three tokens",
                "probabilities", table);
        BeamSearch.NextTokens model = (sequences, _) -> sequences.stream().map(DecodingStories::after).toArray(
                float[][]::new);
        BeamSearch search = new BeamSearch(2, 1, BeamSearch.EarlyStopping.FALSE);
        List<BeamSearch.Hypothesis> found = search.search(model, new int[] {3}, 3, Set.of(0), s -> show(story, s));
        BeamSearch.Hypothesis best = found.getFirst();
        story.result("The best", "score = Σ log p / length^penalty, the end token counted, the prompt not",
                words(best.ids()),
                "score", (float) best.score());
        BeamSearch.Hypothesis greedy = new BeamSearch(1, 1, BeamSearch.EarlyStopping.FALSE)
                .search(model, new int[] {3}, 3, Set.of(0), _ -> {})
                .getFirst();
        return story
                .mistake("One beam", "argmax at every step",
                        "Greedy takes token 1 first, because it is the likeliest, and has not ended after three "
                                + "tokens: " + words(greedy.ids()) + ".",
                        "wrong", (float) greedy.score(), "right", (float) best.score())
                .tell();
    }

    private static float[] after(int[] ids) {
        double[] p = NEXT[ids[ids.length - 1]];
        float[] logProbs = new float[p.length];
        for (int i = 0; i < p.length; i++) {
            logProbs[i] = (float) Math.log(p[i]);
        }
        return logProbs;
    }

    private static void show(Story story, BeamSearch.Step s) {
        int n = s.candidates().size();
        double[] rows = new double[3 * n];
        for (int i = 0; i < n; i++) {
            BeamSearch.Candidate c = s.candidates().get(i);
            rows[3 * i] = c.beam();
            rows[3 * i + 1] = c.token();
            rows[3 * i + 2] = Double.parseDouble(Float.toString((float) c.logProb()));
        }
        String kept = s.kept().stream().map(b -> words(b.ids())).collect(Collectors.joining(", "));
        String ended = s.finished()
                .stream()
                .map(h -> words(h.ids()) + String.format(Locale.ROOT, " (%.4f)", h.score()))
                .collect(Collectors.joining(", "));
        story.step("Token " + s.newTokens() + ": every beam continued by every token, the likeliest first",
                "log p = log p(beam) + log p(token | beam); only the first two of the list may end",
                "Kept: " + (kept.isEmpty() ? "none" : kept) + ". Ended: " + (ended.isEmpty() ? "none" : ended) + ".",
                "beam, token, log p", Values.of(rows, n, 3));
    }

    private static String words(int[] ids) {
        return Arrays.stream(ids).mapToObj(Integer::toString).collect(Collectors.joining(" "));
    }

    private static Explanation kvCache(Options options) {
        Generator random = new Generator(options.seed());
        int length = 3;
        Tensor x = Small.numbers(random, 1, length, 2);
        var rope = new RotaryEmbedding(2, 10_000, new RopeScaling.None(), RotaryEmbedding.Layout.HALF);
        var config = GroupedQueryAttention.Config.causal(2, 1, 1, 2, false, 0);
        var layer = Small.layer(random, w -> new GroupedQueryAttention(w, config, 0, Init.normal(1), rope));
        Story story =
                new Story("kv-cache", "Decoding with a KV cache", "A new token needs the keys and values of all before "
                        + "it, and these never change: keep them, and compute one position at a time.");
        story.axes("batch position width", "x", "decoded", "whole")
                .axes("batch head position width", "q", "k", "K", "V", "heard");
        story.given("Three positions, one head; weights from the same seed, not shown", "x", x);
        Tensor whole = layer.forward(x, Pass.evaluate());
        Tensor decoded = null;
        try (NoGrad _ = NoGrad.open(); KvCache cache = new ContiguousKvCache(length)) {
            for (int t = 0; t < length; t++) {
                Tensor one = x.slice(1, t, t + 1);
                decoded = story.watch(() -> layer.forward(one, Pass.decode(cache)));
                cache.advance(1);
                story.then("Rope", "q", "Position " + t + ": its query, turned by " + t, "q = rope(x W_q, " + t + ")")
                        .then("Rope", "k", "Its key, turned by " + t + ", joins the cache", "K = [K; rope(x W_k, " + t
                                + ")], V = [V; x W_v]");
                KvCache.KeysValues all = kept(cache);
                story.step("The cache now", t == 0 ? "1 position" : (t + 1) + " positions", "", "K", all.keys(), "V",
                        all.values());
                story.then("Attention", "heard", "One query asks all keys", "softmax(q Kᵀ / √D) V; then the "
                        + "output projection",
                        t == 0 ? "" : "No mask: everything in the cache is past.");
            }
        }
        story.result("The last position, as without a cache", "the same as the last row of the whole", "", "decoded",
                decoded,
                "whole", whole);
        Tensor last = x.slice(1, length - 1, length);
        try (NoGrad _ = NoGrad.open(); KvCache cache = new ContiguousKvCache(length)) {
            layer.forward(x.slice(1, 0, length - 1), Pass.decode(cache));
            Tensor wrong = layer.forward(last, Pass.decode(cache)); // the cache was not told of its positions
            return story.mistake("The position forgotten", "rope(q, 0) and the cache overwritten from its start",
                    "Without advance() the new token takes position 0, and the place of the first key.", "wrong", wrong,
                    "right", decoded).tell();
        }
    }

    /// What a cache holds: what appending nothing returns.
    private static KvCache.KeysValues kept(KvCache cache) {
        Tensor none = Tensor.zeros(1, 1, 0, 2);
        return cache.append(0, none, none);
    }

    private static Explanation paged(Options options) {
        List<String> events = new ArrayList<>();
        BlockPool pool = new BlockPool(6, 4, e -> events.add(said(e)));
        Story story = new Story("paged-kv", "Paged KV cache",
                "The cache in blocks of a few positions, as an operating system "
                        + "keeps memory in pages: sequences take blocks as they grow and share those that hold "
                        + "the same beginning.");
        story.given("A pool of 6 blocks of 4 positions", "references", references(pool));
        int together;
        int apart;
        try (BlockTable prompt = new BlockTable(pool)) {
            prompt.write(0, 6);
            together = pool.used();
            told(story, "A prompt of 6 positions takes two blocks",
                    "position p is in block table[p / 4] at place p mod 4",
                    events, pool, prompt);
            try (BlockTable second = prompt.fork(6)) {
                told(story, "A second answer to the same prompt: nothing is copied",
                        "one reference more for each block",
                        events, pool, prompt, second);
                second.write(6, 7);
                told(story, "The second writes position 6: into a shared block, so it gets a copy", "copy on write",
                        events, pool, prompt, second);
                prompt.write(6, 7);
                told(story, "The first writes position 6: nobody shares its block any more", "no copy", events, pool,
                        prompt, second);
                apart = pool.used();
                second.write(7, 9);
                told(story, "The second grows past its block", "one block more", events, pool, prompt, second);
            }
            told(story, "The second ends: its own blocks are free again, the shared one stays", "references - 1",
                    events,
                    pool, prompt);
        }
        double[] lengths = {100, 500, 1000, 2000};
        double[] waste = new double[4];
        double[] whole = new double[4];
        for (int i = 0; i < 4; i++) {
            double taken = 16 * Math.ceil(lengths[i] / 16);
            waste[i] = Double.parseDouble(Float.toString((float) (100 * (taken - lengths[i]) / taken)));
            whole[i] = Double.parseDouble(Float.toString((float) (100 * (2048 - lengths[i]) / 2048)));
        }
        story.result("Waste in per cent: only in the last block", "blocks of 16 against a buffer of 2,048 positions",
                "",
                "length", lengths, "paged", waste, "contiguous", whole);
        return story.mistake("The last block shared without a copy", "both write position 6 at place 2 of block 1",
                "Each answer overwrites the other's newest key; only full blocks can stay shared. In use, after "
                        + "the first write of each:",
                "wrong", together, "right", apart).tell();
    }

    private static void told(
            Story story, String title, String formula, List<String> events, BlockPool pool, BlockTable... tables) {
        List<Object> values = new ArrayList<>(List.of("references", references(pool)));
        for (int i = 0; i < tables.length; i++) {
            values.add("table " + (i + 1));
            values.add(Arrays.stream(tables[i].blocks()).asDoubleStream().toArray());
        }
        story.step(title, formula, events.isEmpty() ? "" : String.join("; ", events) + ".", values.toArray());
        events.clear();
    }

    private static double[] references(BlockPool pool) {
        return IntStream.range(0, pool.blocks()).mapToDouble(pool::references).toArray();
    }

    private static String said(BlockPool.Event e) {
        return switch (e) {
            case BlockPool.Event.Allocated(int b) -> "block " + b + " taken";
            case BlockPool.Event.Shared(int b, int n) -> "block " + b + " shared by " + n;
            case BlockPool.Event.Copied(int from, int to) -> "block " + from + " copied to " + to;
            case BlockPool.Event.Released(int b, int n) -> "block " + b + (n == 0 ? " free" : " has " + n + " left");
        };
    }
}
