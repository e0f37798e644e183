package dev.deckle.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/// Reads a regular expression in Oniguruma's syntax, in which `tokenizer.json` files are written, into a tree.
///
/// Where it differs from Java's: `^` and `$` are about lines, `.` stops at `\n` alone and `(?m)` makes it stop at
/// nothing, `\h` is a hexadecimal digit, `\v` the vertical tab, `{n,m}+` repeats a repetition instead of making it
/// possessive, `(?i)` in the middle of a group holds for all alternatives behind it, and `\s`, `\w`, `\d`, `\b` and the
/// names of POSIX mean Unicode. Refused with a line that says what: back-references, calls and conditions of groups,
/// absent operators, `\K`, `\G`, and properties that have no name here.
final class RegexSyntax {
    sealed interface Node {}

    /// One character of a set.
    record One(CharSet set) implements Node {}

    record Sequence(List<Node> parts) implements Node {}

    record Choice(List<Node> branches) implements Node {}

    /// @param max the most repetitions, [#UNBOUNDED] for any number
    record Repeat(Node body, int min, int max, Mode mode) implements Node {}

    /// A look at what follows or, with `behind`, at what goes before, that takes nothing.
    record Look(Node body, boolean behind, boolean negative) implements Node {}

    /// A group that is not entered again for another try.
    record Atomic(Node body) implements Node {}

    record Place(Anchor anchor) implements Node {}

    enum Mode {
        GREEDY, LAZY, POSSESSIVE
    }

    enum Anchor {
        LINE_START, LINE_END, TEXT_START, TEXT_END, LAST_LINE_END, WORD_EDGE, NO_WORD_EDGE
    }

    static final int UNBOUNDED = Integer.MAX_VALUE;
    private static final int MAX_DEPTH = 100;
    private static final int MAX_IN_A_ROW = 4; // repetitions of repetitions
    private static final int MAX_PARTS = 64; // of a set: other sets in it, or joined by &&
    private static final int MAX_REPEAT = 1000;
    private static final int MAX_LENGTH = 1 << 13;

    private final String regex;
    private final String where;
    private int at;
    private int depth;

    private RegexSyntax(String regex, String where) {
        this.regex = regex;
        this.where = where;
    }

    /// @param where the key that holds the expression, for messages
    static Node parse(String regex, String where) {
        var syntax = new RegexSyntax(regex, where);
        if (regex.length() > MAX_LENGTH) {
            throw syntax.wrong("an expression of " + regex.length() + " characters; at most " + MAX_LENGTH);
        }
        Node node = syntax.choice(false, false, false);
        if (syntax.at < regex.length()) {
            throw syntax.wrong("a ')' that nothing opens");
        }
        return node;
    }

    /// Alternatives up to the end of the group.
    private Node choice(boolean ignoreCase, boolean dotAll, boolean extended) {
        if (++depth > MAX_DEPTH) {
            throw wrong("groups nested more than " + MAX_DEPTH + " deep");
        }
        var branches = new ArrayList<Node>();
        do {
            branches.add(sequence(ignoreCase, dotAll, extended));
        } while (take("|"));
        depth--;
        return branches.size() == 1 ? branches.getFirst() : new Choice(branches);
    }

    private Node sequence(boolean ignoreCase, boolean dotAll, boolean extended) {
        var parts = new ArrayList<Node>();
        while (at < regex.length() && regex.charAt(at) != '|' && regex.charAt(at) != ')') {
            if (extended && Character.isWhitespace(regex.charAt(at))) {
                at++;
            } else if (extended && regex.charAt(at) == '#') {
                int end = regex.indexOf('\n', at);
                at = end < 0 ? regex.length() : end + 1;
            } else if (regex.startsWith("(?#", at)) {
                at = close() + 1;
            } else {
                parts.add(quantified(atom(ignoreCase, dotAll, extended)));
            }
        }
        return parts.size() == 1 ? parts.getFirst() : new Sequence(parts);
    }

