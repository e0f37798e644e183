package dev.deckle.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The rewriting of characters that a SentencePiece model carries with it (Kudo and Richardson, 2018): a double-array
/// trie from UTF-8 to places in a block of replacements, each of which ends at a zero byte.
///
/// The layout, all in little-endian words: the size of the trie in bytes, the trie, the replacements. A word of the
/// trie holds the byte that leads to it (bits 0-7), whether something ends here (bit 8), and how to go on (bits 10-30,
/// times 256 if bit 9 is set): a child is at own place xor offset xor byte. A leaf holds a place in the replacements.
///
/// SentencePiece rewrites the longest match at each place. Hugging Face's `tokenizers`, whose ids are asked for, goes
/// by grapheme instead: one of at most five bytes is looked up whole, and replaced whole by what its *shortest* match
/// gives; of others, each character is looked up alone.
final class CharsMap {
    private static final Pattern GRAPHEME = Pattern.compile("\\X");
    private static final int LEAF = 1 << 8;

    private final int[] trie;
    private final byte[] replacements;
    private final String[] alone = new String[0x300]; // what the common characters become by themselves

    /// @param base64 the file's text
    /// @param where the key that holds it
    CharsMap(String base64, String where) {
        byte[] all;
        try {
            all = Base64.getDecoder().decode(base64);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(where + " is not base64: " + e.getMessage(), e);
        }
        ByteBuffer words = ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN);
        int size = all.length < 4 ? -1 : words.getInt();
        if (size < 0 || size > all.length - 4) {
            throw new IllegalArgumentException(where + " begins with a trie of " + Integer.toUnsignedString(size)
                    + " bytes; expected at most the " + Math.max(0, all.length - 4) + " that follow");
        }
        trie = new int[size / 4];
        words.asIntBuffer().get(trie);
        replacements = new byte[all.length - 4 - trie.length * 4];
        System.arraycopy(all, 4 + trie.length * 4, replacements, 0, replacements.length);
        for (int c = 0; c < alone.length && trie.length > 0; c++) {
            var out = new StringBuilder();
            grapheme(Utf8.encode(Character.toString(c)), out);
            alone[c] = out.toString();
        }
    }

    String normalize(String text) {
        if (trie.length == 0) {
            return text;
        }
        var out = new StringBuilder(text.length() + 16);
        Matcher graphemes = GRAPHEME.matcher(text);
        for (int i = 0; i < text.length();) {
            int end = i + 1;
            if (text.charAt(i) < 0x300 && text.charAt(i) != '\r'
                    && (end == text.length() || text.charAt(end) < 0x300)) { // a grapheme by itself
                out.append(alone[text.charAt(i)]);
            } else {
                graphemes.region(i, text.length());
                end = graphemes.lookingAt() ? graphemes.end() : i + Character.charCount(text.codePointAt(i));
                grapheme(Utf8.encode(text.substring(i, end)), out);
            }
            i = end;
        }
        return out.toString();
    }

    private void grapheme(byte[] grapheme, StringBuilder out) {
        if (grapheme.length < 6 && rewrite(grapheme, 0, grapheme.length, out)) {
            return;
        }
        for (int from = 0; from < grapheme.length;) {
            int length = Utf8.length(grapheme[from]);
            if (!rewrite(grapheme, from, from + length, out)) {
                out.appendCodePoint(Utf8.codePoint(grapheme, from, length));
            }
            from += length;
        }
    }

    /// Appends what the shortest match at the beginning of `text[from, end)` stands for; false if there is none.
    private boolean rewrite(byte[] text, int from, int end, StringBuilder out) {
        int node = offset(trie[0]);
        for (int i = from; i < end && text[i] != 0; i++) {
            node ^= text[i] & 0xFF;
            if (node >= trie.length || (trie[node] & (1 << 31 | 0xFF)) != (text[i] & 0xFF)) {
                return false;
            }
            int word = trie[node];
            node ^= offset(word);
            if ((word & LEAF) != 0) {
                int start = node < trie.length ? trie[node] & Integer.MAX_VALUE : replacements.length;
                if (start > replacements.length) {
                    return false;
                }
                int stop = start;
                while (stop < replacements.length && replacements[stop] != 0) {
                    stop++;
                }
                out.append(new String(replacements, start, stop - start, StandardCharsets.UTF_8));
                return true;
            }
        }
        return false;
    }

    private static int offset(int word) {
        return (word >>> 10) << ((word & 1 << 9) >> 6);
    }
}
