package dev.deckle.jinja;

import dev.deckle.jinja.Value.Kind;
import dev.deckle.jinja.Value.None;
import dev.deckle.jinja.Value.Seq;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/// The methods of strings.
final class TextMethods {
    private TextMethods() {}

    static final Map<String, Native> TABLE = table();

    private static Map<String, Native> table() {
        var t = new Native.Table();
        change(t, "upper", Characters::upper);
        change(t, "lower", Characters::lower);
        change(t, "casefold", s -> Characters.lower(Characters.upper(Characters.lower(s))));
        change(t, "title", Characters::title);
        change(t, "capitalize", Characters::capitalize);
        change(t, "swapcase", TextMethods::swapCase);
        ask(t, "isalpha", Character::isLetter);
        ask(t, "isdigit", Characters::isDigit);
        ask(t, "isdecimal", Character::isDigit);
        ask(t, "isnumeric", Characters::isNumeric);
        ask(t, "isalnum", Characters::isAlphanumeric);
        ask(t, "isspace", Characters::isSpace);
        about(t, "isascii", s -> s.chars().allMatch(c -> c < 128));
        about(t, "isprintable", s -> s.codePoints().allMatch(Characters::isPrintable));
        about(t, "islower", s -> cased(s) && s.equals(Characters.lower(s)));
        about(t, "isupper", s -> cased(s) && s.equals(Characters.upper(s)));
        about(t, "istitle", s -> cased(s) && s.equals(Characters.title(s)));
        about(t, "isidentifier", s -> s.matches("[\\p{L}_][\\p{L}\\p{N}_]*"));
        t.add("strip chars?", (in, self, a) -> strip(self, a.at(0), true, true));
        t.add("lstrip chars?", (in, self, a) -> strip(self, a.at(0), true, false));
        t.add("rstrip chars?", (in, self, a) -> strip(self, a.at(0), false, true));
        t.add("startswith prefix start? end?", (in, self, a) -> Value.of(affix(self, a, String::startsWith)));
        t.add("endswith suffix start? end?", (in, self, a) -> Value.of(affix(self, a, String::endsWith)));
        t.add("removeprefix prefix", (in, self, a) -> {
            String s = string(self);
            return ((Text) self).with(s.startsWith(a.text(0)) ? s.substring(a.text(0).length()) : s);
        });
        t.add("removesuffix suffix", (in, self, a) -> {
            String s = string(self);
            boolean cut = !a.text(0).isEmpty() && s.endsWith(a.text(0));
            return ((Text) self).with(cut ? s.substring(0, s.length() - a.text(0).length()) : s);
        });
        t.add("replace old new count?",
                (in, self, a) -> ((Text) self).with(replace(in, string(self), a.text(0), a.text(1), a.whole(2, -1))));
        t.add("split sep? maxsplit?", (in, self, a) -> split(self, a, false));
        t.add("rsplit sep? maxsplit?", (in, self, a) -> split(self, a, true));
        t.add("splitlines keepends?", (in, self, a) -> texts(self, lines(string(self), a.flag(0, false))));
        t.add("partition sep", (in, self, a) -> partition(self, a.text(0), string(self).indexOf(a.text(0)), 0));
        t.add("rpartition sep", (in, self, a) -> partition(self, a.text(0), string(self).lastIndexOf(a.text(0)), 2));
        t.add("join iterable", (in, self, a) -> ((Text) self).with(join(in, string(self), a.at(0))));
        t.add("find sub start? end?", (in, self, a) -> Value.of(find(self, a, false)));
        t.add("rfind sub start? end?", (in, self, a) -> Value.of(find(self, a, true)));
        t.add("index sub start? end?", (in, self, a) -> Value.of(found(find(self, a, false))));
        t.add("rindex sub start? end?", (in, self, a) -> Value.of(found(find(self, a, true))));
        t.add("count sub start? end?", (in, self, a) -> Value.of(count(self, a)));
        t.add("ljust width fillchar?", (in, self, a) -> pad(in, self, a, 0));
        t.add("rjust width fillchar?", (in, self, a) -> pad(in, self, a, 2));
        t.add("center width fillchar?", (in, self, a) -> pad(in, self, a, 1));
        t.add("zfill width", (in, self, a) -> zeros(in, (Text) self, a.whole(0, 0)));
        t.add("format *", (in, self, a) -> ((Text) self).with(Format.braces(in, string(self), a)));
        return t.map();
    }

    private static void change(Native.Table t, String name, UnaryOperator<String> change) {
        t.add(name, (in, self, a) -> {
            in.spend(string(self).length());
            return ((Text) self).with(change.apply(string(self)));
        });
    }

