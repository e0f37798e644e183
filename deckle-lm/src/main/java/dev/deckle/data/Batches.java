package dev.deckle.data;

/// An endless stream of training batches: windows of the tokens, each from a place drawn at random.
///
/// Row `r` of batch `p` is a function of the seed, `p` and `r`, so a checkpoint needs only `p`, and ranks that share a
/// batch draw their own rows of it without talking. A window may cross from one document to the next; the end token
/// between them says so.
public final class Batches {
    private final TokenFile tokens;
    private final int rows;
    private final int context;
    private final long seed;

    /// @param rows sequences in a batch, over all ranks together
    /// @param context tokens in a sequence
    /// @throws IllegalArgumentException if there are not enough tokens for one window
    public Batches(TokenFile tokens, int rows, int context, long seed) {
        if (rows < 1 || context < 1) {
            throw new IllegalArgumentException("batch size and context must be at least 1, not " + rows + " and "
                    + context);
        }
        if (tokens.size() < context + 1L) {
            throw new IllegalArgumentException(String.format("the corpus has %,d tokens to train on; a context of %,d "
                    + "needs at least %,d: give more text or a shorter context", tokens.size(), context, context + 1L));
        }
        this.tokens = tokens;
        this.rows = rows;
        this.context = context;
        this.seed = seed;
    }

    /// Batch `position` (0, 1, ...).
    public Batch at(long position) {
        return at(position, 0, rows);
    }

    /// The rows `firstRow, firstRow + 1, ...` of batch `position`: a rank's part.
    public Batch at(long position, int firstRow, int count) {
        if (position < 0 || firstRow < 0 || count < 0 || count > rows - firstRow) {
            throw new IndexOutOfBoundsException("rows " + firstRow + ".." + (firstRow + count - 1L) + " of batch "
                    + position + ", which has " + rows);
        }
        Batch batch = Batch.empty(count, context);
        long places = tokens.size() - context;
        for (int r = 0; r < count; r++) {
            batch.fill(r, tokens, Counter.below(places, seed, position * rows + firstRow + r));
        }
        return batch;
    }
}
