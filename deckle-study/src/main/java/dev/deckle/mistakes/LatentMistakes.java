package dev.deckle.mistakes;

import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;

/// Multi-head latent attention at one decoding step: one query, S cached positions.
public final class LatentMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        SCALE_OF_NOPE_ALONE("1/sqrt(D_nope): a score is made of D_nope + D_rope products"),
        LATENT_BEFORE_ITS_NORM("the cache holds the latent as it was projected: the norm comes before both matrices"),
        ROTARY_KEY_FORGOTTEN("once absorbed, scores are made of latents alone: the shared rotated key is left out"),
        LATENT_ROTATED("positions are put into the latent itself: then keys and values can no longer be absorbed"),
        VALUES_BY_THE_KEY_MATRIX("kv_b_proj is cut as value, key: both halves have the same shape"),
        HEADS_CUT_BEFORE_PARTS("kv_b_proj is cut in two halves first: each head has its own key and value rows"),
        POSITION_FROM_ZERO("the query is rotated as if its token were the first: position = cache length");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private static final double EPS = 1e-6;
    private static final double BASE = 100;

    private LatentMistakes() {}

    /// What a step is given.
    ///
    /// @param qNope (1, H, 1, D) and `qRope` (1, H, 1, R), not yet rotated: of the newest position
    /// @param latent (1, 1, S, C), as projected, and `kRope` (1, 1, S, R), not yet rotated
    /// @param kvB (H * 2 D, C): of each head D rows for keys and D for values
    public record Step(Tensor qNope, Tensor qRope, Tensor latent, Tensor kRope, Tensor kvB) {
        /// Random F64 numbers.
        public static Step random(long seed, int heads, int width, int ropeWidth, int rank, int positions) {
            Generator g = new Generator(seed);
            return new Step(f64(g.randn(1, heads, 1, width)), f64(g.randn(1, heads, 1, ropeWidth)),
                    f64(g.randn(1, 1, positions, rank)).mul(3), f64(g.randn(1, 1, positions, ropeWidth)),
                    f64(g.randn(heads * 2 * width, rank)));
        }

        private static Tensor f64(Tensor x) {
            return x.to(DType.F64);
        }
    }

    /// The formula: keys and values of every head written out, (1, H, 1, D).
    public static Tensor expanded(Step s) {
        int heads = s.qNope.dim(1);
        int width = s.qNope.dim(3);
        int positions = s.latent.dim(2);
        Tensor c = normed(s.latent);
        Tensor kv = Functional.linear(c.reshape(positions, -1), s.kvB, Optional.empty())
                .reshape(1, positions, heads, 2 * width).transpose(1, 2); // (1, H, S, 2 D)
        Tensor shared = rotated(s.kRope, 0).expand(1, heads, positions, s.kRope.dim(3));
        Tensor k = Functional.concat(List.of(kv.slice(-1, 0, width), shared), -1); // (1, H, S, D + R)
        Tensor q = Functional.concat(List.of(s.qNope, rotated(s.qRope, positions - 1)), -1); // (1, H, 1, D + R)
        return AttentionMistakes.attention(q, k, kv.slice(-1, width, 2 * width), AttentionMistakes.Slip.NONE);
    }

    /// The same without writing them out: the key matrix goes to the query, the value matrix to the result.
    public static Tensor absorbed(Step s, Slip slip) {
        int heads = s.qNope.dim(1);
        int width = s.qNope.dim(3);
        int positions = s.latent.dim(2);
        Tensor c = slip == Slip.LATENT_BEFORE_ITS_NORM ? s.latent : normed(s.latent); // (1, 1, S, C)
        c = slip == Slip.LATENT_ROTATED ? rotated(c, 0) : c;
        Tensor perHead = slip == Slip.HEADS_CUT_BEFORE_PARTS
                ? s.kvB.reshape(2, heads, width, -1).transpose(0, 1).reshape(1, heads, 2 * width, -1)
                : s.kvB.reshape(1, heads, 2 * width, -1); // (1, H, 2 D, C)
        Tensor first = perHead.slice(2, 0, width);
        Tensor second = perHead.slice(2, width, 2 * width);
        boolean swapped = slip == Slip.VALUES_BY_THE_KEY_MATRIX;
        Tensor asks = s.qNope.matmul(swapped ? second : first); // (1, H, 1, C)
        Tensor latents = c.expand(1, heads, positions, c.dim(3));
        Tensor scores = asks.matmul(latents.t()); // (1, H, 1, S)
        if (slip != Slip.ROTARY_KEY_FORGOTTEN) {
            Tensor q = rotated(s.qRope, slip == Slip.POSITION_FROM_ZERO ? 0 : positions - 1);
            Tensor k = rotated(s.kRope, 0).expand(1, heads, positions, s.kRope.dim(3));
            scores = scores.add(q.matmul(k.t()));
        }
        int products = slip == Slip.SCALE_OF_NOPE_ALONE ? width : width + s.kRope.dim(3);
        Tensor weights = scores.mul(1 / Math.sqrt(products)).softmax(3);
        return weights.matmul(latents).matmul((swapped ? first : second).t()); // (1, H, 1, D)
    }

    private static Tensor normed(Tensor latent) {
        return latent.div(latent.square().mean(-1, true).add(EPS).sqrt());
    }

    /// x (..., T, R), whose first row is at position `from`.
    private static Tensor rotated(Tensor x, int from) {
        long[] positions = LongStream.range(from, from + x.dim(2)).toArray();
        return RotaryMistakes.rotate(x, positions, BASE, true, RotaryMistakes.Slip.NONE);
    }

    static List<Exercise> exercises() {
        Step s = Step.random(7, 3, 5, 4, 6, 7);
        return List.of(Exercise.of("multi-head-latent-attention").numbers(() -> expanded(s).toDoubles(),
                slip -> absorbed(s, slip).toDoubles(), Slip.NONE,
                List.of(Slip.SCALE_OF_NOPE_ALONE, Slip.LATENT_BEFORE_ITS_NORM, Slip.ROTARY_KEY_FORGOTTEN,
                        Slip.LATENT_ROTATED, Slip.VALUES_BY_THE_KEY_MATRIX, Slip.HEADS_CUT_BEFORE_PARTS,
                        Slip.POSITION_FROM_ZERO)));
    }
}
