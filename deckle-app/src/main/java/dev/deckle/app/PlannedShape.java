package dev.deckle.app;

import dev.deckle.models.Llama;
import java.util.Locale;
import java.util.Optional;

/// The sizes of a Llama that is planned. A wish says which of them are given; the rest follow from a number of
/// parameters:
///
/// - a layer for each 128 of the hidden size, as Llama 7B has (32 layers of 4,096)
/// - heads of width 64, each with keys and values of its own, and a vocabulary of 32,000
/// - of these, the hidden size (a multiple of 64) that comes nearest with a feed-forward network of 8/3 times its width
/// - then that network's width (a multiple of 64), so that the number of parameters is met
record PlannedShape(int layers, int hidden, int heads, int kvHeads, int ffn, int vocabulary, boolean tied) {
    /// What a user has decided.
    record Wish(
            Optional<Integer> layers, Optional<Integer> hidden, Optional<Integer> heads, Optional<Integer> kvHeads,
            Optional<Integer> ffn, Optional<Integer> vocabulary, boolean tied) {}

    private static final int VOCABULARY = 32_000;
    private static final int STEP = 64; // of hidden sizes and widths, and the width of a head
    private static final int WIDEST = 1 << 17;
    private static final int DEEPEST = 2048;
    private static final double NEAR = 0.02; // of the number that was asked for

    /// The one whose number of parameters is nearest.
    ///
    /// @throws IllegalArgumentException in one line, if that is not near
    static PlannedShape ofSize(double parameters, Wish wish) {
        PlannedShape best = null;
        for (int h = wish.hidden.orElse(STEP); h <= wish.hidden.orElse(WIDEST); h += STEP) {
            // a layer for each 128, unless the width alone is given
            int from = wish.layers.orElse(wish.hidden.isPresent() ? 1 : Math.max(1, (h + STEP) / (2 * STEP)));
            int to = wish.layers.orElse(wish.hidden.isPresent() ? DEEPEST : from);
            for (int n = from; n <= to; n++) {
                PlannedShape s = of(n, h, wish);
                best = best == null || s.distance(parameters) < best.distance(parameters) ? s : best;
            }
        }
        PlannedShape found = wish.ffn.isPresent() ? best : best.withWidthFor(parameters);
        if (found.distance(parameters) > NEAR * parameters) {
            throw new IllegalArgumentException(String.format(Locale.ROOT, "--model-size %,.0f: the nearest model of %s "
                    + "has %,d parameters; other --layers, --hidden-size or --vocab-size may do", parameters, found,
                    found.parameters()));
        }
        return found;
    }

    /// Of a depth and a width; the rest as wished, or by the rule.
    static PlannedShape of(int layers, int hidden, Wish wish) {
        int heads = wish.heads.orElse(Math.max(1, hidden / STEP));
        return new PlannedShape(layers, hidden, heads, wish.kvHeads.orElse(heads),
                wish.ffn.orElse(Math.max(STEP, (int) (hidden * 8L / 3 / STEP * STEP))),
                wish.vocabulary.orElse(VOCABULARY), wish.tied);
    }

    private PlannedShape withWidthFor(double parameters) {
        PlannedShape without = new PlannedShape(layers, hidden, heads, kvHeads, 0, vocabulary, tied);
        double width = (parameters - without.parameters()) / (3.0 * hidden * layers);
        int rounded = STEP * Math.clamp(Math.round(width / STEP), 1, 1 << 20);
        return new PlannedShape(layers, hidden, heads, kvHeads, rounded, vocabulary, tied);
    }

    private double distance(double wanted) {
        return Math.abs(parameters() - wanted);
    }

    /// How many numbers it learns.
    long parameters() {
        long h = hidden;
        long keys = h / heads * kvHeads;
        long layer = 2 * h * h + 2 * h * keys + 3 * h * ffn + 2 * h;
        return (tied ? 1 : 2) * h * vocabulary + layers * layer + h;
    }

    /// @throws IllegalArgumentException in one line naming a flag, if sizes do not fit each other
    PlannedShape checked() {
        require(heads <= hidden && hidden % heads == 0, "--hidden-size " + hidden + " must be a multiple of the "
                + heads + " --heads");
        require(hidden / heads % 2 == 0, "--hidden-size " + hidden + " over " + heads
                + " --heads must give an even head size: rotary positions turn pairs");
        require(kvHeads <= heads && heads % kvHeads == 0, "--kv-heads " + kvHeads + " must divide the " + heads
                + " --heads");
        return this;
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalArgumentException(otherwise);
        }
    }

    Llama.Config config() {
        return Llama.Config.of(vocabulary, hidden, ffn, layers, heads, kvHeads, 2048, tied);
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s, hidden size %,d, feed-forward %,d, %s%s, vocabulary %,d%s",
                count(layers, "layer"), hidden, ffn, count(heads, "head"),
                kvHeads == heads ? "" : " (" + kvHeads + " of keys)", vocabulary,
                tied ? ", the head tied to the embedding" : "");
    }

    private static String count(int n, String what) {
        return String.format(Locale.ROOT, "%,d %s%s", n, what, n == 1 ? "" : "s");
    }
}
