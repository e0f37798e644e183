package dev.deckle.align;

import dev.deckle.random.Generator;

/// In which order a data set's rows come, epoch after epoch: a function of the position alone.
final class Order {
    private final int rows;
    private final boolean shuffled;
    private final long seed;
    private long epoch = -1;
    private int[] order;

    /// @param shuffled anew in each epoch; else as in the file
    Order(int rows, boolean shuffled, long seed) {
        this.rows = rows;
        this.shuffled = shuffled;
        this.seed = seed;
    }

    /// The row at a position of the endless stream.
    int row(long position) {
        int i = (int) (position % rows);
        return shuffled ? orderOf(position / rows)[i] : i;
    }

    private int[] orderOf(long wanted) {
        if (wanted != epoch) {
            Generator random = new Generator(seed * 0x9E3779B97F4A7C15L + wanted);
            order = java.util.Arrays.stream(random.randperm(rows).toLongs()).mapToInt(i -> (int) i).toArray();
            epoch = wanted;
        }
        return order;
    }
}
