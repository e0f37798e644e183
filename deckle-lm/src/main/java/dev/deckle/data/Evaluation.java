package dev.deckle.data;

import java.util.Iterator;
import java.util.stream.IntStream;

/// The held-out tokens as batches for measuring: windows side by side, so that each token is predicted at most once.
/// Always the same windows, in order; if there are more than wanted, evenly spread ones.
///
/// Text shorter than a window is one shorter window; fewer than two tokens are none.
public final class Evaluation implements Iterable<Batch> {
    private final TokenFile tokens;
    private final int rows;
    private final int context;
    private final long available;
    private final int windows;

    /// @param rows windows in a batch; the last batch may have fewer
    /// @param context tokens in a window
    /// @param maxWindows at most this many windows
    public Evaluation(TokenFile tokens, int rows, int context, int maxWindows) {
        if (rows < 1 || context < 1 || maxWindows < 1) {
            throw new IllegalArgumentException("rows, context and windows must be at least 1, not " + rows + ", "
                    + context + " and " + maxWindows);
        }
        this.tokens = tokens;
        this.rows = rows;
        this.context = (int) Math.max(1, Math.min(context, tokens.size() - 1));
        available = Math.max(0, tokens.size() - 1) / this.context;
        windows = (int) Math.min(maxWindows, available);
    }

    /// The number of windows in all batches.
    public int windows() {
        return windows;
    }

    @Override
    public Iterator<Batch> iterator() {
        return IntStream.range(0, (int) ((windows + rows - 1L) / rows)).mapToObj(b -> batch(b * rows)).iterator();
    }

    private Batch batch(int first) {
        Batch batch = Batch.empty(Math.min(rows, windows - first), context);
        for (int r = 0; r < batch.rows(); r++) {
            long window = (first + r) * available / windows;
            batch.fill(r, tokens, window * context);
        }
        return batch;
    }
}
