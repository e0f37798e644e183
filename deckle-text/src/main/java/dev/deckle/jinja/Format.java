package dev.deckle.jinja;

import dev.deckle.jinja.Value.Dict;
import dev.deckle.jinja.Value.Number;
import dev.deckle.jinja.Value.Seq;
import dev.deckle.jinja.Value.Whole;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Python's two ways to fill values into a string: `'%d' % x` and `'{:d}'.format(x)`.
final class Format {
    private static final int WIDEST = 100_000;
    private static final Pattern PERCENT =
            Pattern.compile("(?:\\(([^)]*)\\))?([-+ #0]*)(\\*|[0-9]{0,7})(?:\\.(\\*|[0-9]{0,7}))?[hlL]?(.)",
                    Pattern.DOTALL);
    private static final Pattern SPEC = Pattern.compile(
            "(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?([0-9]{0,7})([,_])?(?:\\.([0-9]{1,7}))?([a-zA-Z%])?", Pattern.DOTALL);

    private Format() {}

    /// `format % values`, of a tuple, a dict, or one value.
    static Value percent(Interpreter in, Text format, Value values) {
        String f = format.string;
        boolean tuple = values instanceof Seq s && s.kind().tuple();
        List<Value> items = tuple ? ((Seq) values).items() : List.of(values);
        var out = new StringBuilder();
        int used = 0;
        int from = 0;
        for (int at = f.indexOf('%'); at >= 0; at = f.indexOf('%', from)) {
            out.append(f, from, at);
            Matcher m = PERCENT.matcher(f).region(at + 1, f.length());
            if (!m.lookingAt()) {
                throw new TemplateException("incomplete format");
            }
            from = m.end();
            char type = m.group(5).charAt(0);
            if (type == '%') {
                out.append('%');
                continue;
            }
            int width = "*".equals(m.group(3)) ? Args.whole(next(items, used++)) : number(m.group(3), 0);
            int precision = "*".equals(m.group(4)) ? Args.whole(next(items, used++))
                    : number(m.group(4), m.group(4) == null ? -1 : 0);
            Value value = m.group(1) == null ? next(items, used++) : member(values, m.group(1));
            String flags = m.group(2);
            boolean left = flags.contains("-") || width < 0;
            var spec = new Spec(
                    left ? '<' : flags.contains("0") && "srac".indexOf(type) < 0 ? '=' : '>',
                    flags.contains("0") && !left && "srac".indexOf(type) < 0 ? "0" : " ",
                    flags.contains("+") ? "+" : flags.contains(" ") ? " " : "",
                    flags.contains("#"), Math.abs(width), "", precision, type);
            out.append(one(in, value, spec, format.safe));
        }
        out.append(f, from, f.length());
        boolean mapping = values instanceof Dict || values instanceof Seq || values instanceof Value.Undefined;
        if (used < items.size() && (tuple || !mapping)) {
            throw new TemplateException("not all arguments converted during string formatting");
        }
        in.spend(out.length());
        return format.with(out.toString());
    }

    private static Value next(List<Value> items, int used) {
        if (used >= items.size()) {
            throw new TemplateException("not enough arguments for format string");
        }
        return items.get(used);
    }

    private static Value member(Value values, String name) {
        if (!(values instanceof Dict d)) {
            throw new TemplateException("format requires a mapping");
        }
        Value value = d.map().get(Value.of(name));
        if (value == null) {
            throw new TemplateException("no value named " + Printer.repr(name) + " for the format string");
        }
        return value;
    }

    private static int number(String digits, int otherwise) {
        return digits == null || digits.isEmpty() ? otherwise : Integer.parseInt(digits);
    }

    private static String one(Interpreter in, Value value, Spec spec, boolean safe) {
        return switch (spec.type) {
            case 's' -> {
                String text = safe ? Printer.escaped(new Text(in.text(value), value instanceof Text t && t.safe))
                        : in.text(value);
                yield spec.pad(in, spec.cut(text));
            }
            case 'r', 'a' -> spec.pad(in, spec.cut(in.repr(value)));
            case 'c' -> spec.pad(in, value instanceof Text t ? t.string : Character.toString(Args.whole(value)));
            case 'd', 'i', 'u' -> {
                if (!(value instanceof Number)) {
                    throw new TemplateException(
                            "%" + spec.type + " format: a real number is required, not " + value.type());
                }
                BigInteger whole =
                        value instanceof Whole w ? w.integer() : new BigDecimal(((Number) value).real()).toBigInteger();
                yield spec.with('d').number(in, new Value.Int(whole));
            }
            case 'x', 'X', 'o' -> {
                if (!(value instanceof Whole w)) {
                    throw new TemplateException(
                            "%" + spec.type + " format: an integer is required, not " + value.type());
                }
                yield spec.number(in, w);
            }
            case 'e', 'E', 'f', 'F', 'g', 'G' -> {
                if (!(value instanceof Number n)) {
                    throw new TemplateException("must be real number, not " + value.type());
                }
                yield spec.number(in, new Value.Real(Operators.finite(n)));
            }
            default -> throw new TemplateException("unsupported format character '" + spec.type + "'");
        };
    }

