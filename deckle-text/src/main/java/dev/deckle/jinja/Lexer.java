package dev.deckle.jinja;

import dev.deckle.jinja.Token.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Source to tokens. Most of it is about white space: `trim_blocks` takes the line end after a block, `lstrip_blocks`
/// the indentation before one, `-` all of it on its side, `+` none.
final class Lexer {
    private static final String DIGITS = "[0-9](?:_?[0-9])*+";
    private static final Pattern FLOAT = Pattern.compile(
            "(?<!\\.)" + DIGITS + "(?:(?:\\." + DIGITS + ")?[eE][+-]?" + DIGITS + "|\\." + DIGITS + ")");
    private static final Pattern INTEGER = Pattern.compile(
            "0[bB](?:_?[01])++|0[oO](?:_?[0-7])++|0[xX](?:_?[0-9a-fA-F])++|[1-9](?:_?[0-9])*+|0(?:_?0)*+");
    private static final Pattern NAME = Pattern.compile("[\\p{L}_][\\p{L}\\p{M}\\p{N}_]*+");
    private static final Pattern OPERATOR = Pattern.compile("//|\\*\\*|[=!<>]=|[-+*/%~\\[\\](){}<>=.:|,;]");
    private static final Pattern RAW =
            Pattern.compile("\\{%[-+]?+\\s*+raw\\s*+(?:-%\\}\\s*+|%\\})", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern END_RAW =
            Pattern.compile("\\{%([-+]?+)\\s*+endraw\\s*+(?:\\+%\\}|-%\\}\\s*+|%\\}\\n?+)",
                    Pattern.UNICODE_CHARACTER_CLASS);

    private final String name;
    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private final Deque<Character> open = new ArrayDeque<>();
    private int at;
    private int line = 1;
    private boolean lineStarting = true;

    private Lexer(String name, String source) {
        this.name = name;
        String lines = source.replace("\r\n", "\n").replace('\r', '\n');
        this.source = lines.endsWith("\n") ? lines.substring(0, lines.length() - 1) : lines;
    }

    static List<Token> tokens(String name, String source) {
        return new Lexer(name, source).run();
    }

    private List<Token> run() {
        while (at < source.length()) {
            int tag = nextTag(at);
            if (tag < 0) {
                data(at, source.length());
                break;
            }
            Matcher raw = RAW.matcher(source).region(tag, source.length());
            boolean variable = source.charAt(tag + 1) == '{';
            char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
            text(at, tag, sign, variable);
            if (raw.lookingAt()) {
                advance(raw.end());
                raw();
            } else {
                advance(tag + (sign == '-' || sign == '+' ? 3 : 2));
                switch (source.charAt(tag + 1)) {
                    case '#' -> comment();
                    case '{' -> tag(Kind.VARIABLE_BEGIN, Kind.VARIABLE_END);
                    default -> tag(Kind.BLOCK_BEGIN, Kind.BLOCK_END);
                }
            }
            lineStarting = source.charAt(at - 1) == '\n';
        }
        tokens.add(new Token(Kind.END, "", line));
        return tokens;
    }

    private int nextTag(int from) {
        for (int i = source.indexOf('{', from); i >= 0 && i + 1 < source.length(); i = source.indexOf('{', i + 1)) {
            if ("{%#".indexOf(source.charAt(i + 1)) >= 0) {
                return i;
            }
        }
        return -1;
    }

    /// The text before a tag, without the white space that the tag takes away.
    private void text(int from, int tag, char sign, boolean variable) {
        int end = tag;
        if (sign == '-') {
            while (end > from && Characters.isSpace(source.charAt(end - 1))) {
                end--;
            }
        } else if (sign != '+' && !variable) {
            int indent = tag;
            while (indent > from && source.charAt(indent - 1) != '\n'
                    && Characters.isSpace(source.charAt(indent - 1))) {
                indent--;
            }
            if (indent > from ? source.charAt(indent - 1) == '\n' : lineStarting) {
                end = indent;
            }
        }
        data(from, end);
        advance(tag);
    }

    private void data(int from, int end) {
        if (end > from) {
            tokens.add(new Token(Kind.DATA, source.substring(from, end), line));
        }
    }

    private void raw() {
        Matcher end = END_RAW.matcher(source);
        if (!end.find(at)) {
            throw failure("Missing end of raw directive");
        }
        lineStarting = source.charAt(at - 1) == '\n';
        text(at, end.start(), end.group(1).isEmpty() ? ' ' : end.group(1).charAt(0), false);
        advance(end.end());
    }

    private void comment() {
        int end = source.indexOf("#}", at);
        if (end < 0) {
            throw failure("Missing end of comment tag");
        }
        endOfTag(end + 2, end > at ? source.charAt(end - 1) : ' ', true);
    }

    private void endOfTag(int end, char sign, boolean trims) {
        int next = end;
        if (sign == '-') {
            while (next < source.length() && Characters.isSpace(source.charAt(next))) {
                next++;
            }
        } else if (sign != '+' && trims && next < source.length() && source.charAt(next) == '\n') {
            next++;
        }
        advance(next);
    }

    private void tag(Kind begin, Kind end) {
        String mark = end == Kind.BLOCK_END ? "%}" : "}}";
        tokens.add(new Token(begin, "", line));
        open.clear();
        while (true) {
            while (at < source.length() && Characters.isSpace(source.charAt(at))) {
                advance(at + 1);
            }
            if (at >= source.length()) {
                return; // the parser misses the end of the tag
            }
            char c = source.charAt(at);
            boolean signed = c == '-' || c == '+' && end == Kind.BLOCK_END;
            if (open.isEmpty() && (source.startsWith(mark, at) || signed && source.startsWith(mark, at + 1))) {
                tokens.add(new Token(end, "", line));
                endOfTag(at + (signed ? 3 : 2), c, end == Kind.BLOCK_END);
                return;
            }
            token();
        }
    }

    private void token() {
        if (found(FLOAT, Kind.FLOAT) || found(INTEGER, Kind.INTEGER) || found(NAME, Kind.NAME)) {
            return;
        }
        int stringEnd = stringEnd();
        if (stringEnd > at) {
            try {
                String text = Characters.unescape(source.substring(at + 1, stringEnd - 1));
                tokens.add(new Token(Kind.STRING, text, line));
            } catch (TemplateException e) {
                throw e.at(name, line);
            }
            advance(stringEnd);
            return;
        }
        int before = at;
        if (!found(OPERATOR, Kind.OPERATOR)) {
            throw failure("unexpected char " + Printer.repr(Character.toString(source.codePointAt(at))) + " at " + at);
        }
        switch (source.charAt(before)) {
            case '(' -> open.push(')');
            case '[' -> open.push(']');
            case '{' -> open.push('}');
            case ')', ']', '}' -> {
                char c = source.charAt(before);
                if (open.isEmpty() || open.peek() != c) {
                    String expected = open.isEmpty() ? "" : ", expected '" + open.peek() + "'";
                    throw failure("unexpected '" + c + "'" + expected);
                }
                open.pop();
            }
            default -> {}
        }
    }

    /// After the closing quote of the string that begins here, or here if none does.
    private int stringEnd() {
        char quote = source.charAt(at);
        if (quote == '\'' || quote == '"') {
            for (int i = at + 1; i < source.length(); i++) {
                char c = source.charAt(i);
                if (c == quote) {
                    return i + 1;
                }
                if (c == '\\') {
                    i++;
                }
            }
        }
        return at;
    }

    private boolean found(Pattern pattern, Kind kind) {
        Matcher m = pattern.matcher(source).region(at, source.length()).useTransparentBounds(true);
        if (!m.lookingAt()) {
            return false;
        }
        boolean number = kind == Kind.FLOAT || kind == Kind.INTEGER;
        tokens.add(new Token(kind, number ? m.group().replace("_", "") : m.group(), line));
        at = m.end();
        return true;
    }

    private void advance(int to) {
        for (int i = at; i < to; i++) {
            if (source.charAt(i) == '\n') {
                line++;
            }
        }
        at = to;
    }

    private TemplateException failure(String message) {
        return new TemplateException(message).at(name, line);
    }
}