    private Node quantified(Node atom) {
        Node body = atom;
        int inARow = 0;
        while (at < regex.length()) {
            int min;
            int max;
            boolean interval = false;
            char c = regex.charAt(at);
            int start = at;
            if (c == '*' || c == '+' || c == '?') {
                at++;
                min = c == '+' ? 1 : 0;
                max = c == '?' ? 1 : UNBOUNDED;
            } else if (c == '{') {
                at++;
                int low = number();
                boolean comma = take(",");
                int high = comma ? number() : low;
                if (low < 0 && high < 0 || !take("}")) {
                    at = start; // a brace that is no interval stands for itself
                    return body;
                }
                min = Math.max(low, 0);
                max = high < 0 ? UNBOUNDED : high;
                interval = true;
                if (max < min) {
                    throw wrong("an interval that ends before it begins");
                }
                if (min > MAX_REPEAT || max != UNBOUNDED && max > MAX_REPEAT) {
                    throw wrong("more than " + MAX_REPEAT + " repetitions");
                }
            } else {
                return body;
            }
            Mode mode = Mode.GREEDY;
            if (take("?")) {
                if (interval && min == max) { // {n}? may be absent altogether
                    body = new Repeat(body, min, max, Mode.GREEDY);
                    min = 0;
                    max = 1;
                } else {
                    mode = Mode.LAZY;
                }
            } else if (!interval && take("+")) {
                mode = Mode.POSSESSIVE;
            }
            if (++inARow > MAX_IN_A_ROW) {
                throw wrong("more than " + MAX_IN_A_ROW + " repetitions in a row");
            }
            body = new Repeat(body, min, max, mode);
        }
        return body;
    }

    private Node atom(boolean ignoreCase, boolean dotAll, boolean extended) {
        char c = regex.charAt(at);
        switch (c) {
            case '(' -> {
                at++;
                return group(ignoreCase, dotAll, extended);
            }
            case '[' -> {
                at++;
                return new One(set(0, ignoreCase));
            }
            case '.' -> {
                at++;
                return new One(dotAll ? CharSet.ANY : CharSet.NOT_NEWLINE);
            }
            case '^' -> {
                at++;
                return new Place(Anchor.LINE_START);
            }
            case '$' -> {
                at++;
                return new Place(Anchor.LINE_END);
            }
            case '*', '+', '?' -> throw wrong("a repetition of nothing");
            case '\\' -> {
                at++;
                return escape(ignoreCase);
            }
            default -> {
                return literal(next(), ignoreCase);
            }
        }
    }

    private static Node literal(int c, boolean ignoreCase) {
        return new One(ignoreCase ? CharSet.ignoringCase(c) : CharSet.of(c));
    }

    /// What stands behind an opening parenthesis, its end included.
    private Node group(boolean ignoreCase, boolean dotAll, boolean extended) {
        if (!take("?")) {
            return closed(choice(ignoreCase, dotAll, extended));
        }
        if (take(":")) {
            return closed(choice(ignoreCase, dotAll, extended));
        }
        if (take(">")) {
            return new Atomic(closed(choice(ignoreCase, dotAll, extended)));
        }
        if (take("=") || take("!")) {
            boolean negative = regex.charAt(at - 1) == '!';
            return new Look(closed(choice(ignoreCase, dotAll, extended)), false, negative);
        }
        if (take("<=") || take("<!")) {
            boolean negative = regex.charAt(at - 1) == '!';
            return new Look(closed(choice(ignoreCase, dotAll, extended)), true, negative);
        }
        if (take("<") && at < regex.length() && Character.isLetter(regex.charAt(at))) { // a name
            int end = regex.indexOf('>', at);
            if (end < 0) {
                throw wrong("a name of a group that does not end");
            }
            at = end + 1;
            return closed(choice(ignoreCase, dotAll, extended));
        }
        boolean on = true;
        boolean[] flags = {ignoreCase, dotAll, extended};
        while (at < regex.length()) {
            char c = regex.charAt(at++);
            int flag = "imx".indexOf(c);
            if (flag >= 0) {
                flags[flag] = on;
            } else if (c == '-') {
                on = false;
            } else if (c == ':') {
                return closed(choice(flags[0], flags[1], flags[2]));
            } else if (c == ')') { // for the rest of the group that this stands in, all its alternatives included
                return choice(flags[0], flags[1], flags[2]);
            } else {
                break;
            }
        }
        throw wrong("a group of an unsupported kind");
    }

    private Node closed(Node group) {
        if (!take(")")) {
            throw wrong("a group that does not end");
        }
        return group;
    }

    private int close() {
        int end = regex.indexOf(')', at);
        if (end < 0) {
            throw wrong("a comment that does not end");
        }
        return end;
    }

