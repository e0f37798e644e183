package dev.deckle.explain.page;

/// Text inside HTML that is read as XML too: marks of the language as references, signs that XML forbids replaced.
final class HtmlText {
    private HtmlText() {}

    /// Safe as text and inside double quotes.
    static String escape(String text) {
        StringBuilder out = new StringBuilder();
        text.codePoints().forEach(c -> {
            switch (c) {
                case '&' -> out.append("&amp;");
                case '<' -> out.append("&lt;");
                case '>' -> out.append("&gt;");
                case '"' -> out.append("&quot;");
                case '\'' -> out.append("&#39;");
                default -> out.appendCodePoint(allowed(c) ? c : 0xFFFD);
            }
        });
        return out.toString();
    }

    /// A formula with its subscripts set low: `W_q`, `scores_h`. A name of several letters after several letters, such
    /// as `running_mean`, stays a name.
    static String formula(String text) {
        return escape(text).replaceAll("(?<![\\p{L}\\p{N}_])(\\p{L})_([\\p{L}\\p{N}]+)", "$1<sub>$2</sub>")
                .replaceAll("(\\p{L})_([\\p{L}\\p{N}])(?![\\p{L}\\p{N}_])", "$1<sub>$2</sub>");
    }

    private static boolean allowed(int c) {
        return c >= ' ' && !(c >= 0x7F && c <= 0x9F) && !(c >= 0xD800 && c <= 0xDFFF) && c != 0xFFFE && c != 0xFFFF
                || c == '\t' || c == '\n';
    }
}
