package dev.deckle.tokenizer;

/// What a character is to a pre-tokenizer: a letter (`\p{L}`), a number (`\p{N}`), a blank (`\s`, that is White_Space)
/// or a symbol (the rest: punctuation, marks, emoji, controls, unassigned).
final class CharClass {
    static final int SYMBOL = 0;
    static final int LETTER = 1;
    static final int NUMBER = 2;
    static final int BLANK = 3;
    /// The class beyond the end of a text: of no kind.
    static final int NOTHING = 7;

    private static final byte[] ASCII = new byte[128];

    static {
        for (int c = 0; c < 128; c++) {
            ASCII[c] = (byte) (1 << 3 | kindOf(c));
        }
    }

    private CharClass() {}

    /// Kind and length in bytes of the character at `i`, to be asked with [#kind] and [#length].
    static int at(byte[] text, int i, int end) {
        byte b = text[i];
        return b >= 0 ? ASCII[b] : beyondAscii(text, i, end);
    }

    static int kind(int charClass) {
        return charClass & 7;
    }

    static int length(int charClass) {
        return charClass >> 3;
    }

    private static int beyondAscii(byte[] text, int i, int end) {
        int n = Utf8.prefix(text, i, end);
        if (n != Utf8.length(text[i])) {
            return 1 << 3 | SYMBOL;
        }
        return n << 3 | kindOf(Utf8.codePoint(text, i, n));
    }

    static int kindOf(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.UPPERCASE_LETTER, Character.LOWERCASE_LETTER, Character.TITLECASE_LETTER,
                    Character.MODIFIER_LETTER, Character.OTHER_LETTER -> LETTER;
            case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER -> NUMBER;
            case Character.SPACE_SEPARATOR, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR -> BLANK;
            case Character.CONTROL -> codePoint >= '\t' && codePoint <= '\r' || codePoint == 0x85 ? BLANK : SYMBOL;
            default -> SYMBOL;
        };
    }
}
