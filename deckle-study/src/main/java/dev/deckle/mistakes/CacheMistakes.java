package dev.deckle.mistakes;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/// Online softmax, decoding with a cache, in a window, with padding and in pages, for one head on plain arrays.
public final class CacheMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        SUM_NOT_RESCALED("the sum keeps its old maximum while new terms are measured from the new one"),
        OUTPUT_NOT_RESCALED("the sum is rescaled, the output is not: o *= exp(m_old - m_new) is forgotten"),
        NO_RUNNING_MAXIMUM("exponentials of the scores as they are overflow: the maximum was the point"),
        DIVIDED_AT_EACH_STEP("the output is divided by the running sum in the loop and once more after it"),
        POSITION_FROM_ZERO("each decoding step rotates as if its token were the first: position = cache length"),
        ROTATED_AGAIN("the whole cache is rotated at each step: keys in it were rotated when they came"),
        CACHE_OVERWRITTEN("the cache holds the last token only: assigned where it should be concatenated"),
        CAUSAL_TOP_LEFT("one query and many keys: row 0 of tril sees key 0 alone"),
        VALUES_ROTATED("values are rotated with the keys: only scores may know positions"),
        KEY_BEFORE_THE_NEW_ONE("attends before it appends: a token does not see itself"),
        BLOCKS_IN_PHYSICAL_ORDER("block i of the sequence is read from block i of the pool: the table is not asked"),
        LAST_BLOCK_WHOLE("slots behind the length are attended too: they hold an earlier sequence's numbers"),
        SLOT_AND_BLOCK_SWAPPED("position / size is the block and position % size the slot, not the other way round"),
        FORK_SHARES_THE_LAST_BLOCK("a fork writes into a block that the other still reads: no copy on write"),
        WINDOW_BEFORE_THE_NEW_ONE("window positions before the new one are kept: with itself it sees one too many"),
        NEWEST_DROPPED("a full window drops what came last: the first positions stay for ever"),
        ROTATED_BY_SLOT("a key is rotated by its slot in the ring: distances wrap around with it"),
        PADDING_SEEN("rows of unequal length are filled up, and nobody hides the filling"),
        PADDING_ZEROED("weights of padding are set to 0 after the softmax: what is left no longer sums to 1"),
        PADDING_ON_THE_RIGHT("padding behind the prompt: the next token is read from behind the filling");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private CacheMistakes() {}

    /// softmax(q K^T) V, the whole row of scores at once: the definition.
    public static double[] attention(double[] q, double[][] k, double[][] v) {
        double[] scores = Arrays.stream(k).mapToDouble(key -> dot(q, key)).toArray();
        double most = Arrays.stream(scores).max().orElseThrow();
        double sum = Arrays.stream(scores).map(s -> Math.exp(s - most)).sum();
        double[] y = new double[v[0].length];
        for (int j = 0; j < k.length; j++) {
            add(y, v[j], Math.exp(scores[j] - most) / sum);
        }
        return y;
    }

    /// The same in one pass over keys and values, as FlashAttention takes them.
    public static double[] online(double[] q, double[][] k, double[][] v, Slip slip) {
        double m = Double.NEGATIVE_INFINITY;
        double d = 0;
        double[] o = new double[v[0].length];
        for (int j = 0; j < k.length; j++) {
            double score = dot(q, k[j]);
            double next = slip == Slip.NO_RUNNING_MAXIMUM ? 0 : Math.max(m, score);
            double shrink = Math.exp(m - next);
            double e = Math.exp(score - next);
            d = (slip == Slip.SUM_NOT_RESCALED ? d : d * shrink) + e;
            scale(o, slip == Slip.OUTPUT_NOT_RESCALED ? 1 : shrink);
            add(o, v[j], e);
            scale(o, slip == Slip.DIVIDED_AT_EACH_STEP ? 1 / d : 1);
            m = next;
        }
        scale(o, 1 / d);
        return o;
    }

    /// What the last of the tokens sees when they come one by one: each x is query, key and value of its position, the
    /// first two rotated by it.
    public static double[] decode(double[][] x, Slip slip) {
        List<double[]> keys = new ArrayList<>();
        List<double[]> values = new ArrayList<>();
        double[] y = new double[0];
        for (int t = 0; t < x.length; t++) {
            int position = slip == Slip.POSITION_FROM_ZERO ? 0 : t;
            if (slip == Slip.CACHE_OVERWRITTEN) {
                keys.clear();
                values.clear();
            }
            int seen = slip == Slip.KEY_BEFORE_THE_NEW_ONE && t > 0 ? t : t + 1;
            keys.add(rotate(x[t], position));
            values.add(slip == Slip.VALUES_ROTATED ? rotate(x[t], position) : x[t]);
            if (slip == Slip.ROTATED_AGAIN && t > 0) {
                keys.replaceAll(key -> rotate(key, 1));
            }
            seen = slip == Slip.CAUSAL_TOP_LEFT ? 1 : Math.min(seen, keys.size());
            y = attention(rotate(x[t], position), keys.subList(0, seen).toArray(double[][]::new),
                    values.subList(0, seen).toArray(double[][]::new));
        }
        return y;
    }

    /// The same without a cache: all positions at once, and only the last one's result.
    public static double[] whole(double[][] x) {
        double[][] keys = new double[x.length][];
        for (int t = 0; t < x.length; t++) {
            keys[t] = rotate(x[t], t);
        }
        return attention(keys[x.length - 1], keys, x);
    }

    /// What the last of the tokens sees when each sees itself and the `window - 1` before it, in a ring of as many
    /// slots: position p is in slot p mod window. In what order attention meets the slots does not matter.
    public static double[] ring(double[][] x, int window, Slip slip) {
        int slots = slip == Slip.WINDOW_BEFORE_THE_NEW_ONE ? window + 1 : window;
        double[][] keys = new double[slots][];
        double[][] values = new double[slots][];
        for (int t = 0; t < x.length; t++) {
            int slot = slip == Slip.NEWEST_DROPPED ? Math.min(t, slots - 1) : t % slots;
            keys[slot] = rotate(x[t], slip == Slip.ROTATED_BY_SLOT ? slot : t);
            values[slot] = x[t];
        }
        return attention(rotate(x[x.length - 1], x.length - 1), keys, values);
    }

    /// The same without a ring.
    public static double[] window(double[][] x, int window) {
        double[][] keys = new double[window][];
        int first = x.length - window;
        for (int j = 0; j < window; j++) {
            keys[j] = rotate(x[first + j], first + j);
        }
        return attention(rotate(x[x.length - 1], x.length - 1), keys, Arrays.copyOfRange(x, first, x.length));
    }

    /// The last token of a row that others in its batch are longer than: `padding` vectors of ones fill it up on its
    /// left, and attention gives them no weight.
    public static double[] padded(double[][] x, int padding, Slip slip) {
        double[][] row = new double[padding + x.length][x[0].length];
        boolean right = slip == Slip.PADDING_ON_THE_RIGHT;
        Arrays.stream(row).forEach(place -> Arrays.fill(place, 1));
        System.arraycopy(x, 0, row, right ? 0 : padding, x.length);
        double[] query = row[row.length - 1];
        double[] scores = Arrays.stream(row).mapToDouble(key -> dot(query, key)).toArray();
        boolean hidden = slip != Slip.PADDING_SEEN && slip != Slip.PADDING_ZEROED;
        for (int j = 0; j < padding && hidden; j++) {
            scores[right ? x.length + j : j] = Double.NEGATIVE_INFINITY;
        }
        double most = Arrays.stream(scores).max().orElseThrow();
        double sum = Arrays.stream(scores).map(s -> Math.exp(s - most)).sum();
        double[] y = new double[query.length];
        for (int j = 0; j < row.length; j++) {
            boolean zeroed = slip == Slip.PADDING_ZEROED && j < padding;
            add(y, row[j], zeroed ? 0 : Math.exp(scores[j] - most) / sum);
        }
        return y;
    }

    /// Pairs (i, i + D/2) turned by the position.
    private static double[] rotate(double[] x, int position) {
        int half = x.length / 2;
        double[] y = new double[x.length];
        for (int i = 0; i < half; i++) {
            double a = position * Math.pow(100, -(double) i / half);
            y[i] = x[i] * Math.cos(a) - x[i + half] * Math.sin(a);
            y[i + half] = x[i + half] * Math.cos(a) + x[i] * Math.sin(a);
        }
        return y;
    }

    /// Keys (which are values too) of one sequence in blocks of a pool that others have used before: position p lies in
    /// block `table[p / size]`, slot p % size. The sequence is forked after `fork` positions and the other branch
    /// writes a zero vector next; then the first branch goes on and asks with its last key.
    public static double[] paged(double[][] x, int size, int[] table, int fork, Slip slip) {
        double[][][] pool = new double[1 + Arrays.stream(table).max().orElseThrow()][size][x[0].length];
        Arrays.stream(pool).flatMap(Arrays::stream).forEach(slot -> Arrays.fill(slot, 3)); // left by others
        for (int p = 0; p < x.length; p++) {
            put(pool, table, size, p, x[p]);
        }
        if (slip == Slip.FORK_SHARES_THE_LAST_BLOCK) {
            put(pool, table, size, fork, new double[x[0].length]); // else it has a copy of its own
        }
        int end = slip == Slip.LAST_BLOCK_WHOLE ? (x.length + size - 1) / size * size : x.length;
        double[][] keys = new double[end][];
        for (int p = 0; p < end; p++) {
            int block = slip == Slip.BLOCKS_IN_PHYSICAL_ORDER ? p / size : table[p / size];
            keys[p] = slip == Slip.SLOT_AND_BLOCK_SWAPPED
                    ? pool[table[p % size % table.length]][p / size % size]
                    : pool[block][p % size];
        }
        return attention(x[x.length - 1], keys, keys);
    }

    private static void put(double[][][] pool, int[] table, int size, int p, double[] x) {
        pool[table[p / size]][p % size] = x;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    private static void scale(double[] x, double factor) {
        for (int i = 0; i < x.length; i++) {
            x[i] *= factor;
        }
    }

    private static void add(double[] y, double[] x, double factor) {
        for (int i = 0; i < y.length; i++) {
            y[i] += factor * x[i];
        }
    }

    static List<Exercise> exercises() {
        double[] q = {1};
        double[][] k = {{1}, {5}, {0}, {800}};
        double[][] v = {{1, 2}, {10, 0}, {1, 1}, {7, 5}};
        double[][] few = {{1}, {5}, {0}};
        double[][] x = vectors(7, 6);
        int[] table = {2, 0, 3};
        return List.of(
                Exercise.of("online-softmax")
                        .numbers(() -> attention(q, few, v), s -> online(q, few, v, s), Slip.NONE,
                                List.of(Slip.SUM_NOT_RESCALED, Slip.OUTPUT_NOT_RESCALED, Slip.DIVIDED_AT_EACH_STEP))
                        .numbers(() -> attention(q, k, v), s -> online(q, k, v, s), Slip.NONE,
                                List.of(Slip.NO_RUNNING_MAXIMUM)),
                Exercise.of("kv-cache-decoding").numbers(() -> whole(x), s -> decode(x, s), Slip.NONE,
                        List.of(Slip.POSITION_FROM_ZERO, Slip.ROTATED_AGAIN, Slip.CACHE_OVERWRITTEN,
                                Slip.CAUSAL_TOP_LEFT, Slip.VALUES_ROTATED, Slip.KEY_BEFORE_THE_NEW_ONE)),
                Exercise.of("sliding-window-cache").numbers(() -> window(x, 3), s -> ring(x, 3, s), Slip.NONE,
                        List.of(Slip.WINDOW_BEFORE_THE_NEW_ONE, Slip.NEWEST_DROPPED, Slip.ROTATED_BY_SLOT)),
                Exercise.of("left-padding").numbers(() -> attention(x[6], x, x), s -> padded(x, 2, s), Slip.NONE,
                        List.of(Slip.PADDING_SEEN, Slip.PADDING_ZEROED, Slip.PADDING_ON_THE_RIGHT)),
                Exercise.of("paged-kv-cache").numbers(() -> attention(x[6], x, x), s -> paged(x, 3, table, 5, s),
                        Slip.NONE, List.of(Slip.BLOCKS_IN_PHYSICAL_ORDER, Slip.LAST_BLOCK_WHOLE,
                                Slip.SLOT_AND_BLOCK_SWAPPED, Slip.FORK_SHARES_THE_LAST_BLOCK)));
    }

    private static double[][] vectors(int n, int width) {
        Random random = new Random(1);
        return Stream.generate(() -> random.doubles(width, -1, 1).toArray())
                .limit(n)
                .toArray(double[][]::new);
    }
}
