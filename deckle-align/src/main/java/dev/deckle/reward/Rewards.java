package dev.deckle.reward;

import dev.deckle.io.Shown;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/// Finds a reward by what the user writes.
///
/// | written | reward |
/// |---|---|
/// | `exact_match`, `exact_match:COLUMN` | 1 where the answer is that of the column (`answer`) of the data set |
/// | `regex:PATTERN` | 1 where the pattern is found in the completion |
/// | `format` | 1 where the completion is `<think>...</think>` and then an answer |
/// | `length:N` | 1 up to N tokens, then linearly to 0 at 2N |
/// | `overlong:MAX,CACHE` | 0 up to MAX - CACHE tokens, then linearly to -1 at MAX, and -1 beyond |
/// | `arithmetic` | 1 where the first number of the answer is the value of the prompt's last calculation |
/// | `model:DIR` | what a reward model thinks of prompt and completion, as `deckle align reward` makes them |
/// | `command:CMD` | what a process answers: JSON lines in and out |
/// | `FILE.java` | a class of the user's, compiled in memory |
/// | `some.Class` | a class of the user's, from a jar |
///
/// The answer is what follows the last `</think>`, and of that what the last `<answer>...</answer>` holds, if there is
/// one; a completion cut off while thinking has none. A reward of the user's runs without a sandbox.
///
/// What is opened here fails as its class or process does: a [RewardPanel] is what calls it safely.
public final class Rewards {
    private static final String KNOWN = "exact_match[:COLUMN], regex:PATTERN, format, length:N, overlong:MAX,CACHE, "
            + "arithmetic, model:DIR, command:CMD, FILE.java, or a class with its jar";

    private Rewards() {}

    /// The same without a jar.
    public static RewardFunction open(String spec) throws IOException {
        return open(spec, Optional.empty());
    }

    /// The same; what a command writes on stderr is kept for messages alone.
    public static RewardFunction open(String spec, Optional<Path> jar) throws IOException {
        return open(spec, jar, Optional.empty(), _ -> {});
    }

    /// @param jar where a class of the user's is looked for: a jar or a folder of classes; others do without
    /// @param writer the tokenizer of the model whose completions are judged: a reward model with the same one reads
    ///     its ids, another the text
    /// @param stderr gets each line that a command writes on stderr, on a thread of its own
    /// @throws IllegalArgumentException on one line, if it is none of those above
    /// @throws IOException on one line, if a file cannot be read, compiled or loaded
    public static RewardFunction open(
            String spec, Optional<Path> jar, Optional<Tokenizer> writer, Consumer<String> stderr) throws IOException {
        String text = spec.strip();
        int colon = text.indexOf(':');
        String kind = colon < 0 ? text : text.substring(0, colon);
        Optional<String> rest = colon < 0 ? Optional.empty() : Optional.of(text.substring(colon + 1));
        return switch (kind) {
            case "exact_match" -> new ExactMatch(rest.isEmpty() ? "answer" : given(kind, "COLUMN", rest));
            case "regex" -> new PatternFound(pattern(given(kind, "PATTERN", rest)));
            case "format" -> plain(kind, rest, new ThinkFormat());
            case "arithmetic" -> plain(kind, rest, new ArithmeticCheck());
            case "length" -> new SoftLength(whole(kind, "N", given(kind, "N", rest)));
            case "overlong" -> overlong(given(kind, "MAX,CACHE", rest));
            case "model" -> RewardModel.open(Path.of(given(kind, "DIR", rest).strip()), writer);
            case "command" -> new CommandReward(given(kind, "CMD", rest), stderr);
            default -> other(text, jar);
        };
    }

    private static RewardFunction other(String text, Optional<Path> jar) throws IOException {
        if (text.endsWith(".java")) {
            return UserClass.compiled(Path.of(text), jar);
        }
        boolean isName = Pattern.matches("[\\p{L}_$][\\p{L}\\p{N}_$]*(\\.[\\p{L}_$][\\p{L}\\p{N}_$]*)*", text);
        if (isName && (jar.isPresent() || text.contains("."))) {
            return UserClass.named(text, jar);
        }
        throw new IllegalArgumentException("no reward " + Shown.brief(text) + "; there are " + KNOWN);
    }

    private static String given(String kind, String what, Optional<String> rest) {
        return rest.filter(text -> !text.isBlank()).orElseThrow(() -> new IllegalArgumentException(
                "reward " + kind + ": expected " + kind + ":" + what));
    }

    private static RewardFunction plain(String kind, Optional<String> rest, RewardFunction function) {
        if (rest.isPresent()) {
            throw new IllegalArgumentException("reward " + kind + ": expected nothing behind its name, not "
                    + Shown.brief(rest.get()));
        }
        return function;
    }

    private static int whole(String kind, String what, String text) {
        try {
            int n = Integer.parseInt(text.strip());
            if (n > 0) {
                return n;
            }
        } catch (NumberFormatException _) {
            // said below
        }
        throw new IllegalArgumentException("reward " + kind + ": expected a number of tokens above 0 for " + what
                + ", not " + Shown.brief(text));
    }

    private static RewardFunction overlong(String text) {
        List<String> parts = List.of(text.split(",", -1));
        if (parts.size() != 2) {
            throw new IllegalArgumentException("reward overlong: expected MAX,CACHE, not " + Shown.brief(text));
        }
        int max = whole("overlong", "MAX", parts.getFirst());
        int cache = whole("overlong", "CACHE", parts.getLast());
        if (cache > max) {
            throw new IllegalArgumentException(
                    "reward overlong: expected a CACHE of at most MAX, not " + cache + " above " + max);
        }
        return new Overlong(max, cache);
    }

    private static Pattern pattern(String text) {
        try {
            return Pattern.compile(text);
        } catch (PatternSyntaxException e) {
            String place = e.getIndex() < 0 ? "" : " near character " + (e.getIndex() + 1);
            throw new IllegalArgumentException(
                    "reward regex: " + Shown.brief(text) + ": " + e.getDescription() + place, e);
        }
    }
}
