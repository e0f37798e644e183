package dev.deckle.explain.page;

import java.util.ArrayList;
import java.util.List;

/// Text in columns of a terminal.
final class Wrap {
    private Wrap() {}

    /// Lines of at most `width` columns, broken between words where a word fits and inside it where not.
    static List<String> lines(String text, int width) {
        List<String> lines = new ArrayList<>();
        for (String paragraph : text.strip().split("\\R")) {
            StringBuilder line = new StringBuilder();
            for (String word : paragraph.strip().split("\\s+")) {
                if (!line.isEmpty() && columns(line.toString()) + 1 + columns(word) > width) {
                    lines.add(line.toString());
                    line.setLength(0);
                }
                line.append(line.isEmpty() ? "" : " ").append(word);
                while (columns(line.toString()) > width) {
                    int cut = fitting(line, width);
                    lines.add(line.substring(0, cut));
                    line.delete(0, cut);
                }
            }
            lines.add(line.toString());
        }
        return lines;
    }

    /// How many columns a terminal takes for a text: none for a mark on the letter before, two for a wide sign.
    static int columns(String text) {
        return text.codePoints().map(Wrap::columns).sum();
    }

    static String padded(String text, int width) {
        return text + " ".repeat(Math.max(0, width - columns(text)));
    }

    private static int columns(int c) {
        int type = Character.getType(c);
        if (type == Character.NON_SPACING_MARK || type == Character.ENCLOSING_MARK || type == Character.FORMAT) {
            return 0;
        }
        boolean wide = c >= 0x1F300 && c <= 0x1FAFF || c >= 0xFF00 && c <= 0xFF60 || c >= 0x3000 && c <= 0x303F;
        return wide || switch (Character.UnicodeScript.of(c)) {
            case HAN, HIRAGANA, KATAKANA, HANGUL -> true;
            default -> false;
        } ? 2 : 1;
    }

    /// At least one sign, however narrow the terminal.
    private static int fitting(CharSequence text, int width) {
        int cut = 0;
        int used = 0;
        while (cut < text.length()) {
            int c = Character.codePointAt(text, cut);
            used += columns(c);
            if (used > width && cut > 0) {
                break;
            }
            cut += Character.charCount(c);
        }
        return cut;
    }
}
