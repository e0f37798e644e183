package dev.deckle.app;

import java.io.PrintStream;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.function.IntSupplier;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/// Where a long run stands: `step 120/2000 · loss 3.412 · 12,345 tok/s · 3 min 20 s left`, or other numbers in the
/// middle.
///
/// On a terminal it is one line that is rewritten ten times a second at most and cut to the width. Elsewhere it is a
/// plain line now and then: the first, then one every ten seconds.
final class LiveLine implements AutoCloseable {
    private static final long REWRITE_NANOS = 100_000_000L;
    private static final long PLAIN_NANOS = 10_000_000_000L;

    private final PrintStream err;
    private final boolean terminal;
    private final IntSupplier columns;
    private final LongSupplier clock;
    private final long every;
    private long last;
    private boolean started;
    private boolean shown;
    private boolean closed;
    private Supplier<String> words = () -> "";

    /// @param columns the terminal's width, asked for at each rewrite because a window changes
    /// @param clock nanoseconds, as [System#nanoTime]
    LiveLine(PrintStream err, boolean terminal, IntSupplier columns, LongSupplier clock) {
        this.err = err;
        this.terminal = terminal;
        this.columns = columns;
        this.clock = clock;
        every = terminal ? REWRITE_NANOS : PLAIN_NANOS;
    }

    /// Where the run stands now; shown if it is time to.
    ///
    /// @param steps how many there will be; 0 where a clock ends the run instead
    /// @param more what else is told between the loss and the time
    /// @param left the time that the rest will take
    void update(long step, long steps, double loss, List<String> more, Duration left) {
        var of = steps > 0 ? "/" + steps : "";
        show(() -> String.format(Locale.ROOT, "step %d%s · loss %.3f · %s%s left", step, of, loss,
                more.stream().map(m -> m + " · ").collect(Collectors.joining()), span(left)));
    }

    /// The same in other words, which are asked for only when they are shown.
    void show(Supplier<String> words) {
        this.words = words;
        long now = clock.getAsLong();
        if (!started || now - last >= every) {
            started = true;
            last = now;
            if (terminal) {
                redraw();
            } else {
                err.println(words.get());
            }
        }
    }

    /// Takes the line off the terminal so that another can be printed there.
    void erase() {
        if (shown) {
            err.print("\r\033[K");
            err.flush();
            shown = false;
        }
    }

    /// Shows the line again after [#erase]; a plain line was never taken away.
    void redraw() {
        String text = words.get();
        if (terminal && !closed && !text.isEmpty()) {
            int width = Math.max(1, columns.getAsInt() - 1); // a full last column would wrap
            err.print("\r" + text.substring(0, Math.min(width, text.length())) + "\033[K");
            err.flush();
            shown = true;
        }
    }

    /// Ends the line; what it said last stays readable.
    @Override
    public void close() {
        if (!closed && shown) {
            redraw();
            err.println();
        }
        closed = true;
    }

    /// A duration as people say it: `45 s`, `3 min 20 s`, `2 h 5 min`.
    static String span(Duration d) {
        long s = Math.max(0, d.toSeconds());
        if (s < 60) {
            return s + " s";
        }
        return s < 3600 ? s / 60 + " min " + s % 60 + " s" : s / 3600 + " h " + s % 3600 / 60 + " min";
    }
}