    /// `'{0} {name.field[key]!r:>8}'.format(...)`.
    static String braces(Interpreter in, String format, Args args) {
        return new Braces(in, args).fill(format, 2);
    }

    private static final class Braces {
        private final Interpreter in;
        private final Args args;
        private int next;

        private Braces(Interpreter in, Args args) {
            this.in = in;
            this.args = args;
        }

        private String fill(String format, int levels) {
            if (levels == 0) {
                throw new TemplateException("Max string recursion exceeded");
            }
            var out = new StringBuilder();
            for (int i = 0; i < format.length(); i++) {
                char c = format.charAt(i);
                if (c != '{' && c != '}') {
                    out.append(c);
                } else if (i + 1 < format.length() && format.charAt(i + 1) == c) {
                    out.append(c);
                    i++;
                } else if (c == '}') {
                    throw new TemplateException("Single '}' encountered in format string");
                } else {
                    int end = closing(format, i);
                    out.append(field(format.substring(i + 1, end), levels));
                    i = end;
                }
            }
            in.spend(out.length());
            return out.toString();
        }

        private static int closing(String format, int open) {
            int depth = 0;
            for (int i = open; i < format.length(); i++) {
                depth += format.charAt(i) == '{' ? 1 : format.charAt(i) == '}' ? -1 : 0;
                if (depth == 0) {
                    return i;
                }
            }
            throw new TemplateException("expected '}' before end of string");
        }

        private String field(String field, int levels) {
            int colon = field.indexOf(':');
            String name = colon < 0 ? field : field.substring(0, colon);
            int bang = name.indexOf('!');
            Value value = value(bang < 0 ? name : name.substring(0, bang));
            String spec = colon < 0 ? "" : fill(field.substring(colon + 1), levels - 1);
            if (bang >= 0) {
                value = Value.of(name.substring(bang + 1).equals("s") ? in.text(value) : in.repr(value));
            }
            return spec.isEmpty() ? in.text(value) : Spec.parse(spec).apply(in, value);
        }

        private Value value(String path) {
            int end = 0;
            while (end < path.length() && path.charAt(end) != '.' && path.charAt(end) != '[') {
                end++;
            }
            String first = path.substring(0, end);
            Value value = first.isEmpty() || Characters.all(first, Character::isDigit)
                    ? positional(first.isEmpty() ? next++ : number(first.length() > 7 ? "9999999" : first, 0))
                    : args.named().get(first);
            if (value == null) {
                throw new TemplateException("no value named " + Printer.repr(first) + " for the format string");
            }
            while (end < path.length()) {
                boolean item = path.charAt(end) == '[';
                int from = end + 1;
                end = item ? path.indexOf(']', from) : from;
                while (!item && end < path.length() && path.charAt(end) != '.' && path.charAt(end) != '[') {
                    end++;
                }
                if (end < 0) {
                    throw new TemplateException("Missing ']' in format string");
                }
                String key = path.substring(from, end);
                boolean index = item && Characters.all(key, Character::isDigit) && key.length() < 8;
                value = item
                        ? Access.item(in, value, index ? Value.of(number(key, 0)) : Value.of(key))
                        : Access.attribute(value, key);
                end += item ? 1 : 0;
            }
            return value;
        }

        private Value positional(int i) {
            if (i >= args.positional().size()) {
                throw new TemplateException("Replacement index " + i + " out of range for positional args tuple");
            }
            return args.positional().get(i);
        }
    }

