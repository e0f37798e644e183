package dev.deckle.app;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;

/// What somebody types, line by line: with a prompt, editing and history on a terminal; plainly from a pipe.
interface Lines extends AutoCloseable {
    /// The next line; empty at the end.
    Optional<String> next() throws IOException;

    /// Runs `work`; Ctrl-C during it runs `stop`, on another thread, in place of ending the program.
    void interruptible(Runnable work, Runnable stop);

    /// Whether a person sits there, who can try again.
    boolean interactive();

    @Override
    void close() throws IOException;

    static Lines open(String prompt) throws IOException {
        java.io.Console console = System.console();
        return console != null && console.isTerminal() ? new Typed(prompt) : new Piped();
    }

    /// From a pipe or a file.
    final class Piped implements Lines {
        private final BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

        @Override
        public Optional<String> next() throws IOException {
            return Optional.ofNullable(in.readLine());
        }

        @Override
        public void interruptible(Runnable work, Runnable stop) {
            work.run();
        }

        @Override
        public boolean interactive() {
            return false;
        }

        @Override
        public void close() {}
    }

    /// From a terminal.
    final class Typed implements Lines {
        private final String prompt;
        private final Terminal terminal;
        private final LineReader reader;
        private volatile Runnable stop = () -> {};

        Typed(String prompt) throws IOException {
            this.prompt = prompt;
            // Of a stream that is no terminal JLine asks whether Cygwin knows it, through a native library that it
            // unpacks into the temporary folder. It counts having no way to ask as a no.
            System.setProperty(TerminalBuilder.PROP_REDIRECT_PIPE_CREATION_MODE, "none");
            terminal = TerminalBuilder.builder().system(true).dumb(true).nativeSignals(true).build();
            terminal.handle(Terminal.Signal.INT, _ -> stop.run());
            reader = LineReaderBuilder.builder()
                    .terminal(terminal)
                    .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true) // a "!" is an exclamation mark
                    .build();
        }

        @Override
        public Optional<String> next() {
            while (true) {
                try {
                    return Optional.of(reader.readLine(prompt));
                } catch (UserInterruptException _) {
                    // Ctrl-C at the prompt drops the line
                } catch (EndOfFileException _) {
                    return Optional.empty();
                }
            }
        }

        @Override
        public void interruptible(Runnable work, Runnable onInterrupt) {
            stop = onInterrupt;
            try {
                work.run();
            } finally {
                stop = () -> {};
            }
        }

        @Override
        public boolean interactive() {
            return true;
        }

        @Override
        public void close() throws IOException {
            terminal.close();
        }
    }
}
