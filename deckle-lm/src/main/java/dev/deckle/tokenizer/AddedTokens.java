package dev.deckle.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/// Finds the tokens in text that stand outside the model, such as `<|endoftext|>`, before it is cut into pieces.
///
/// At each position the longest token wins, and the search goes on behind it. Tokens that are matched after
/// normalisation are looked for in a second pass, in what the first left over. As in Hugging Face's `tokenizers`.
final class AddedTokens {
    /// One added token, with the flags of `tokenizer.json`.
    record Added(int id, String content, boolean special, boolean normalized, boolean singleWord, boolean lstrip,
            boolean rstrip) {}

    /// What takes the parts: `id` of a token, or text in between.
    interface Sink {
        void token(int id);

        void text(int from, int end);
    }

    private record Pattern(byte[] bytes, Added token) {}

    private final List<List<Pattern>> first = byFirstByte();
    private final List<List<Pattern>> second = byFirstByte();
    private final boolean secondPass;

    AddedTokens(List<Added> tokens) {
        for (Added t : tokens) {
            byte[] bytes = Utf8.encode(t.content);
            if (bytes.length > 0) {
                (t.normalized ? second : first).get(bytes[0] & 0xFF).add(new Pattern(bytes, t));
            }
        }
        for (var patterns : List.of(first, second)) {
            patterns.forEach(p -> p.sort(Comparator.comparingInt((Pattern x) -> x.bytes.length).reversed()));
        }
        secondPass = tokens.stream().anyMatch(Added::normalized);
    }

    /// Gives `text[from, end)` to `sink`, part by part, from left to right.
    void split(byte[] text, int from, int end, Sink sink) {
        if (!secondPass) {
            split(first, text, from, end, sink);
            return;
        }
        split(first, text, from, end, new Sink() {
            @Override
            public void token(int id) {
                sink.token(id);
            }

            @Override
            public void text(int partFrom, int partEnd) {
                split(second, text, partFrom, partEnd, sink);
            }
        });
    }

    private static void split(List<List<Pattern>> patterns, byte[] text, int from, int end, Sink sink) {
        int done = from;
        for (int i = from; i < end;) {
            Pattern p = longest(patterns.get(text[i] & 0xFF), text, i, end);
            if (p == null) {
                i++;
                continue;
            }
            int start = i;
            int stop = i + p.bytes.length;
            i = stop; // blanks that `rstrip` takes below may still begin the next token
            if (p.token.singleWord && (wordBefore(text, from, start) || wordAt(text, stop, end))) {
                continue;
            }
            if (p.token.lstrip) {
                while (start > done && blankBefore(text, done, start) > 0) {
                    start -= blankBefore(text, done, start);
                }
            }
            if (p.token.rstrip) {
                while (stop < end && CharClass.kind(CharClass.at(text, stop, end)) == CharClass.BLANK) {
                    stop += CharClass.length(CharClass.at(text, stop, end));
                }
            }
            if (done < start) {
                sink.text(done, start);
            }
            sink.token(p.token.id);
            done = stop;
        }
        if (done < end) {
            sink.text(done, end);
        }
    }

    private static Pattern longest(List<Pattern> candidates, byte[] text, int i, int end) {
        for (Pattern p : candidates) {
            int n = p.bytes.length;
            if (n <= end - i && Arrays.equals(p.bytes, 0, n, text, i, i + n)) {
                return p;
            }
        }
        return null;
    }

    /// Where the character before `i` begins.
    private static int before(byte[] text, int from, int i) {
        int start = i - 1;
        while (start > from && i - start < 4 && (text[start] & 0xC0) == 0x80) {
            start--;
        }
        return Utf8.prefix(text, start, i) == i - start ? start : i - 1;
    }

    private static int blankBefore(byte[] text, int from, int i) {
        int start = before(text, from, i);
        return CharClass.kind(CharClass.at(text, start, i)) == CharClass.BLANK ? i - start : 0;
    }

    private static boolean wordBefore(byte[] text, int from, int i) {
        return i > from && wordAt(text, before(text, from, i), i);
    }

    /// Whether a character of words (`\w`) is at `i`.
    private static boolean wordAt(byte[] text, int i, int end) {
        if (i >= end || Utf8.prefix(text, i, end) != Utf8.length(text[i])) {
            return false;
        }
        int c = Utf8.codePoint(text, i, Utf8.length(text[i]));
        return Character.isAlphabetic(c) || c == 0x200C || c == 0x200D || switch (Character.getType(c)) {
            case Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK,
                    Character.DECIMAL_DIGIT_NUMBER, Character.CONNECTOR_PUNCTUATION -> true;
            default -> false;
        };
    }

    private static List<List<Pattern>> byFirstByte() {
        var lists = new ArrayList<List<Pattern>>(256);
        for (int i = 0; i < 256; i++) {
            lists.add(new ArrayList<>());
        }
        return lists;
    }
}