    /// A format specification.
    ///
    /// @param align `<`, `>`, `^`, or `=` for fill between sign and digits; 0 where the kind of value decides
    /// @param precision -1 where none was given
    /// @param type 0 where the kind of value decides
    private record Spec(
            char align, String fill, String sign, boolean alternate, int width, String group, int precision,
            char type) {
        private static Spec parse(String spec) {
            Matcher m = SPEC.matcher(spec);
            if (!m.matches()) {
                throw new TemplateException("Invalid format specifier '" + spec + "'");
            }
            boolean zero = m.group(5) != null;
            String given = m.group(2);
            return new Spec(
                    given != null ? given.charAt(0) : zero ? '=' : 0,
                    m.group(1) != null ? m.group(1) : zero && given == null ? "0" : " ",
                    m.group(3) == null || m.group(3).equals("-") ? "" : m.group(3),
                    m.group(4) != null,
                    Format.number(m.group(6), 0),
                    m.group(7) == null ? "" : m.group(7),
                    Format.number(m.group(8), -1),
                    m.group(9) == null ? 0 : m.group(9).charAt(0));
        }

        private Spec with(char other) {
            return new Spec(align, fill, sign, alternate, width, group, precision, other);
        }

        private String apply(Interpreter in, Value value) {
            if (value instanceof Text t && (type == 0 || type == 's')) {
                return pad(in, cut(t.string));
            }
            if (value instanceof Value.Bool && type == 0) {
                return width == 0 && precision < 0 ? in.text(value) : number(in, (Number) value);
            }
            if (value instanceof Number n && type != 's') {
                return number(in, n);
            }
            throw new TemplateException(value instanceof Text || value instanceof Number
                    ? "Unknown format code '" + (type == 0 ? ' ' : type) + "' for object of type '" + value.type() + "'"
                    : "unsupported format string passed to " + value.type() + ".__format__");
        }

        private String cut(String s) {
            Text text = new Text(s, false);
            return precision >= 0 && precision < text.length() ? text.slice(0, precision).string : s;
        }

        private String pad(Interpreter in, String s) {
            int missing = Math.max(0, width - s.codePointCount(0, s.length()));
            limit(in, missing);
            int before = align == '>' ? missing : align == '^' ? missing / 2 : 0;
            return fill.repeat(before) + s + fill.repeat(missing - before);
        }

        private static void limit(Interpreter in, int size) {
            in.spend(size);
            if (size > WIDEST) {
                throw new TemplateException("a width or precision of " + size + " is too large");
            }
        }

        private String number(Interpreter in, Number n) {
            limit(in, precision);
            boolean negative = n instanceof Whole w ? w.integer().signum() < 0 : n.real() < 0 || 1 / n.real() < 0;
            String prefix = negative ? "-" : sign;
            String digits = grouped(n instanceof Whole w && "eEfFgG%".indexOf(type) < 0
                    ? whole(w.integer().abs())
                    : real(Math.abs(Operators.finite(n)), n instanceof Whole));
            prefix += alternate && "xXob".indexOf(type) >= 0 && type != 0 ? "0" + type : "";
            int missing = Math.max(0, width - prefix.length() - digits.length());
            limit(in, missing);
            if (align == '=') {
                return prefix + fill.repeat(missing) + digits;
            }
            int before = align == '>' || align == 0 ? missing : align == '^' ? missing / 2 : 0;
            return fill.repeat(before) + prefix + digits + fill.repeat(missing - before);
        }

        private String whole(BigInteger n) {
            String digits = switch (type) {
                case 0, 'd', 'n' -> n.toString();
                case 'x' -> n.toString(16);
                case 'X' -> Characters.upper(n.toString(16));
                case 'o' -> n.toString(8);
                case 'b' -> n.toString(2);
                case 'c' -> Character.toString(n.intValue());
                default -> throw new TemplateException("Unknown format code '" + type + "' for object of type 'int'");
            };
            return "0".repeat(Math.max(0, precision - digits.length())) + digits;
        }

        private String real(double x, boolean whole) {
            if (!Double.isFinite(x)) {
                return Double.isNaN(x) ? "nan" : "inf";
            }
            int places = precision < 0 ? 6 : precision;
            return switch (type) {
                case 'f', 'F' -> new BigDecimal(x).setScale(places, RoundingMode.HALF_EVEN).toPlainString();
                case '%' -> new BigDecimal(x * 100).setScale(places, RoundingMode.HALF_EVEN).toPlainString() + "%";
                case 'e' -> scientific(new BigDecimal(x), places, false);
                case 'E' -> Characters.upper(scientific(new BigDecimal(x), places, false));
                case 'g', 'n' -> general(x, Math.max(1, places), false);
                case 'G' -> Characters.upper(general(x, Math.max(1, places), false));
                case 0 -> precision < 0 ? Printer.real(x) : general(x, Math.max(1, precision), true);
                default -> throw new TemplateException("Unknown format code '" + type + "' for object of type 'float'");
            };
        }

        /// One digit, `places` more, and the exponent.
        private static String scientific(BigDecimal x, int places, boolean stripped) {
            if (x.signum() == 0) {
                return "0" + (places > 0 && !stripped ? "." + "0".repeat(places) : "") + "e+00";
            }
            BigDecimal rounded = x.round(new java.math.MathContext(places + 1, RoundingMode.HALF_EVEN));
            int exponent = rounded.precision() - rounded.scale() - 1;
            String digits = rounded.unscaledValue().toString();
            digits = digits + "0".repeat(Math.max(0, places + 1 - digits.length()));
            digits = stripped ? digits.replaceFirst("0+$", "") : digits;
            String first = digits.isEmpty() ? "0" : digits.substring(0, 1);
            return first + (digits.length() > 1 ? "." + digits.substring(1) : "") + Printer.exponent(exponent);
        }

        private static String general(double x, int digits, boolean pointed) {
            BigDecimal rounded = new BigDecimal(x).round(new java.math.MathContext(digits, RoundingMode.HALF_EVEN));
            int exponent = x == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
            if (exponent < -4 || exponent >= digits - (pointed ? 1 : 0)) {
                return scientific(new BigDecimal(x), digits - 1, true);
            }
            String plain = rounded.signum() == 0 ? "0" : rounded.stripTrailingZeros().toPlainString();
            return plain + (pointed && !plain.contains(".") ? ".0" : "");
        }

        private String grouped(String digits) {
            if (group.isEmpty()) {
                return digits;
            }
            int end = 0;
            while (end < digits.length() && Character.isDigit(digits.charAt(end))) {
                end++;
            }
            var out = new StringBuilder(digits);
            for (int i = end - 3; i > 0; i -= 3) {
                out.insert(i, group);
            }
            return out.toString();
        }
    }
}
