package dev.deckle.jinja;

import dev.deckle.jinja.Value.Dict;
import dev.deckle.jinja.Value.Int;
import dev.deckle.jinja.Value.Number;
import dev.deckle.jinja.Value.Real;
import dev.deckle.jinja.Value.Whole;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/// The filters of strings and numbers.
final class TextFilters {
    private static final Pattern FLOAT = Pattern.compile(
            "[+-]?(?:(?:[0-9](?:_?[0-9])*)?\\.?(?:[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9](?:_?[0-9])*)?)");
    private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{N}_]+");
    private static final Pattern WORD_BREAK = Pattern.compile("[-\\s({\\[<]+", Pattern.UNICODE_CHARACTER_CLASS);

    private TextFilters() {}

    static void addTo(Native.Table t) {
        change(t, "upper", Characters::upper);
        change(t, "lower", Characters::lower);
        change(t, "capitalize", Characters::capitalize);
        t.add("title", (in, v, a) -> Value.of(title(in.text(v))));
        t.add("trim chars?", (in, v, a) -> TextMethods.strip(soft(in, v), a.at(0), true, true));
        t.add("string", (in, v, a) -> soft(in, v));
        t.add("safe", (in, v, a) -> new Text(in.text(v), true));
        t.add("escape", (in, v, a) -> new Text(Printer.escaped(soft(in, v)), true)).alias("e", "escape");
        t.add("forceescape", (in, v, a) -> new Text(Printer.escaped(new Text(in.text(v), false)), true));
        t.add("replace old new count?", (in, v, a) -> Value.of(
                TextMethods.replace(in, in.text(v), in.text(a.at(0)), in.text(a.at(1)), a.whole(2, -1))));
        t.add("center width?", (in, v, a) -> TextMethods.TABLE.get("center")
                .apply(in, soft(in, v), Args.of(a.or(0, Value.of(80)))));
        t.add("indent width? first? blank?", TextFilters::indent);
        t.add("truncate length? killwords? end? leeway?", TextFilters::truncate);
        t.add("wordcount", (in, v, a) -> Value.of(WORD.matcher(in.text(v)).results().count()));
        t.add("format *", (in, v, a) -> Format.percent(in, soft(in, v), a.named().isEmpty()
                ? Value.Seq.of(Value.Kind.TUPLE, a.positional())
                : Dict.named(a.named())));
        t.add("urlencode", (in, v, a) -> Value.of(urlEncode(in, v)));
        t.add("int default? base?", (in, v, a) -> whole(v, a));
        t.add("float default?", (in, v, a) -> {
            Operators.defined(v);
            return v instanceof Number n
                    ? new Real(Operators.finite(n))
                    : real(v).map(x -> (Value) new Real(x)).orElse(a.or(0, new Real(0)));
        });
        t.add("abs", (in, v, a) -> switch (v) {
            case Whole w -> new Int(w.integer().abs());
            case Number n -> new Real(Math.abs(n.real()));
            default -> throw new TemplateException("bad operand type for abs(): '" + v.type() + "'");
        });
        t.add("round precision? method?", TextFilters::round);
    }

    private static void change(Native.Table t, String name, UnaryOperator<String> change) {
        t.add(name, (in, v, a) -> {
            Text text = soft(in, v);
            in.spend(text.string.length());
            return text.with(change.apply(text.string));
        });
    }

    /// A string as it is, all else as it prints.
    private static Text soft(Interpreter in, Value v) {
        return v instanceof Text t ? t : new Text(in.text(v), false);
    }

    private static String title(String s) {
        var out = new StringBuilder();
        int from = 0;
        for (var breaks = WORD_BREAK.matcher(s); breaks.find(); from = breaks.end()) {
            out.append(word(s.substring(from, breaks.start()))).append(breaks.group());
        }
        return out.append(word(s.substring(from))).toString();
    }

    private static String word(String s) {
        int first = s.isEmpty() ? 0 : Character.charCount(s.codePointAt(0));
        return Characters.upper(s.substring(0, first)) + Characters.lower(s.substring(first));
    }

    private static Value indent(Interpreter in, Value v, Args a) {
        Operators.defined(v);
        if (!(v instanceof Text text)) {
            throw new TemplateException("indent needs a string, got " + v.type());
        }
        int width = a.at(0) instanceof Text ? 0 : a.whole(0, 4);
        in.spend(Math.max(width, 0));
        String indent = a.at(0) instanceof Text t ? t.string : " ".repeat(Math.max(0, width));
        List<String> lines = TextMethods.lines(text.string + "\n", false);
        in.spend((long) lines.size() * indent.length() + text.string.length());
        var out = new StringBuilder(a.flag(1, false) ? indent : "");
        for (int i = 0; i < lines.size(); i++) {
            boolean indented = i > 0 && (a.flag(2, false) || !lines.get(i).isEmpty());
            out.append(i > 0 ? "\n" : "").append(indented ? indent : "").append(lines.get(i));
        }
        return text.with(out.toString());
    }

    private static Value truncate(Interpreter in, Value v, Args a) {
        int length = a.whole(0, 255);
        Text end = a.has(2) ? new Text(a.text(2), false) : new Text("...", false);
        int leeway = a.whole(3, 5);
        if (length < end.length() || leeway < 0) {
            throw new TemplateException("expected length >= " + end.length() + ", got " + length);
        }
        if (Filters.length(v) <= (long) length + leeway) {
            return v;
        }
        if (!(v instanceof Text text)) {
            throw new TemplateException("truncate needs a string, got " + v.type());
        }
        String kept = text.slice(0, length - end.length()).string;
        int space = kept.lastIndexOf(' ');
        return text.with((a.flag(1, false) || space < 0 ? kept : kept.substring(0, space)) + end.string);
    }

    private static String urlEncode(Interpreter in, Value v) {
        if (v instanceof Text || v instanceof Value.None || v instanceof Number || v instanceof Value.Thing) {
            return quote(in.text(v), "/", "%20");
        }
        var out = new StringBuilder();
        for (Value pair : v instanceof Dict d ? Methods.pairs(d) : Operators.items(in, v)) {
            List<Value> two = Operators.items(in, pair);
            if (two.size() != 2) {
                throw new TemplateException("urlencode needs pairs");
            }
            out.append(out.isEmpty() ? "" : "&").append(quote(in.text(two.get(0)), "", "+"));
            out.append('=').append(quote(in.text(two.get(1)), "", "+"));
        }
        return out.toString();
    }

    private static String quote(String s, String safe, String space) {
        var out = new StringBuilder();
        for (byte b : s.getBytes(StandardCharsets.UTF_8)) {
            char c = (char) (b & 0xff);
            if (c < 128 && Character.isLetterOrDigit(c) || "_.-~".indexOf(c) >= 0 || safe.indexOf(c) >= 0) {
                out.append(c);
            } else {
                out.append(c == ' ' ? space : "%%%02X".formatted((int) c));
            }
        }
        return out.toString();
    }

    private static Value whole(Value v, Args a) {
        Operators.defined(v);
        Value otherwise = a.or(0, Value.of(0));
        if (v instanceof Whole w) {
            return new Int(w.integer());
        }
        if (v instanceof Text t) {
            Optional<Value> parsed = whole(t.string, a.whole(1, 10));
            if (parsed.isPresent()) {
                return parsed.get();
            }
        }
        Optional<Double> real = v instanceof Real r ? Optional.of(r.real()) : real(v);
        return real.filter(Double::isFinite).map(x -> (Value) new Int(new BigDecimal(x).toBigInteger()))
                .orElse(otherwise);
    }

    private static Optional<Value> whole(String s, int base) {
        String digits = ((Text) TextMethods.strip(Value.of(s), Args.ABSENT, true, true)).string;
        boolean negative = digits.startsWith("-");
        digits = negative || digits.startsWith("+") ? digits.substring(1) : digits;
        String prefix = digits.length() > 2 && digits.charAt(0) == '0' ? Characters.lower(digits.substring(0, 2)) : "";
        int own = prefix.equals("0x") ? 16 : prefix.equals("0o") ? 8 : prefix.equals("0b") ? 2 : 0;
        int radix = base == 0 ? own == 0 ? 10 : own : base;
        if (own != 0 && own == radix && base != 10) {
            digits = digits.substring(2);
        }
        if (radix < 2 || radix > 36 || digits.length() > Int.MOST_DIGITS
                || !digits.matches("[0-9A-Za-z]++(?:_[0-9A-Za-z]++)*+")) {
            return Optional.empty();
        }
        try {
            BigInteger value = new BigInteger(digits.replace("_", ""), radix);
            return Optional.of(new Int(negative ? value.negate() : value));
        } catch (NumberFormatException _) {
            return Optional.empty();
        }
    }

    /// What Python's `float` reads.
    private static Optional<Double> real(Value v) {
        if (!(v instanceof Text t)) {
            return Optional.empty();
        }
        String s = ((Text) TextMethods.strip(t, Args.ABSENT, true, true)).string;
        String word = Characters.lower(s.startsWith("-") || s.startsWith("+") ? s.substring(1) : s);
        double sign = s.startsWith("-") ? -1 : 1;
        return switch (word) {
            case "inf", "infinity" -> Optional.of(sign * Double.POSITIVE_INFINITY);
            case "nan" -> Optional.of(Double.NaN);
            default -> s.length() < 5_000 && FLOAT.matcher(s).matches() && s.matches("[+-]?\\.?[0-9].*")
                    ? Optional.of(Double.parseDouble(s.replace("_", "")))
                    : Optional.empty();
        };
    }

    private static Value round(Interpreter in, Value v, Args a) {
        if (!(v instanceof Number n)) {
            throw new TemplateException("type " + v.type() + " doesn't define __round__ method");
        }
        int precision = a.whole(0, 0);
        String method = a.has(1) ? a.text(1) : "common";
        if (Math.abs((long) precision) > 400) {
            throw new TemplateException("a precision of " + precision + " digits is too large");
        }
        switch (method) {
            case "common" -> {
                if (n instanceof Whole w) {
                    BigDecimal rounded =
                            new BigDecimal(w.integer()).setScale(Math.min(precision, 0), RoundingMode.HALF_EVEN);
                    return new Int(rounded.toBigInteger());
                }
                return Double.isFinite(n.real())
                        ? new Real(new BigDecimal(n.real()).setScale(precision, RoundingMode.HALF_EVEN).doubleValue())
                        : v;
            }
            case "ceil", "floor" -> {
                double scale = Math.pow(10, precision);
                double scaled = Operators.finite(n) * scale;
                return new Real((method.equals("ceil") ? Math.ceil(scaled) : Math.floor(scaled)) / scale);
            }
            default -> throw new TemplateException("method must be common, ceil or floor");
        }
    }
}