    private static void ask(Native.Table t, String name, IntPredicate ofEach) {
        about(t, name, s -> Characters.all(s, ofEach));
    }

    private static void about(Native.Table t, String name, Predicate<String> question) {
        t.add(name, (in, self, a) -> {
            in.spend(string(self).length());
            return Value.of(question.test(string(self)));
        });
    }

    private static String string(Value self) {
        return ((Text) self).string;
    }

    private static Value texts(Value self, List<String> parts) {
        return Seq.list(parts.stream().map(s -> (Value) ((Text) self).with(s)).toList());
    }

    static boolean cased(String s) {
        return s.codePoints().anyMatch(Characters::isCased);
    }

    private static String swapCase(String s) {
        var out = new StringBuilder(s.length());
        s.codePoints().mapToObj(Character::toString).forEach(c -> out.append(
                Character.isUpperCase(c.codePointAt(0)) ? Characters.lower(c) : Characters.upper(c)));
        return out.toString();
    }

    /// Without white space, or without any of the characters of `chars`.
    static Value strip(Value self, Value chars, boolean left, boolean right) {
        String s = string(self);
        boolean blank = chars == Args.ABSENT || chars == None.NONE;
        String set = blank ? "" : Args.text(chars);
        IntPredicate goes = blank ? Characters::isSpace : c -> set.indexOf(c) >= 0;
        int from = 0;
        int to = s.length();
        while (left && from < to && goes.test(s.codePointAt(from))) {
            from += Character.charCount(s.codePointAt(from));
        }
        while (right && to > from && goes.test(s.codePointBefore(to))) {
            to -= Character.charCount(s.codePointBefore(to));
        }
        return ((Text) self).with(s.substring(from, to));
    }

    private static boolean affix(Value self, Args a, java.util.function.BiPredicate<String, String> has) {
        Text whole = (Text) self;
        int size = a.has(1) || a.has(2) ? whole.length() : 0;
        if (a.has(1) && a.whole(1, 0) > size) {
            return false;
        }
        String s = size == 0
                ? whole.string
                : whole.slice(Methods.clip(a.whole(1, 0), size), Methods.clip(a.whole(2, size), size)).string;
        return a.at(0) instanceof Seq several && several.kind().tuple()
                ? several.items().stream().anyMatch(one -> has.test(s, Args.text(one)))
                : has.test(s, a.text(0));
    }

    static String replace(Interpreter in, String s, String old, String by, int count) {
        in.spend(s.length());
        var out = new StringBuilder(s.length());
        int from = 0;
        for (int done = 0; done != count; done++) {
            int at = old.isEmpty() && done > 0 ? from + charsAt(s, from) : s.indexOf(old, from);
            if (at < 0 || at > s.length()) {
                break;
            }
            in.spend(by.length());
            out.append(s, from, at).append(by);
            from = at + old.length();
            if (old.isEmpty() && at == s.length()) {
                break;
            }
        }
        return out.append(s, from, s.length()).toString();
    }

    private static int charsAt(String s, int i) {
        return i < s.length() ? Character.charCount(s.codePointAt(i)) : 1;
    }

    private static Value split(Value self, Args a, boolean fromEnd) {
        String s = string(self);
        int most = a.whole(1, -1);
        List<String> parts = new ArrayList<>();
        if (!a.has(0)) {
            words(fromEnd ? new StringBuilder(s).reverse().toString() : s, most, parts);
            if (fromEnd) {
                parts.replaceAll(part -> new StringBuilder(part).reverse().toString());
            }
        } else if (a.text(0).isEmpty()) {
            throw new TemplateException("empty separator");
        } else if (fromEnd) {
            String sep = a.text(0);
            int end = s.length();
            for (int at; most != parts.size() && (at = s.lastIndexOf(sep, end - sep.length())) >= 0
                    && at + sep.length() <= end; end = at) {
                parts.add(s.substring(at + sep.length(), end));
            }
            parts.add(s.substring(0, end));
        } else {
            String sep = a.text(0);
            int from = 0;
            for (int at; most != parts.size() && (at = s.indexOf(sep, from)) >= 0; from = at + sep.length()) {
                parts.add(s.substring(from, at));
            }
            parts.add(s.substring(from));
        }
        return texts(self, fromEnd ? parts.reversed() : parts);
    }

