package dev.deckle.tokenizer;

import java.util.Arrays;

/// The printable stand-ins that byte-level vocabularies write for the 256 bytes (GPT-2; Radford et al., 2019).
///
/// A byte that is a visible character of Latin-1 stands for itself; the other 68, in order, are U+0100, U+0101, ... So
/// a space is `Ġ` and a line feed `Ċ`, and every token of a `tokenizer.json` is readable text without white space.
final class ByteAlphabet {
    private static final char[] CHAR_OF_BYTE = new char[256];
    private static final short[] BYTE_OF_CHAR = new short[0x100 + 68];

    static {
        Arrays.fill(BYTE_OF_CHAR, (short) -1);
        char next = 0x100;
        for (int b = 0; b < 256; b++) {
            boolean visible = b > ' ' && b < 0x7F || b > 0xA0 && b != 0xAD; // AD is the soft hyphen
            CHAR_OF_BYTE[b] = visible ? (char) b : next++;
            BYTE_OF_CHAR[CHAR_OF_BYTE[b]] = (short) b;
        }
    }

    private ByteAlphabet() {}

    static char toChar(int b) {
        return CHAR_OF_BYTE[b];
    }

    static String toText(byte[] bytes, int from, int end) {
        var text = new StringBuilder(end - from);
        for (int i = from; i < end; i++) {
            text.append(CHAR_OF_BYTE[bytes[i] & 0xFF]);
        }
        return text.toString();
    }

    /// Whether every character of `text` stands for a byte.
    static boolean spells(String text) {
        return text.chars().allMatch(c -> c < BYTE_OF_CHAR.length && BYTE_OF_CHAR[c] >= 0);
    }

    /// The bytes that `text` stands for, which must be [#spells]ed.
    static byte[] toBytes(String text) {
        byte[] bytes = new byte[text.length()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) BYTE_OF_CHAR[text.charAt(i)];
        }
        return bytes;
    }

    /// All bytes in the order of their characters, which is the order of their ids in a trained vocabulary.
    static int[] bytesByChar() {
        int[] bytes = new int[256];
        int n = 0;
        for (short b : BYTE_OF_CHAR) {
            if (b >= 0) {
                bytes[n++] = b;
            }
        }
        return bytes;
    }
}