    private Node escape(boolean ignoreCase) {
        if (at == regex.length()) {
            throw wrong("a '\\' at the end");
        }
        char c = regex.charAt(at);
        Anchor anchor = switch (c) {
            case 'A' -> Anchor.TEXT_START;
            case 'z' -> Anchor.TEXT_END;
            case 'Z' -> Anchor.LAST_LINE_END;
            case 'b' -> Anchor.WORD_EDGE;
            case 'B' -> Anchor.NO_WORD_EDGE;
            default -> null;
        };
        if (anchor != null) {
            at++;
            return new Place(anchor);
        }
        switch (c) {
            case 'R' -> {
                at++;
                CharSet breaks = CharSet.range('\n', '\r').or(CharSet.of(0x85)).or(CharSet.range(0x2028, 0x2029));
                return new Atomic(new Choice(List.of(
                        new Sequence(List.of(new One(CharSet.of('\r')), new One(CharSet.of('\n')))),
                        new One(breaks))));
            }
            case 'N' -> {
                at++;
                return new One(CharSet.NOT_NEWLINE);
            }
            case 'O' -> {
                at++;
                return new One(CharSet.ANY);
            }
            case 'K', 'G', 'X', 'k', 'g', 'y', 'Y', '1', '2', '3', '4', '5', '6', '7', '8',
                    '9' -> throw wrong("the unsupported \\" + c);
            default -> {
                CharSet set = classEscape();
                return set != null ? new One(set) : literal(escaped(), ignoreCase);
            }
        }
    }

    /// The set behind a backslash, such as `\s`; null if it is a character.
    private CharSet classEscape() {
        char c = regex.charAt(at);
        CharSet set = switch (Character.toLowerCase(c)) {
            case 's' -> CharSet.SPACE;
            case 'd' -> CharSet.DIGIT;
            case 'w' -> CharSet.WORD;
            case 'h' -> CharSet.HEX_DIGIT;
            default -> null;
        };
        if (set != null) {
            at++;
            return Character.isUpperCase(c) ? set.not() : set;
        }
        if ((c == 'p' || c == 'P') && regex.startsWith("{", at + 1)) {
            int end = regex.indexOf('}', at);
            if (end < 0) {
                throw wrong("a property that does not end");
            }
            String name = regex.substring(at + 2, end);
            boolean negated = name.startsWith("^") != (c == 'P');
            String plain = name.startsWith("^") ? name.substring(1) : name;
            CharSet property = CharSet.property(plain).orElseThrow(() -> wrong("the unknown property " + plain));
            at = end + 1;
            return negated ? property.not() : property;
        }
        return null;
    }

    /// The character behind a backslash.
    private int escaped() {
        int c = next();
        return switch (c) {
            case 't' -> '\t';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 'f' -> '\f';
            case 'v' -> 0x0B;
            case 'a' -> 0x07;
            case 'e' -> 0x1B;
            case 'u' -> hex(4, 4);
            case 'x' -> {
                if (take("{")) {
                    int code = hex(1, 8);
                    if (!take("}")) {
                        throw wrong("a \\x{ that does not end");
                    }
                    yield code;
                }
                yield hex(0, 2);
            }
            case '0' -> {
                int code = 0;
                for (int n = 0; n < 2 && at < regex.length() && Character.digit(regex.charAt(at), 8) >= 0; n++) {
                    code = code * 8 + Character.digit(regex.charAt(at++), 8);
                }
                yield code;
            }
            case 'c', 'C', 'M' -> throw wrong("the unsupported \\" + Character.toString(c));
            default -> c;
        };
    }

    private int hex(int min, int max) {
        int code = 0;
        int n = 0;
        for (; n < max && at < regex.length() && Character.digit(regex.charAt(at), 16) >= 0; n++) {
            code = code << 4 | Character.digit(regex.charAt(at++), 16);
        }
        if (n < min || !Character.isValidCodePoint(code)) {
            throw wrong("a number that is no character");
        }
        return code;
    }

