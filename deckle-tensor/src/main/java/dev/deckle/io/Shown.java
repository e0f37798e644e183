package dev.deckle.io;

/// Text from a stranger's file as a message shows it: short, on one line, and with no characters that a terminal obeys.
public final class Shown {
    private static final int MOST = 80;

    private Shown() {}

    /// A name or a value, cut where it is long.
    public static String brief(String text) {
        return brief(text, MOST);
    }

    /// The same with a length of its own.
    public static String brief(String text, int most) {
        String s = escaped(text.length() <= most ? text : text.substring(0, most + 1));
        if (s.length() <= most) {
            return s;
        }
        int end = Character.isHighSurrogate(s.charAt(most - 1)) ? most - 1 : most;
        return s.substring(0, end) + "...";
    }

    /// With escapes for what is not to be printed: control and format characters, ends of lines, halves of pairs.
    public static String escaped(String text) {
        StringBuilder b = new StringBuilder();
        text.codePoints().forEach(c -> {
            switch (Character.getType(c)) {
                case Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.LINE_SEPARATOR,
                        Character.PARAGRAPH_SEPARATOR -> b.append(String.format("\\u%04x", c));
                default -> b.appendCodePoint(c);
            }
        });
        return b.toString();
    }
}
