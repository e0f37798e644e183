package dev.deckle.explain.story;

import dev.deckle.autograd.NoGrad;
import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.explain.Values;
import dev.deckle.nn.Attended;
import dev.deckle.nn.AttentionMask;
import dev.deckle.nn.ContiguousKvCache;
import dev.deckle.nn.Dropout;
import dev.deckle.nn.GroupedQueryAttention;
import dev.deckle.nn.Init;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.LatentQueryAttention;
import dev.deckle.nn.MultiHeadLatentAttention;
import dev.deckle.nn.Pass;
import dev.deckle.nn.RopeScaling;
import dev.deckle.nn.RotaryEmbedding;
import dev.deckle.nn.SelfAttention;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// The family of attention layers.
final class AttentionStories {
    private static final String GROUP = "attention";
    private static final int LENGTH = 3;
    private static final int HEAD = 2; // the width of a head

    private AttentionStories() {}

    static List<Part> parts() {
        return List.of(
                new Part("self-attention", GROUP, "one head: who listens to whom, and what is heard",
                        SelfAttention.class, Set.of("seed"),
                        AttentionStories::selfAttention),
                new Part("mha", GROUP, "multi-head attention under a padding mask", GroupedQueryAttention.class,
                        Set.of("seed", "heads"),
                        AttentionStories::multiHead),
                new Part("mqa", GROUP, "multi-query attention: one key and value head for all",
                        GroupedQueryAttention.class, Set.of("seed", "heads"),
                        AttentionStories::multiQuery),
                new Part("gqa", GROUP, "grouped-query attention: a key and value head for each group",
                        GroupedQueryAttention.class, Set.of("seed", "heads", "kv-heads"),
                        AttentionStories::groupedQuery),
                new Part("latent-query", GROUP, "learned queries sum the sequence up, positions ask the summary",
                        LatentQueryAttention.class, Set.of("seed"), AttentionStories::latentQuery),
                new Part("mla", GROUP, "DeepSeek's latent attention: one narrow vector a position is cached",
                        MultiHeadLatentAttention.class, Set.of("seed"), AttentionStories::latent));
    }

    private static Explanation selfAttention(Options options) {
        Generator random = new Generator(options.seed());
        Tensor x = Small.numbers(random, 1, LENGTH, 4);
        var layer = Small.layer(random, w -> new SelfAttention.Masked(w, 4, new Dropout(0)));
        Tensor mask = Tensor.of(new long[] {1, 1, 0}, 1, LENGTH);
        Story story =
                new Story("self-attention", "Self-attention", "Each position asks (query) what the others offer (key) "
                        + "and takes a mean of what they say (value), weighted by how well the two fit.");
        story.axes("batch query key", "scores")
                .axes("batch head query key", "masked", "weights", "wrong", "right")
                .axes("batch position width", "x", "qkv", "heard", "y");
        story.given("Three positions of width 4; the last one is padding; weights from the same seed, not "
                + "shown", "x", x, "attention_mask", mask);
        story.watch(() -> layer.forward(x, Optional.of(mask), Pass.evaluate()));
        story.then("Linear", "qkv", "One projection makes queries, keys and values", "[q k v] = x Wᵀ + b",
                "Stage 2: one "
                        + "matrix of three times the width in place of three. Columns 0-3 are q, 4-7 k, 8-11 v.");
        Tensor qkv = story.get("qkv");
        story.then("Affine", "scores", "How well each query fits each key", "scores = q kᵀ / √4",
                "Without the division the softmax of wide heads takes one key only, and its gradient vanishes.")
                .then("Where", "masked", "Padding is hidden from every query", "-∞ where the mask is 0",
                        "The mask hides columns (keys), not rows (queries).")
                .then("Softmax", "weights", "Each row becomes shares that sum to 1", "weights = softmax(masked)")
                .skip("Where")
                .then("MatMul", "heard", "Each position's mean of the values", "heard = weights v")
                .output("Linear", "y", "Projected once more", "y = heard W_oᵀ + b_o");
        List<Tensor> parts = qkv.chunk(3, -1);
        Tensor scores = parts.get(0).matmul(parts.get(1).t()).unsqueeze(1);
        Tensor visible = AttentionMask.visible(mask, 1, 1, LENGTH, LENGTH);
        return story.mistake("No division by √d", "softmax(q kᵀ), masked as before", "The shares are sharper than they "
                + "should be.", "wrong", AttentionMask.softmax(scores, visible), "right", story.get("weights")).tell();
    }

