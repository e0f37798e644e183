package dev.deckle.tokenizer;

import java.util.Random;

/// Texts of everything that tokenizers trip over.
final class RandomText {
    private static final String[] BLANKS = {
        " ", " ", " ", " ", "\n", "\r", "\t", "\r\n", "\u000B", "\u0085", "\u00A0", "\u1680", "\u2003", "\u2028",
        "\u202F", "\u3000", "\u180E", "\u200B", "\uFEFF", "\u001C"
    };
    private static final String[] PARTS = {
        "the", "public", "don't", "'s", "'re", "'LL", "'ſ", "''s", "'", "'r", "...", "{}();", "<|endoftext|>",
        "naïve", "手撕", "привет", "हिन्दी", "👩‍👩‍👧‍👦", "👍🏽", "e\u0301", "\u0301", "٣٤٥", "Ⅷ", "½", "12345",
        "7", "\uDBFF\uDFFF", "\u0000", "x".repeat(70)
    };

    private RandomText() {}

    static String of(Random random) {
        var text = new StringBuilder();
        for (int n = random.nextInt(14); n > 0; n--) {
            for (int blanks = random.nextInt(4); blanks > 0; blanks--) {
                text.append(BLANKS[random.nextInt(BLANKS.length)]);
            }
            if (random.nextInt(4) > 0) {
                text.append(PARTS[random.nextInt(PARTS.length)]);
            } else {
                int c = random.nextInt(random.nextBoolean() ? 0x3000 : 0x110000);
                text.appendCodePoint(c >= 0xD800 && c < 0xE000 ? 'a' : c);
            }
        }
        return text.toString();
    }

    static byte[] bytes(Random random, int maxLength) {
        byte[] bytes = new byte[random.nextInt(maxLength + 1)];
        random.nextBytes(bytes);
        return bytes;
    }
}
