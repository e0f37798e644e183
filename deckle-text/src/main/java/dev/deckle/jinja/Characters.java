package dev.deckle.jinja;

import java.util.function.IntPredicate;

/// What Python says of characters.
final class Characters {
    private Characters() {}

    static boolean isSpace(int c) {
        return c <= ' '
                ? c == ' ' || c >= '\t' && c <= '\r' || c >= 0x1c && c <= 0x1f
                : c == 0x85 || Character.isSpaceChar(c);
    }

    /// Where `splitlines` ends a line; `\r\n` counts as one end.
    static boolean endsLine(int c) {
        return c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029;
    }

    static boolean isPrintable(int c) {
        return c == ' '
                || switch (Character.getType(c)) {
                    case Character.CONTROL,
                            Character.FORMAT,
                            Character.SURROGATE,
                            Character.PRIVATE_USE,
                            Character.UNASSIGNED,
                            Character.LINE_SEPARATOR,
                            Character.PARAGRAPH_SEPARATOR,
                            Character.SPACE_SEPARATOR -> false;
                    default -> true;
                };
    }

    static boolean isCased(int c) {
        return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
    }

    static boolean isAlphanumeric(int c) {
        return Character.isLetter(c) || isNumeric(c);
    }

    static boolean isNumeric(int c) {
        int type = Character.getType(c);
        return type == Character.DECIMAL_DIGIT_NUMBER
                || type == Character.LETTER_NUMBER
                || type == Character.OTHER_NUMBER;
    }

    /// Decimal digits and those that stand above or below the line.
    static boolean isDigit(int c) {
        return Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER
                || Character.getType(c) == Character.OTHER_NUMBER && "¹²³⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉".indexOf(c) >= 0;
    }

    /// Not empty, and all of it so.
    static boolean all(String s, IntPredicate so) {
        return !s.isEmpty() && s.codePoints().allMatch(so);
    }

    /// First letters of words upper, others lower; a word is a run of cased characters.
    static String title(String s) {
        var out = new StringBuilder(s.length());
        boolean inside = false;
        for (int i = 0; i < s.length();) {
            String c = Character.toString(s.codePointAt(i));
            out.append(inside ? lower(c) : titleFirst(c));
            inside = isCased(c.codePointAt(0));
            i += c.length();
        }
        return out.toString();
    }

    static String capitalize(String s) {
        int first = s.isEmpty() ? 0 : Character.charCount(s.codePointAt(0));
        return titleFirst(s.substring(0, first)) + lower(s).substring(lower(s.substring(0, first)).length());
    }

    private static String titleFirst(String c) {
        if (c.isEmpty()) {
            return c;
        }
        int title = Character.toTitleCase(c.codePointAt(0));
        return title == c.codePointAt(0) ? capitalized(upper(c)) : Character.toString(title);
    }

    /// What upper case makes of one character may be several, of which only the first stays upper: ß, Ss.
    private static String capitalized(String upper) {
        int first = Character.charCount(upper.codePointAt(0));
        return upper.substring(0, first) + lower(upper.substring(first));
    }

    static String upper(String s) {
        return s.toUpperCase(java.util.Locale.ROOT);
    }

    static String lower(String s) {
        return s.toLowerCase(java.util.Locale.ROOT);
    }

    /// The escapes of a Python string; one that Python does not know stays as it is.
    static String unescape(String s) {
        if (s.indexOf('\\') < 0) {
            return s;
        }
        var out = new StringBuilder(s.length());
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c != '\\' || i + 1 == s.length()) {
                out.append(c);
                continue;
            }
            char escape = s.charAt(++i);
            int simple = "\n\\'\"abfnrtv".indexOf(escape);
            if (simple >= 0) {
                out.append(simple == 0 ? "" : "\\'\"\u0007\b\f\n\r\t\u000b".substring(simple - 1, simple));
            } else if (escape >= '0' && escape <= '7') {
                int end = i;
                while (end < Math.min(s.length(), i + 3) && s.charAt(end) >= '0' && s.charAt(end) <= '7') {
                    end++;
                }
                out.appendCodePoint(Integer.parseInt(s, i, end, 8));
                i = end - 1;
            } else if ("xuU".indexOf(escape) >= 0) {
                int digits = escape == 'x' ? 2 : escape == 'u' ? 4 : 8;
                out.appendCodePoint(hex(s, i, digits));
                i += digits;
            } else if (escape == 'N') {
                throw new TemplateException("\\N{...} in a string is not supported");
            } else {
                out.append('\\').append(escape);
            }
        }
        return out.toString();
    }

    private static int hex(String s, int escape, int digits) {
        try {
            int point = Integer.parseUnsignedInt(s, escape + 1, escape + 1 + digits, 16);
            if (Character.isValidCodePoint(point)) {
                return point;
            }
        } catch (NumberFormatException | IndexOutOfBoundsException _) {
            // told below
        }
        throw new TemplateException("\\" + s.charAt(escape) + " in a string needs " + digits + " hexadecimal digits");
    }
}