    private static Explanation multiHead(Options options) {
        int heads = heads(options, 2);
        return story(options, "mha", "Multi-head attention",
                "Several attentions side by side, each on its own slice of the "
                        + "width, so that a position can ask several questions at once.",
                heads, heads);
    }

    private static Explanation multiQuery(Options options) {
        int heads = heads(options, 3);
        return story(options, "mqa", "Multi-query attention", "All query heads read one key and value head: the cache "
                + "shrinks by the number of heads.", heads, 1);
    }

    private static Explanation groupedQuery(Options options) {
        int heads = heads(options, 4);
        int kvHeads = options.kvHeads().orElse(2);
        if (kvHeads < 1 || heads % kvHeads != 0) {
            throw Small.bad("--kv-heads " + kvHeads, "a divisor of the " + heads + " query heads is expected");
        }
        return story(options, "gqa", "Grouped-query attention",
                "Neighbouring query heads share a key and value head: query "
                        + "head h reads key head h / (H/G), rounded down.",
                heads, kvHeads);
    }

    private static int heads(Options options, int otherwise) {
        int heads = options.heads().orElse(otherwise);
        if (heads < 1 || heads > 16) {
            throw Small.bad("--heads " + heads, "1 to 16 can be shown");
        }
        return heads;
    }

    private static Explanation story(Options options, String name, String title, String idea, int heads, int kvHeads) {
        Generator random = new Generator(options.seed());
        int hidden = heads * HEAD;
        Tensor x = Small.numbers(random, 1, LENGTH, hidden);
        var config = GroupedQueryAttention.Config.grouped(hidden, heads, kvHeads);
        var layer = Small.layer(random, w -> new GroupedQueryAttention(w, config));
        boolean padded = name.equals("mha");
        Optional<Tensor> mask = padded ? Optional.of(Tensor.of(new long[] {1, 1, 0}, 1, LENGTH)) : Optional.empty();
        Story story = new Story(name, title, idea)
                .axes("batch position width", "x", "y")
                .axes("batch head position width", "q", "k", "v", "heard")
                .axes("batch head query key", "scores", "masked", "weights", "wrong", "right");
        if (padded) {
            story.given("Three positions; the last one is padding; weights from the same seed, not "
                    + "shown", "x", x, "attention_mask", mask.get());
        } else {
            story.given("Three positions; weights from the same seed, not shown", "x", x);
        }
        story.watch(() -> layer.forwardWithWeights(x, mask, Pass.evaluate()));
        story.skip("Linear")
                .then("Permute", "q", Small.count(heads, "query head", "query heads"), "q = x W_qᵀ + b_q, (T, "
                        + "H·D) → (H, T, D)")
                .skip("Linear")
                .then("Permute", "k", Small.count(kvHeads, "key head", "key heads"),
                        "k = x W_kᵀ + b_k, (T, G·D) → (G, T, D)")
                .skip("Linear")
                .then("Permute", "v", "As many value heads", "v = x W_vᵀ + b_v, (T, G·D) → (G, T, D)");
        String scores = "scores_h = q_h k_gᵀ / √D, g = ⌊h / " + heads / kvHeads + "⌋";
        if (kvHeads == heads) {
            story.then("Affine", "scores", "Each head's scores", "scores_h = q_h k_hᵀ / √D");
        } else {
            story.skip("Affine").then("Reshape", "scores", "Each query head's scores with its group's keys", scores);
        }
        if (padded) {
            story.then("Where", "masked", "The padding is hidden", "-∞ where the mask is 0");
        }
        story.then("Softmax", "weights", "Shares of each row", "weights = softmax(scores)");
        if (padded) {
            story.skip("Where");
        }
        if (kvHeads != heads) {
            story.skip("MatMul");
        }
        story.then(kvHeads == heads ? "MatMul" : "Reshape", "heard", "What each head hears", "heard_h = weights_h v_g")
                .output("Linear", "y", "Heads side by side again, and projected", "y = concat(heard) W_oᵀ + b_o");
        if (kvHeads == heads) {
            interview(story);
        } else if (kvHeads > 1) {
            tiled(story, heads, kvHeads);
        } else {
            scaledByHidden(story, hidden);
        }
        return story.tell();
    }

