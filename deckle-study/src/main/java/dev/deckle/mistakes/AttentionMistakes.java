package dev.deckle.mistakes;

import dev.deckle.nn.Attended;
import dev.deckle.parity.Component;
import dev.deckle.parity.GoldenCase;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Attention in all its kinds, in plain tensor operations: every score is in memory, and shared key heads are repeated.
public final class AttentionMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        NO_SCALE("without 1/sqrt(D) scores grow with the width and softmax takes one key alone: easily left out"),
        SCALE_WITHOUT_ROOT("dividing by D in place of sqrt(D) makes all weights nearly equal: the root is forgotten"),
        SOFTMAX_OVER_QUERIES("each key's weights sum to 1, not each query's: dim=-2 looks as good as dim=-1"),
        KEYS_FOR_VALUES("the weights are applied to the keys: q, k and v have the same shape, so nothing complains"),
        CAUSAL_TOP_LEFT("with more keys than queries the last query misses the newest keys: tril as it comes"),
        CAUSAL_SEES_THE_NEXT("each query sees one key too many, the answer itself: tril with diagonal=1"),
        TILED_KEY_HEADS("query head h reads key head h mod G where it should read h / (H/G): repeat is not interleave"),
        MASK_TURNED_ROUND("1 hides and 0 shows: key_padding_mask of PyTorch means the opposite of attention_mask"),
        MASK_AFTER_SOFTMAX("hidden keys are zeroed after softmax, so the rest no longer sums to 1"),
        MASK_HIDES_QUERIES("the padding mask is laid over rows: padded queries are hidden, padded keys still seen"),
        MASK_OF_MINUS_1E20("a query that sees no key gets the mean of all values, padding included, not zeros"),
        DROPOUT_IN_EVALUATION("results change from call to call: eval() is forgotten, or dropout has no switch"),
        HEADS_WITHOUT_TRANSPOSE("reshape(B, H, T, D) at once mixes positions into heads: view(B, T, H, D) comes first"),
        JOIN_WITHOUT_TRANSPOSE("heads are joined without going back to (B, T, H, D), which mixes positions again"),
        KEYS_BY_THE_QUERY_MATRIX("keys are made with query_proj, copied from the line above: scores are symmetric"),
        NO_OUTPUT_PROJECTION("heads are joined but never mixed: shapes fit without o_proj"),
        QKV_IN_ANOTHER_ORDER("the fused result is cut as key, query, value: nothing but the checkpoint knows"),
        FIRST_STAGE_UNMASKED("padding flows into the summary: the mask is passed to the second stage only, or nowhere");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    /// What is added to plain attention.
    ///
    /// @param visible 1 for visible, expands to (B, H, T, S)
    /// @param bias added to the scores
    /// @param causal query i sees keys up to i + S - T
    public record Masks(Optional<Tensor> visible, Optional<Tensor> bias, boolean causal) {
        public static Masks none() {
            return new Masks(Optional.empty(), Optional.empty(), false);
        }

        static Masks of(Optional<Tensor> visible) {
            return new Masks(visible, Optional.empty(), false);
        }
    }

    private AttentionMistakes() {}

    /// q (B, H, T, D), k (B, G, S, D), v (B, G, S, E) to (B, H, T, E), with scale 1/sqrt(D).
    public static Tensor attention(Tensor q, Tensor k, Tensor v, Slip slip) {
        return attention(q, k, v, Masks.none(), slip).output();
    }

    /// The same under masks, with the weights (B, H, T, S).
    public static Attended attention(Tensor q, Tensor k, Tensor v, Masks masks, Slip slip) {
        Tensor keys = repeat(k, q.dim(1), slip); // (B, H, S, D)
        Tensor values = repeat(slip == Slip.KEYS_FOR_VALUES ? k : v, q.dim(1), slip); // (B, H, S, E)
        Tensor scores = q.matmul(keys.t()).mul(scale(q.dim(3), slip)); // (B, H, T, S)
        if (masks.bias.isPresent()) {
            scores = scores.add(masks.bias.get());
        }
        Tensor visible = visible(scores, masks, slip);
        Tensor weights = softmax(scores, visible, slip);
        Tensor kept = slip == Slip.DROPOUT_IN_EVALUATION ? dropout(weights) : weights;
        return new Attended(kept.matmul(values), weights);
    }

    private static double scale(int width, Slip slip) {
        return switch (slip) {
            case NO_SCALE -> 1;
            case SCALE_WITHOUT_ROOT -> 1.0 / width;
            default -> 1 / Math.sqrt(width);
        };
    }

    /// (B, G, S, D) to (B, H, S, D): each key head for H/G query heads.
    private static Tensor repeat(Tensor x, int heads, Slip slip) {
        int b = x.dim(0);
        int groups = x.dim(1);
        int s = x.dim(2);
        int d = x.dim(3);
        Tensor repeated = slip == Slip.TILED_KEY_HEADS
                ? x.reshape(b, 1, groups, s, d).expand(b, heads / groups, groups, s, d)
                : x.reshape(b, groups, 1, s, d).expand(b, groups, heads / groups, s, d);
        return repeated.reshape(b, heads, s, d);
    }

    /// 1 where a query may look, 0 where not: expands to the scores.
    private static Tensor visible(Tensor scores, Masks masks, Slip slip) {
        Tensor visible = masks.visible.map(m -> m.to(scores.dtype())).orElse(Tensor.ones(1).to(scores.dtype()));
        if (masks.visible.isPresent() && slip == Slip.MASK_TURNED_ROUND) {
            visible = visible.affine(-1, 1);
        }
        if (masks.visible.isPresent() && slip == Slip.MASK_HIDES_QUERIES && visible.dim(2) == 1) {
            visible = visible.t(); // (B, 1, 1, S) -> (B, 1, S, 1): fits where T = S
        }
        return masks.causal ? visible.mul(causal(scores, slip)) : visible;
    }

    private static Tensor causal(Tensor scores, Slip slip) {
        int queries = scores.dim(2);
        int keys = scores.dim(3);
        int ahead = switch (slip) {
            case CAUSAL_TOP_LEFT -> 0;
            case CAUSAL_SEES_THE_NEXT -> keys - queries + 1;
            default -> keys - queries;
        };
        double[] sees = new double[queries * keys];
        for (int i = 0; i < sees.length; i++) {
            sees[i] = i % keys <= i / keys + ahead ? 1 : 0;
        }
        return Tensor.of(sees, queries, keys).to(scores.dtype()); // (T, S)
    }

    /// A hidden key weighs nothing, and where all are hidden all weigh nothing.
    private static Tensor softmax(Tensor scores, Tensor visible, Slip slip) {
        int dim = slip == Slip.SOFTMAX_OVER_QUERIES ? 2 : 3;
        Tensor zero = Tensor.zeros(scores.dtype(), Shape.SCALAR);
        Tensor see = visible.to(DType.BOOL);
        if (slip == Slip.MASK_AFTER_SOFTMAX) {
            return scores.softmax(dim).where(see, zero);
        }
        Tensor masked = scores.where(see, Tensor.full(scores.dtype(), -1e20));
        if (slip == Slip.MASK_OF_MINUS_1E20) {
            return masked.softmax(dim);
        }
        Tensor e = masked.sub(masked.max(dim, true).detach()).exp().where(see, zero);
        Tensor sum = e.sum(dim, true);
        return e.div(sum.where(sum.gt(zero), Tensor.full(scores.dtype(), 1)));
    }

    static Tensor dropout(Tensor x) {
        Tensor keep = new Generator(0).bernoulli(0.9, x.shape().toArray()).to(x.dtype());
        return x.mul(keep).div(0.9);
    }

    /// x (B, T, H*D) to (B, H, T, D).
    static Tensor split(Tensor x, int heads, Slip slip) {
        int b = x.dim(0);
        int t = x.dim(1);
        int d = x.dim(2) / heads;
        return slip == Slip.HEADS_WITHOUT_TRANSPOSE ? x.reshape(b, heads, t, d)
                : x.reshape(b, t, heads, d).transpose(1, 2);
    }

    /// y (B, H, T, D) to (B, T, H*D).
    static Tensor join(Tensor y, Slip slip) {
        Tensor positions = slip == Slip.JOIN_WITHOUT_TRANSPOSE ? y : y.transpose(1, 2);
        return positions.reshape(y.dim(0), y.dim(2), y.dim(1) * y.dim(3));
    }

    static Tensor linear(GoldenCase.Run r, String name, Tensor x) {
        return Functional.linear(x, r.parameter(name + ".weight"), Optional.of(r.parameter(name + ".bias")));
    }

    /// (B, S) over keys to (B, 1, 1, S).
    static Optional<Tensor> overKeys(Optional<Tensor> mask) {
        return mask.map(m -> m.rank() == 2 ? m.reshape(m.dim(0), 1, 1, m.dim(1)) : m);
    }

    static List<Exercise> exercises() {
        return List.of(
                Exercise.of("scaled-dot-product-attention").golden("scaled_dot_product_attention",
                        AttentionMistakes::scaledDotProduct, Slip.NONE,
                        List.of(Slip.NO_SCALE, Slip.SCALE_WITHOUT_ROOT, Slip.SOFTMAX_OVER_QUERIES, Slip.KEYS_FOR_VALUES,
                                Slip.CAUSAL_TOP_LEFT, Slip.CAUSAL_SEES_THE_NEXT, Slip.TILED_KEY_HEADS,
                                Slip.MASK_TURNED_ROUND, Slip.MASK_AFTER_SOFTMAX, Slip.MASK_OF_MINUS_1E20)),
                Exercise.of("self-attention").golden("self_attention", AttentionMistakes::selfAttention, Slip.NONE,
                        List.of(Slip.NO_SCALE, Slip.SOFTMAX_OVER_QUERIES, Slip.KEYS_FOR_VALUES, Slip.MASK_TURNED_ROUND,
                                Slip.MASK_HIDES_QUERIES, Slip.MASK_AFTER_SOFTMAX, Slip.DROPOUT_IN_EVALUATION,
                                Slip.NO_OUTPUT_PROJECTION, Slip.QKV_IN_ANOTHER_ORDER)),
                heads("multi-head-attention", List.of(Slip.NO_SCALE, Slip.SOFTMAX_OVER_QUERIES, Slip.MASK_AFTER_SOFTMAX,
                        Slip.HEADS_WITHOUT_TRANSPOSE, Slip.JOIN_WITHOUT_TRANSPOSE, Slip.KEYS_BY_THE_QUERY_MATRIX,
                        Slip.NO_OUTPUT_PROJECTION, Slip.DROPOUT_IN_EVALUATION)),
                heads("multi-query-attention", List.of(Slip.NO_SCALE, Slip.SCALE_WITHOUT_ROOT, Slip.MASK_TURNED_ROUND,
                        Slip.HEADS_WITHOUT_TRANSPOSE, Slip.KEYS_FOR_VALUES)),
                heads("grouped-query-attention", List.of(Slip.TILED_KEY_HEADS, Slip.NO_SCALE, Slip.MASK_HIDES_QUERIES,
                        Slip.HEADS_WITHOUT_TRANSPOSE, Slip.JOIN_WITHOUT_TRANSPOSE)),
                Exercise.of("latent-query-attention").golden("latent_query_attention", AttentionMistakes::latentQueries,
                        Slip.NONE, List.of(Slip.FIRST_STAGE_UNMASKED, Slip.NO_SCALE, Slip.SOFTMAX_OVER_QUERIES,
                                Slip.HEADS_WITHOUT_TRANSPOSE, Slip.KEYS_FOR_VALUES)));
    }

    private static Exercise heads(String part, List<Slip> slips) {
        return Exercise.of(part).golden(part.replace('-', '_'), AttentionMistakes::groupedHeads, Slip.NONE, slips);
    }

    private static Component scaledDotProduct(Slip slip) {
        return r -> {
            boolean causal = r.config().has("causal");
            Tensor q = r.input("q");
            // the cases give the scale that the width would: here it is worked out
            if (Math.abs(r.config().real("scale") - 1 / Math.sqrt(q.dim(3))) > 1e-9) {
                throw new IllegalArgumentException("config key scale is not 1/sqrt(" + q.dim(3) + ")");
            }
            return Map.of("y", attention(q, r.input("k"), r.input("v"), new Masks(r.find("mask"), r.find("bias"),
                    causal), slip).output());
        };
    }

    private static Component selfAttention(Slip slip) {
        return r -> {
            int hidden = r.config().integer("hidden_size");
            int stage = r.config().integer("stage");
            Tensor x = r.input("x");
            List<Tensor> qkv = stage == 1
                    ? List.of(linear(r, "query_proj", x), linear(r, "key_proj", x), linear(r, "value_proj", x))
                    : linear(r, "proj", x).chunk(3, -1);
            boolean swapped = slip == Slip.QKV_IN_ANOTHER_ORDER && stage > 1;
            Attended a = attention(qkv.get(swapped ? 1 : 0).unsqueeze(1), qkv.get(swapped ? 0 : 1).unsqueeze(1),
                    qkv.get(2).unsqueeze(1), Masks.of(overKeys(r.find("mask"))), slip);
            Tensor y = a.output().reshape(x.dim(0), x.dim(1), hidden); // (B, 1, T, hidden) -> (B, T, hidden)
            if (stage > 2) {
                Tensor projected = linear(r, "output_proj", y);
                y = slip == Slip.NO_OUTPUT_PROJECTION ? y : projected;
            }
            return Map.of("y", y, "weights", a.weights().squeeze(1));
        };
    }

    private static Component groupedHeads(Slip slip) {
        return r -> {
            int hidden = r.config().integer("hidden_size");
            int heads = r.config().integer("head_num");
            int kv = r.config().integer("kv_head_num");
            int shared = hidden / heads * kv;
            Tensor x = r.input("x");
            boolean fused = r.config().flag("fused_qkv", false);
            Tensor all = fused ? linear(r, "qkv_proj", x) : x;
            Tensor q = fused ? all.slice(-1, 0, hidden) : linear(r, "q_proj", x);
            Tensor k = fused ? all.slice(-1, hidden, hidden + shared) : linear(r, "k_proj", x);
            Tensor v = fused ? all.slice(-1, hidden + shared, all.dim(-1)) : linear(r, "v_proj", x);
            Attended a = attention(split(q, heads, slip),
                    split(slip == Slip.KEYS_BY_THE_QUERY_MATRIX ? q : k, kv, slip), split(v, kv, slip),
                    Masks.of(overKeys(r.find("mask"))), slip);
            Tensor joined = join(a.output(), slip);
            Tensor projected = linear(r, "o_proj", joined);
            return Map.of("y", slip == Slip.NO_OUTPUT_PROJECTION ? joined : projected, "weights", a.weights());
        };
    }

    private static Component latentQueries(Slip slip) {
        return r -> {
            int heads = r.config().integer("head_num");
            Tensor x = r.input("x");
            Tensor latent = r.parameter("latent_q"); // (1, latent_len, hidden)
            Tensor asks = latent.expand(x.dim(0), r.config().integer("latent_len"), r.config().integer("hidden_size"));
            Optional<Tensor> mask = overKeys(r.find("mask"));
            Tensor summary = attention(split(asks, heads, slip), split(linear(r, "k_proj", x), heads, slip),
                    split(linear(r, "v_proj", x), heads, slip),
                    slip == Slip.FIRST_STAGE_UNMASKED ? Masks.none() : Masks.of(mask), slip).output();
            Attended a = attention(split(linear(r, "q_proj", x), heads, slip), summary, summary, Masks.none(), slip);
            return Map.of("y", linear(r, "o_proj", join(a.output(), slip)), "weights", a.weights());
        };
    }
}
