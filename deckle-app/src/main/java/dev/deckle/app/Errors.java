package dev.deckle.app;

import dev.deckle.distributed.RankFailure;
import dev.deckle.io.Shown;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;
import picocli.CommandLine;

/// Whatever went wrong, as one line that a user can act on. A stack trace is for developers, and asked for by `-v`.
final class Errors {
    private Errors() {}

    /// Wrong usage: what is wrong and what may have been meant.
    static int usage(Console console, ParameterException e) {
        CommandLine command = e.getCommandLine();
        String name = command.getCommandSpec().qualifiedName();
        String line = e instanceof UnmatchedArgumentException u ? unmatched(command, u) : oneLine(e.getMessage());
        console.error(name + ": " + line + "\nTry: " + name + " --help");
        return Deckle.USAGE;
    }

    /// A failure of the work itself.
    static int failure(Console console, Throwable thrown, boolean verbose) {
        console.error("deckle: " + message(thrown));
        if (verbose) {
            console.trace(unwrap(thrown));
        }
        return Deckle.FAILED;
    }

    private static String unmatched(CommandLine command, UnmatchedArgumentException e) {
        String word = e.getUnmatched().getFirst();
        int equals = word.indexOf('=');
        String key = equals > 0 ? word.substring(0, equals) : word;
        boolean option = word.startsWith("-");
        List<String> known = new ArrayList<>();
        if (option) {
            command.getCommandSpec().options().forEach(o -> known.addAll(List.of(o.names())));
        } else {
            known.addAll(command.getSubcommands().keySet());
        }
        String found = (option ? "no option " : known.isEmpty() ? "nothing is expected at " : "no verb ") + quote(key);
        return found + nearest(key, known).map(n -> "; did you mean " + n + "?").orElse("");
    }

    /// The known word that is a typing error or two away, if there is one.
    static Optional<String> nearest(String word, List<String> known) {
        int limit = Math.max(2, word.length() / 3);
        return known.stream()
                .filter(k -> distance(word, k) <= limit)
                .min(Comparator.comparingInt(k -> distance(word, k)));
    }

    /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
    static int distance(String a, String b) {
        int[][] d = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                if (i == 0 || j == 0) {
                    d[i][j] = i + j;
                    continue;
                }
                int same = a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1;
                d[i][j] = Math.min(d[i - 1][j - 1] + same, 1 + Math.min(d[i - 1][j], d[i][j - 1]));
                if (i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1)) {
                    d[i][j] = Math.min(d[i][j], d[i - 2][j - 2] + 1);
                }
            }
        }
        return d[a.length()][b.length()];
    }

    /// The failure inside what only carries it; an exception with words of its own stays.
    private static Throwable unwrap(Throwable e) {
        while (e.getCause() != null
                && (e instanceof UncheckedIOException && e.getCause().toString().equals(e.getMessage())
                        || e instanceof CommandLine.ExecutionException
                        || e instanceof InvocationTargetException)) {
            e = e.getCause();
        }
        return e;
    }

    /// The library's own exceptions carry a message for the user; the JDK's about files carry little but a path.
    static String message(Throwable thrown) {
        Throwable e = unwrap(thrown);
        String text = oneLine(e.getMessage());
        return switch (e) {
            case NoSuchFileException f -> f.getFile() + ": no such file or folder";
            case AccessDeniedException f -> f.getFile() + ": permission denied";
            case FileAlreadyExistsException f -> f.getFile() + ": exists already";
            case NotDirectoryException f -> f.getFile() + ": is not a folder";
            case FileSystemException _, FileNotFoundException _ -> text;
            case RankFailure f when f.getCause() != null -> "rank " + f.rank() + " ended: " + message(f.getCause());
            case RankFailure _ -> text;
            case OutOfMemoryError _ -> "out of memory: " + text + "; a smaller batch, context or model needs less";
            case StackOverflowError _ -> "nested too deeply";
            case IllegalArgumentException _, IllegalStateException _, IOException _, UncheckedIOException _ when !text
                    .isEmpty() -> text;
            default -> "unexpected " + e.getClass().getSimpleName() + (text.isEmpty() ? "" : ": " + text)
                    + " (this is a bug; -v shows where)";
        };
    }

    /// What strangers' files put into a message stays a line of text: a terminal would obey control characters.
    private static String oneLine(String text) {
        return text == null ? "" : Shown.escaped(text.strip().replaceAll("\\s*\\R\\s*", " "));
    }

    private static String quote(String word) {
        return word.length() <= 40 ? word : word.substring(0, 40) + "...";
    }
}