    /// The notebook's interview answer.
    private static void interview(Story story) {
        Tensor q = story.get("q");
        story.mistake("Keys and values made with the query's matrix", "k = x W_qᵀ + b_q; shown are the scores",
                "The notebook's interview version does this. The scores become symmetric, and W_k and W_v are never "
                        + "trained.",
                "wrong", q.matmul(q.t()).mul(1 / Math.sqrt(HEAD)), "right", story.get("scores"));
    }

    private static void tiled(Story story, int heads, int kvHeads) {
        Tensor q = story.get("q");
        Tensor k = Functional.concat(Collections.nCopies(heads / kvHeads, story.get("k")), 1); // k0 k1 k0 k1
        story.mistake("Key heads tiled in place of interleaved", "g = h mod " + kvHeads,
                "torch.repeat in place of repeat_interleave: shapes fit and nothing complains, but query head 1 "
                        + "reads the "
                        + "wrong group.",
                "wrong", q.matmul(k.t()).mul(1 / Math.sqrt(HEAD)).softmax(-1), "right",
                story.get("weights"));
    }

    private static void scaledByHidden(Story story, int hidden) {
        Tensor scores = story.get("scores").mul(Math.sqrt(HEAD) / Math.sqrt(hidden));
        story.mistake("Scaled by the hidden size", "q kᵀ / √" + hidden, "The width of a head, " + HEAD
                + ", is what counts: the weights come out too even.", "wrong", scores.softmax(-1), "right",
                story.get("weights"));
    }

    private static Explanation latentQuery(Options options) {
        Generator random = new Generator(options.seed());
        int length = 4;
        Tensor x = Small.numbers(random, 1, length, 4);
        var layer = Small.layer(random, w -> new LatentQueryAttention(w, 4, 2, 2, new Dropout(0)));
        Story story = new Story("latent-query", "Learned latent queries",
                "Two learned queries first gather the sequence into "
                        + "a summary of length 2; every position then asks the summary. Linear in the length, "
                        + "but it forgets "
                        + "positions, and it is not DeepSeek's latent attention (see mla).");
        story.axes("batch position width", "x", "y", "wrong", "right")
                .axes("batch head position width", "k", "v", "q", "heard")
                .axes("batch head latent width", "latent_q", "summary")
                .axes("batch head query latent", "weights");
        story.given("Four positions; weights from the same seed, not shown", "x", x);
        Attended a = story.watch(() -> layer.forwardWithWeights(x, Optional.empty(), Pass.evaluate()));
        story.then("Permute", "latent_q", "The learned queries, cut into two heads", "(L, H·D) → (H, L, D)")
                .skip("Linear")
                .then("Permute", "k", "Keys of the sequence", "k = x W_kᵀ + b_k")
                .skip("Linear")
                .then("Permute", "v", "Values of the sequence", "v = x W_vᵀ + b_v")
                .then("Attention", "summary", "Stage 1: the latent queries ask the sequence",
                        "summary = softmax(latent_q kᵀ / √D) v", "The summary serves as keys and as values.")
                .skip("Linear")
                .then("Permute", "q", "The positions' own queries", "q = x W_qᵀ + b_q")
                .then("Softmax", "weights", "Stage 2: the positions ask the summary",
                        "weights = softmax(q summaryᵀ / √D)", "(H, T, L): its width no longer grows with the sequence.")
                .then("MatMul", "heard", "What they hear", "heard = weights summary")
                .output("Linear", "y", "Projected", "y = concat(heard) W_oᵀ + b_o");
        Tensor otherEnd = Functional.concat(
                List.of(x.slice(1, 0, length - 1), x.slice(1, length - 1, length).neg()), 1);
        Tensor changed = layer.forward(otherEnd, Optional.empty(), Pass.evaluate());
        return story.mistake("Used in a decoder", "the result of position 0, after the last position has changed "
                + "its sign",
                "Each summary has seen every position, later ones too: what is said first depends on what comes "
                        + "last. No "
                        + "mask on stage 2 can mend that.",
                "wrong", changed.slice(1, 0, 1), "right", a.output().slice(1, 0, 1)).tell();
    }