    /// What stands behind an opening bracket, its end included.
    ///
    /// @param ignoreCase of the members, before the set is negated
    private CharSet set(int nested, boolean ignoreCase) {
        if (nested > MAX_DEPTH) {
            throw wrong("sets nested more than " + MAX_DEPTH + " deep");
        }
        boolean negated = take("^");
        var joined = new ArrayList<CharSet>(); // by &&
        var parts = new ArrayList<CharSet>();
        var points = new TreeMap<Integer, Integer>();
        boolean first = true;
        while (at < regex.length() && (regex.charAt(at) != ']' || first && regex.indexOf(']', at + 1) > 0)) {
            first = false;
            if (take("&&")) {
                joined.add(union(parts, points));
                parts = new ArrayList<>();
                points = new TreeMap<>();
            } else {
                item(nested, parts, points);
            }
            if (parts.size() > MAX_PARTS || joined.size() > MAX_PARTS) {
                throw wrong("a set of more than " + MAX_PARTS + " sets");
            }
        }
        if (first || !take("]")) {
            throw wrong("a set that does not end");
        }
        joined.add(union(parts, points));
        CharSet[] all = joined.toArray(CharSet[]::new);
        CharSet set = all.length == 1 ? all[0] : new CharSet(c -> {
            for (CharSet one : all) {
                if (!one.test(c)) {
                    return false;
                }
            }
            return true;
        });
        if (ignoreCase) {
            set = set.ignoringCase();
        }
        return negated ? set.not() : set;
    }

    /// @param points ranges from key to value, which do not touch
    private static CharSet union(List<CharSet> parts, TreeMap<Integer, Integer> points) {
        CharSet[] sets = parts.toArray(CharSet[]::new);
        return new CharSet(c -> {
            var range = points.floorEntry(c);
            if (range != null && c <= range.getValue()) {
                return true;
            }
            for (CharSet set : sets) {
                if (set.test(c)) {
                    return true;
                }
            }
            return false;
        });
    }

    private static void insert(TreeMap<Integer, Integer> points, int from, int to) {
        int first = from;
        int last = to;
        for (var range = points.floorEntry(last); range != null && range.getValue() >= first; range =
                points.floorEntry(last)) {
            first = Math.min(first, range.getKey());
            last = Math.max(last, range.getValue());
            points.remove(range.getKey());
        }
        points.put(first, last);
    }

    private void item(int nested, List<CharSet> parts, TreeMap<Integer, Integer> points) {
        if (regex.startsWith("[:", at)) {
            int end = regex.indexOf(":]", at + 2);
            String name = end < 0 ? "" : regex.substring(at + 2, end);
            boolean negated = name.startsWith("^");
            String plain = negated ? name.substring(1) : name;
            if (plain.matches("[a-z]+")) {
                CharSet posix = CharSet.posix(plain).orElseThrow(() -> wrong("the unknown class " + plain));
                at = end + 2;
                parts.add(negated ? posix.not() : posix);
                return;
            }
        }
        if (take("[")) {
            parts.add(set(nested + 1, false));
            return;
        }
        if (take("\\")) {
            if (at == regex.length()) {
                throw wrong("a '\\' at the end");
            }
            CharSet set = classEscape();
            if (set != null) {
                parts.add(set);
                return;
            }
            at--;
        }
        int from = member();
        if (regex.startsWith("-", at) && at + 1 < regex.length() && regex.charAt(at + 1) != ']') {
            int dash = at++;
            if (regex.charAt(at) == '[' || regex.startsWith("&&", at)) {
                at = dash;
                insert(points, from, from);
                return;
            }
            if (regex.charAt(at) == '\\' && at + 1 < regex.length()
                    && "sSdDwWhHpP".indexOf(regex.charAt(at + 1)) >= 0) {
                throw wrong("a range that ends in a class");
            }
            int to = member();
            if (to < from) {
                throw wrong("a range that ends before it begins");
            }
            insert(points, from, to);
            return;
        }
        insert(points, from, from);
    }

    /// A character of a set, in which `\b` is the backspace.
    private int member() {
        if (take("\\")) {
            if (at == regex.length()) {
                throw wrong("a '\\' at the end");
            }
            return take("b") ? '\b' : escaped();
        }
        return next();
    }

    private int next() {
        int c = regex.codePointAt(at);
        at += Character.charCount(c);
        return c;
    }

    private boolean take(String expected) {
        boolean there = regex.startsWith(expected, at);
        if (there) {
            at += expected.length();
        }
        return there;
    }

    /// The decimal number here, -1 if there is none.
    private int number() {
        int start = at;
        int value = 0;
        while (at < regex.length() && regex.charAt(at) >= '0' && regex.charAt(at) <= '9') {
            value = Math.min(value * 10 + regex.charAt(at++) - '0', MAX_REPEAT + 1);
        }
        return at > start ? value : -1;
    }

    private IllegalArgumentException wrong(String what) {
        String shown = regex.length() > 120 ? regex.substring(0, 120) + "..." : regex;
        return new IllegalArgumentException(where + " is the expression '" + shown + "' with " + what + " at character "
                + at);
    }
}
