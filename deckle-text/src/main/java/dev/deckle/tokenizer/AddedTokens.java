package dev.deckle.tokenizer;

import java.util.Arrays;
import java.util.List;

/// Finds the tokens in text that stand outside the model, such as `<|endoftext|>`, before it is cut into pieces.
///
/// At each position the longest token wins, and the search goes on behind it. Tokens that are matched as written are
/// looked for first; what lies between them is normalised, and tokens that are matched after normalisation are looked
/// for in that. As in Hugging Face's `tokenizers`.
final class AddedTokens {
    /// One added token, with the flags of `tokenizer.json`.
    record Added(int id, String content, boolean special, boolean normalized, boolean singleWord, boolean lstrip,
            boolean rstrip) {}

    /// What takes the parts: `id` of a token, or text in between; `first` if it is where the whole text began.
    interface Sink {
        void token(int id);

        void text(byte[] text, int from, int end, boolean first);
    }

    /// Rewrites text in UTF-8; what needs no change may be given back as it is, with other text around it.
    interface Rewriter {
        Part rewrite(byte[] text, int from, int end);
    }

    /// `text[from, end)`; `keepsStart` if it begins with what the original began with.
    record Part(byte[] text, int from, int end, boolean keepsStart) {
        Part(byte[] text, int from, int end) {
            this(text, from, end, true);
        }
    }

    private final List<Added> tokens;
    private final boolean specialIsText;
    private final ByteTrie asWritten = new ByteTrie();
    private final ByteTrie normalized = new ByteTrie();
    private final Rewriter normalizer;

    AddedTokens(List<Added> tokens) {
        this(tokens, false, Part::new);
    }

    /// @param specialIsText whether special tokens are not recognised
    AddedTokens(List<Added> tokens, boolean specialIsText, Rewriter normalizer) {
        this.tokens = List.copyOf(tokens);
        this.specialIsText = specialIsText;
        this.normalizer = normalizer;
        for (int i = 0; i < tokens.size(); i++) {
            byte[] content = Utf8.encode(tokens.get(i).content);
            if (tokens.get(i).normalized) {
                Part part = normalizer.rewrite(content, 0, content.length);
                byte[] rewritten = Arrays.copyOfRange(part.text, part.from, part.end);
                normalized.put(rewritten, i);
            } else {
                asWritten.put(content, i);
            }
        }
    }

    /// Gives `text` to `sink`, part by part, from left to right, normalised.
    void split(byte[] text, Sink sink) {
        split(asWritten, text, 0, text.length, true, new Sink() {
            @Override
            public void token(int id) {
                sink.token(id);
            }

            @Override
            public void text(byte[] whole, int from, int end, boolean first) {
                Part part = normalizer.rewrite(whole, from, end);
                split(normalized, part.text, part.from, part.end, first && part.keepsStart, sink);
            }
        });
    }

    private void split(ByteTrie trie, byte[] text, int from, int end, boolean first, Sink sink) {
        if (trie.isEmpty()) {
            if (from < end) {
                sink.text(text, from, end, first);
            }
            return;
        }
        int done = from;
        for (int i = from; i < end;) {
            int found = ByteTrie.NONE;
            int stop = i;
            int node = ByteTrie.ROOT;
            for (int j = i; j < end && (node = trie.child(node, text[j])) != ByteTrie.NONE;) {
                j++;
                if (trie.number(node) != ByteTrie.NONE) {
                    found = trie.number(node);
                    stop = j;
                }
            }
            if (found == ByteTrie.NONE) {
                i++;
                continue;
            }
            Added token = tokens.get(found);
            int start = i;
            i = stop; // blanks that `rstrip` takes below may still begin the next token
            if (specialIsText && token.special
                    || token.singleWord && (wordBefore(text, from, start) || wordAt(text, stop, end))) {
                continue;
            }
            if (token.lstrip) {
                while (start > done && blankBefore(text, done, start) > 0) {
                    start -= blankBefore(text, done, start);
                }
            }
            if (token.rstrip) {
                while (stop < end && CharClass.kind(CharClass.at(text, stop, end)) == CharClass.BLANK) {
                    stop += CharClass.length(CharClass.at(text, stop, end));
                }
            }
            if (done < start) {
                sink.text(text, done, start, first && done == from);
            }
            sink.token(token.id);
            done = stop;
        }
        if (done < end) {
            sink.text(text, done, end, first && done == from);
        }
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
        return CharSet.RUST_WORD.test(Utf8.codePoint(text, i, Utf8.length(text[i])));
    }
}