    private static Explanation latent(Options options) {
        Generator random = new Generator(options.seed());
        var config = new MultiHeadLatentAttention.Config(4, 2, 0, 3, 2, 2, 2, 1e-6);
        var rope = new RotaryEmbedding(2, 10_000, new RopeScaling.None(), RotaryEmbedding.Layout.INTERLEAVED);
        Tensor x = Small.numbers(random, 1, LENGTH, 4);
        var layer = Small.layer(random, w -> new MultiHeadLatentAttention(w, config, 0, Init.normal(1), rope));
        Story story = new Story("mla", "Multi-head latent attention",
                "The keys and values of all heads are functions of one "
                        + "narrow vector a position, the latent, and only that is cached. Position comes in "
                        + "through a small "
                        + "rotated key that all heads share.");
        story.axes("batch position width", "x", "q", "latent | k_rope", "latent", "k_nope | v", "y", "decoded", "wrong",
                "right")
                .axes("batch head position width", "q_rope", "k_rope", "heard", "q'", "gathered");
        story.given("Three positions; weights from the same seed, not shown", "x", x);
        Tensor whole = story.watch(() -> layer.forward(x, Pass.evaluate()));
        story.then("Linear", "q", "Queries of two heads: a part without position and a part to be rotated",
                "q = x W_qᵀ, each head [2 | 2]")
                .then("Rope", "q_rope", "The second part, turned by its position", "rope(q_rope, p)")
                .then("Linear", "latent | k_rope", "One narrow vector a position: the latent and the shared key",
                        "x W_kvaᵀ, [3 | 2]")
                .then("RmsNorm", "latent", "The latent, normalised: this is cached", "c = rms_norm(latent)")
                .then("Rope", "k_rope", "The shared key, turned: and this", "rope(k_rope, p)")
                .then("Linear", "k_nope | v", "Keys and values of all heads, out of the latent", "c W_kvbᵀ, each head "
                        + "[2 | 2]", "In training they are expanded like this.")
                .then("Attention", "heard", "Attention with both parts of query and key",
                        "softmax((q_nope k_nopeᵀ + q_rope k_ropeᵀ) / √(2 + 2)) v, causal")
                .output("Linear", "y", "Projected", "y = concat(heard) W_oᵀ");
        try (NoGrad _ = NoGrad.open(); KvCache cache = new ContiguousKvCache(LENGTH)) {
            layer.forward(x.slice(1, 0, LENGTH - 1), Pass.decode(cache));
            cache.advance(LENGTH - 1);
            Tensor last = x.slice(1, LENGTH - 1, LENGTH);
            Tensor decoded = story.watch(() -> layer.forward(last, Pass.decode(cache)));
            story.skip("Rope")
                    .skip("Rope")
                    .then("MatMul", "q'", "Decoding the last position, absorbed: the key matrix goes to the query",
                            "q' = q_nope W_k", "(H, 1, 3): it now meets the cached latents themselves.")
                    .then("Attention", "gathered", "The latents serve as keys and values of one shared head",
                            "softmax((q' cᵀ + q_rope k_ropeᵀ) / √4) c")
                    .then("MatMul", "heard", "The value matrix comes last", "gathered W_vᵀ");
            story.result("The same result as before, for the last position",
                    "cached a position: 3 + 2 = 5 numbers; expanded keys and values would be 2 (4 + 2) = 12", "",
                    "decoded",
                    decoded, "y, last row", whole.slice(1, LENGTH - 1, LENGTH));
        }
        Tensor raw = story.get("latent | k_rope").slice(-1, 0, 3);
        return story.mistake("The latent cached before its norm", "c = latent",
                "Keys and values are made of the normalised latent: without the norm, the values and the part of "
                        + "the scores without position are off by the size of each row.",
                "wrong", raw, "right",
                story.get("latent")).tell();
    }
}