    private static void words(String s, int most, List<String> parts) {
        int from = spaces(s, 0);
        while (from < s.length()) {
            int end = from;
            while (end < s.length() && !Characters.isSpace(s.charAt(end))) {
                end++;
            }
            if (parts.size() == most) {
                parts.add(s.substring(from, trimmedEnd(s)));
                return;
            }
            parts.add(s.substring(from, end));
            from = spaces(s, end);
        }
    }

    private static int spaces(String s, int from) {
        int i = from;
        while (i < s.length() && Characters.isSpace(s.charAt(i))) {
            i++;
        }
        return i;
    }

    private static int trimmedEnd(String s) {
        return s.length();
    }

    static List<String> lines(String s, boolean keepEnds) {
        List<String> lines = new ArrayList<>();
        int from = 0;
        for (int i = 0; i < s.length(); i++) {
            if (Characters.endsLine(s.charAt(i))) {
                int next = s.startsWith("\r\n", i) ? i + 2 : i + 1;
                lines.add(s.substring(from, keepEnds ? next : i));
                from = next;
                i = next - 1;
            }
        }
        if (from < s.length()) {
            lines.add(s.substring(from));
        }
        return lines;
    }

    private static Value partition(Value self, String separator, int at, int wholeAt) {
        if (separator.isEmpty()) {
            throw new TemplateException("empty separator");
        }
        String s = string(self);
        List<String> parts = at >= 0
                ? List.of(s.substring(0, at), separator, s.substring(at + separator.length()))
                : wholeAt == 0 ? List.of(s, "", "") : List.of("", "", s);
        return Seq.of(Kind.TUPLE, ((Seq) texts(self, parts)).items());
    }

    /// Python's own `join`: strings only.
    private static String join(Interpreter in, String separator, Value parts) {
        List<String> strings = new ArrayList<>();
        for (Value part : Operators.items(in, parts)) {
            if (!(part instanceof Text t)) {
                throw new TemplateException(
                        "sequence item " + strings.size() + ": expected str instance, " + part.type() + " found");
            }
            in.spend(t.string.length() + separator.length());
            strings.add(t.string);
        }
        return String.join(separator, strings);
    }

    /// The bounds of a search, in chars; empty where they exclude everything.
    private static int[] bounds(String s, Args a) {
        int size = s.codePointCount(0, s.length());
        int from = a.whole(1, 0) > size ? size + 1 : Methods.clip(a.whole(1, 0), size);
        int to = Methods.clip(a.whole(2, size), size);
        return from > to ? new int[0] : new int[] {s.offsetByCodePoints(0, from), s.offsetByCodePoints(0, to)};
    }

    private static int find(Value self, Args a, boolean last) {
        String s = string(self);
        int[] bounds = bounds(s, a);
        if (bounds.length == 0) {
            return -1;
        }
        String part = s.substring(0, bounds[1]);
        int at = last ? part.lastIndexOf(a.text(0)) : part.indexOf(a.text(0), bounds[0]);
        return at < bounds[0] ? -1 : s.codePointCount(0, at);
    }

    private static int found(int at) {
        if (at < 0) {
            throw new TemplateException("substring not found");
        }
        return at;
    }

    private static int count(Value self, Args a) {
        String s = string(self);
        int[] bounds = bounds(s, a);
        if (bounds.length == 0) {
            return 0;
        }
        String part = s.substring(bounds[0], bounds[1]);
        String sub = a.text(0);
        if (sub.isEmpty()) {
            return part.codePointCount(0, part.length()) + 1;
        }
        int count = 0;
        for (int at = part.indexOf(sub); at >= 0; at = part.indexOf(sub, at + sub.length())) {
            count++;
        }
        return count;
    }

    /// @param side where the text goes: 0 left, 1 in the middle, 2 right
    private static Value pad(Interpreter in, Value self, Args a, int side) {
        Text text = (Text) self;
        int width = a.whole(0, 0);
        int missing = Math.max(0, width - text.length());
        in.spend(missing);
        String fill = a.has(1) ? a.text(1) : " ";
        if (fill.codePointCount(0, fill.length()) != 1) {
            throw new TemplateException("The fill character must be exactly one character long");
        }
        int before = side == 1 ? missing / 2 + (missing & width & 1) : side == 2 ? missing : 0;
        return text.with(fill.repeat(before) + text.string + fill.repeat(missing - before));
    }

    private static Value zeros(Interpreter in, Text text, int width) {
        int missing = Math.max(0, width - text.length());
        in.spend(missing);
        boolean signed = text.string.startsWith("-") || text.string.startsWith("+");
        String sign = signed ? text.string.substring(0, 1) : "";
        return text.with(sign + "0".repeat(missing) + text.string.substring(sign.length()));
    }
}
