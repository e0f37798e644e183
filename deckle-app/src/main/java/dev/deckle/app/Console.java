package dev.deckle.app;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.Strictness;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/// How a verb speaks: results on stdout, everything else on stderr, in UTF-8 whatever the locale.
///
/// With `--json` stdout holds one JSON object a line, flushed at once, and nothing else. Colour and the [LiveLine]
/// appear on a terminal only; elsewhere every line is plain and complete.
final class Console implements AutoCloseable {
    private static final Gson GSON =
            new GsonBuilder().disableHtmlEscaping().setStrictness(Strictness.STRICT).create();

    private final PrintStream out;
    private final PrintStream err;
    private final boolean outTerminal;
    private final boolean errTerminal;
    private final boolean colour;
    private boolean json;
    private boolean verbose;
    private Optional<LiveLine> live = Optional.empty();

    Console(PrintStream out, PrintStream err, boolean outTerminal, boolean errTerminal, boolean colour) {
        this.out = new PrintStream(out, false, StandardCharsets.UTF_8);
        this.err = new PrintStream(err, true, StandardCharsets.UTF_8);
        this.outTerminal = outTerminal;
        this.errTerminal = errTerminal;
        this.colour = colour;
    }

    void configure(boolean json, boolean verbose) {
        this.json = json;
        this.verbose = verbose;
    }

    /// Whether results are wanted as JSON: a verb then calls [#emit], else [#result] or [#stream].
    boolean json() {
        return json;
    }

    boolean outColour() {
        return outTerminal && colour;
    }

    /// How wide a result may be: as the terminal is, and 100 columns elsewhere.
    int outColumns() {
        return outTerminal ? Terminal.columns(1).orElse(100) : 100;
    }

    /// A line of a result for people.
    void result(String line) {
        stream(line + System.lineSeparator());
    }

    /// Part of a result that grows, such as generated text: visible at once.
    void stream(String text) {
        if (outTerminal) {
            live.ifPresent(LiveLine::erase);
        }
        out.print(text);
        flush();
    }

    /// Part of a text that a model writes. On a terminal control characters are shown, not obeyed: they could move the
    /// cursor, or worse.
    void text(String text) {
        stream(!outTerminal ? text
                : text.codePoints()
                        .map(c -> Character.getType(c) == Character.CONTROL && c != '\n' && c != '\t' ? 0xFFFD : c)
                        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                        .toString());
    }

    /// A result for programs: one line, flushed.
    ///
    /// @throws IllegalArgumentException if a number is not finite: JSON has none, and such a number is no result
    void emit(JsonObject object) {
        stream(GSON.toJson(object) + "\n");
    }

    /// Progress, on stderr.
    void log(String line) {
        live.ifPresent(LiveLine::erase);
        err.println(line);
        live.ifPresent(LiveLine::redraw);
    }

    /// What only `-v` asks for.
    void detail(String line) {
        if (verbose) {
            log(line);
        }
    }

    /// The line of progress of a long run; end it by closing it.
    LiveLine live() {
        LiveLine line = new LiveLine(err, errTerminal, () -> Terminal.columns(2).orElse(80), System::nanoTime);
        live = Optional.of(line);
        return line;
    }

    void error(String line) {
        live.ifPresent(LiveLine::close);
        out.flush();
        err.println(line);
    }

    void trace(Throwable e) {
        e.printStackTrace(err);
    }

    PrintWriter outWriter() {
        return new PrintWriter(out, true, StandardCharsets.UTF_8);
    }

    PrintWriter errWriter() {
        return new PrintWriter(err, true, StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        live.ifPresent(LiveLine::close);
        out.flush();
        err.flush();
    }

    private void flush() {
        if (out.checkError()) { // flushes
            var e = new IOException("stdout cannot be written: its reader is gone or its disk is full");
            throw new UncheckedIOException(e);
        }
    }
}
