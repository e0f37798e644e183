package dev.deckle.tokenizer;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// UTF-8 as tokenizers need it: no byte stops it, and what is not UTF-8 is replaced as the Unicode standard recommends
/// (section 3.9, "substitution of maximal subparts"). The JDK's decoder replaces some sequences, such as a surrogate
/// written in three bytes, by fewer U+FFFD than that; hence this one.
final class Utf8 {
    static final char REPLACEMENT = '\uFFFD';

    private Utf8() {}

    /// The bytes of `text`; a surrogate without its partner becomes U+FFFD.
    static byte[] encode(String text) {
        int i = 0;
        while (i < text.length() && !Character.isSurrogate(text.charAt(i))) {
            i++;
        }
        if (i == text.length()) { // the JDK's fast way would write '?' for a surrogate alone
            return text.getBytes(StandardCharsets.UTF_8);
        }
        var encoder = StandardCharsets.UTF_8.newEncoder()
                .onMalformedInput(CodingErrorAction.REPLACE)
                .replaceWith(new byte[] {(byte) 0xEF, (byte) 0xBF, (byte) 0xBD});
        try {
            ByteBuffer bytes = encoder.encode(CharBuffer.wrap(text));
            return Arrays.copyOf(bytes.array(), bytes.limit());
        } catch (CharacterCodingException e) {
            throw new AssertionError("malformed input is replaced", e);
        }
    }

    /// How many bytes the character starting with `lead` has; 0 for a byte that starts none.
    static int length(byte lead) {
        int b = lead & 0xFF;
        return b < 0x80 ? 1 : b < 0xC2 ? 0 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : b < 0xF5 ? 4 : 0;
    }

    /// Whether `next` may follow `lead` as a character's second byte. The range is narrower than 80..BF after the leads
    /// that would otherwise spell overlong forms, surrogates or code points beyond U+10FFFF.
    static boolean second(byte lead, byte next) {
        int b = next & 0xFF;
        return switch (lead & 0xFF) {
            case 0xE0 -> b >= 0xA0 && b < 0xC0;
            case 0xED -> b >= 0x80 && b < 0xA0;
            case 0xF0 -> b >= 0x90 && b < 0xC0;
            case 0xF4 -> b >= 0x80 && b < 0x90;
            default -> b >= 0x80 && b < 0xC0;
        };
    }

    /// The length of the longest start of a character at `i`: all of it if it is well formed, the maximal subpart of an
    /// ill-formed one (at least 1).
    static int prefix(byte[] text, int i, int end) {
        int length = length(text[i]);
        int n = 1;
        if (n < length && i + n < end && second(text[i], text[i + n])) {
            n++;
            while (n < length && i + n < end && (text[i + n] & 0xC0) == 0x80) {
                n++;
            }
        }
        return n;
    }

    /// The code point of the well-formed character of `length` bytes at `i`.
    static int codePoint(byte[] t, int i, int length) {
        return switch (length) {
            case 1 -> t[i];
            case 2 -> (t[i] & 0x1F) << 6 | t[i + 1] & 0x3F;
            case 3 -> (t[i] & 0x0F) << 12 | (t[i + 1] & 0x3F) << 6 | t[i + 2] & 0x3F;
            default -> (t[i] & 0x07) << 18 | (t[i + 1] & 0x3F) << 12 | (t[i + 2] & 0x3F) << 6 | t[i + 3] & 0x3F;
        };
    }

    /// Appends the text of `bytes[from, end)`, one U+FFFD for each maximal ill-formed subpart.
    static void decode(byte[] bytes, int from, int end, StringBuilder out) {
        for (int i = from; i < end;) {
            int n = prefix(bytes, i, end);
            if (n == length(bytes[i])) {
                out.appendCodePoint(codePoint(bytes, i, n));
            } else {
                out.append(REPLACEMENT);
            }
            i += n;
        }
    }

    /// The text of `bytes[from, end)`, one U+FFFD for each maximal ill-formed subpart.
    static String decode(byte[] bytes, int from, int end) {
        var fast = new String(bytes, from, end - from, StandardCharsets.UTF_8);
        if (fast.indexOf(REPLACEMENT) < 0) { // only what it replaces does the JDK count otherwise
            return fast;
        }
        var text = new StringBuilder(end - from);
        decode(bytes, from, end, text);
        return text.toString();
    }

    static boolean isValid(byte[] bytes) {
        int i = 0;
        while (i < bytes.length && prefix(bytes, i, bytes.length) == length(bytes[i])) {
            i += length(bytes[i]);
        }
        return i == bytes.length;
    }

    /// Where a character begins at the end of `bytes[from, end)` that more bytes could complete; `end` if none does.
    static int incompleteTail(byte[] bytes, int from, int end) {
        for (int i = Math.max(from, end - 3); i < end; i++) {
            if (length(bytes[i]) > end - i && prefix(bytes, i, end) == end - i) {
                return i;
            }
        }
        return end;
    }

    /// Text from bytes as they come: those of a character that has begun wait until it is whole.
    static final class Stream {
        private byte[] waiting = new byte[0]; // the beginning of a character, at most 3 bytes

        /// The text that `bytes` completes.
        String accept(byte[] bytes) {
            byte[] all = Arrays.copyOf(waiting, waiting.length + bytes.length);
            System.arraycopy(bytes, 0, all, waiting.length, bytes.length);
            int whole = incompleteTail(all, 0, all.length);
            waiting = Arrays.copyOfRange(all, whole, all.length);
            return decode(all, 0, whole);
        }

        /// The end: U+FFFD if a character has begun and not ended.
        String flush() {
            String rest = decode(waiting, 0, waiting.length);
            waiting = new byte[0];
            return rest;
        }
    }
}
