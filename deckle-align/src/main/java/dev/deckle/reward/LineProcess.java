package dev.deckle.reward;

import dev.deckle.io.Shown;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/// A process that reads and writes lines.
///
/// Threads of its own read and write, so that a process which answers before it has read everything, or floods its
/// output, or stops reading, blocks itself at most: what it writes ahead is bounded, and so is a line.
final class LineProcess {
    static final int LONGEST_LINE = 1 << 20;
    private static final int MOST_AHEAD = 1024;
    private static final int MOST_STDERR = 300;
    private static final long A_MOMENT = 1000; // milliseconds in which a process that has ended is seen to have ended

    private final Process process;
    private final Consumer<String> stderr;
    private final BlockingQueue<Said> said = new ArrayBlockingQueue<>(MOST_AHEAD);
    private final Thread output;
    private final Thread errors;
    private final Thread hook = Thread.ofPlatform().unstarted(this::kill);
    private volatile String lastError = "";
    private Thread writer;

    /// A line of the output, or how the output ended.
    sealed interface Said {
        record Line(String text) implements Said {}

        record TooLong() implements Said {}

        record End() implements Said {}
    }

    private LineProcess(Process process, Consumer<String> stderr) {
        this.process = process;
        this.stderr = stderr;
        output = start("out", this::readOutput);
        errors = start("err", this::readErrors);
    }

    /// Starts `command` by the shell.
    static LineProcess start(String command, Consumer<String> stderr) throws IOException {
        ProcessBuilder builder = new ProcessBuilder("sh", "-c", command);
        builder.environment().putIfAbsent("PYTHONUNBUFFERED", "1"); // else print waits until a buffer is full
        LineProcess p = new LineProcess(builder.start(), stderr);
        try {
            Runtime.getRuntime().addShutdownHook(p.hook);
        } catch (IllegalStateException _) { // shutting down already
            p.kill();
        }
        return p;
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /// Whether it has said something that nobody has taken, its end apart.
    boolean hasMore() {
        return said.peek() instanceof Said.Line || said.peek() instanceof Said.TooLong;
    }

    /// Begins to write lines, each of them ended.
    void write(List<String> lines) {
        writer = start("in", () -> {
            try {
                OutputStream in = new BufferedOutputStream(process.getOutputStream(), 1 << 16);
                for (String line : lines) {
                    in.write(line.getBytes(StandardCharsets.UTF_8));
                    in.write('\n');
                }
                in.flush();
            } catch (IOException _) {
                // it does not listen any more, which its output tells too
            }
        });
    }

    /// Whether all was read that was written, now or in a moment.
    boolean hasRead() throws InterruptedException {
        writer.join(A_MOMENT);
        return !writer.isAlive();
    }

    /// What it says next; waits for it.
    Said read() throws InterruptedException {
        return said.take();
    }

    /// How it ended and the last it said about it, for a message. To be called when its output has ended.
    String obituary() throws InterruptedException {
        String how = process.waitFor(A_MOMENT, TimeUnit.MILLISECONDS)
                ? "it ended with exit code " + process.exitValue()
                : "it closed its output";
        errors.join(A_MOMENT);
        return how + lastWords();
    }

    /// Its last line on stderr, for the end of a message.
    String lastWords() {
        return lastError.isEmpty() ? "" : ": " + lastError;
    }

    /// Ends it and what it has started.
    void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException _) {
            // it is running
        }
        kill();
    }

    private void kill() {
        output.interrupt(); // it may wait for somebody to take what it read
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
    }

    private static Thread start(String name, Runnable work) {
        return Thread.ofPlatform().daemon().name("deckle-reward-command-" + name).start(work);
    }

    private void readOutput() {
        try {
            readLines();
            said.put(new Said.End());
        } catch (InterruptedException _) {
            // nobody is going to read it
        }
    }

    private void readLines() throws InterruptedException {
        try (InputStream in = new BufferedInputStream(process.getInputStream())) {
            byte[] line = new byte[256];
            int length = 0;
            int b;
            while ((b = in.read()) >= 0) {
                if (b == '\n') {
                    said.put(new Said.Line(new String(line, 0, length, StandardCharsets.UTF_8)));
                    length = 0;
                } else if (length == LONGEST_LINE) {
                    said.put(new Said.TooLong());
                    return;
                } else {
                    line = length == line.length ? Arrays.copyOf(line, length * 2) : line;
                    line[length++] = (byte) b;
                }
            }
            if (length > 0) {
                said.put(new Said.Line(new String(line, 0, length, StandardCharsets.UTF_8)));
            }
        } catch (IOException _) {
            // it was ended
        }
    }

    private void readErrors() {
        try (InputStream in = new BufferedInputStream(process.getErrorStream())) {
            byte[] line = new byte[1 << 12]; // what is longer is cut into several
            int length = 0;
            int b;
            do {
                b = in.read();
                if (length > 0 && (b < 0 || b == '\n' || length == line.length)) {
                    hear(new String(line, 0, length, StandardCharsets.UTF_8).strip());
                    length = 0;
                }
                if (b >= 0 && b != '\n') {
                    line[length++] = (byte) b;
                }
            } while (b >= 0);
        } catch (IOException _) {
            // it was ended
        }
    }

    private void hear(String line) {
        if (!line.isEmpty()) {
            lastError = Shown.brief(line, MOST_STDERR);
            stderr.accept(line);
        }
    }
}
