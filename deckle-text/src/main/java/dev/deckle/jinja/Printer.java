package dev.deckle.jinja;

import dev.deckle.jinja.Value.Dict;
import dev.deckle.jinja.Value.Seq;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;

/// Values as Python prints them.
final class Printer {
    private final Interpreter in;
    private final StringBuilder out;

    Printer(Interpreter in, StringBuilder out) {
        this.in = in;
        this.out = out;
    }

    /// Python's `str`.
    void str(Value value) {
        switch (value) {
            case Text t -> out.append(t.string);
            case Value.Undefined _ -> {}
            default -> repr(value);
        }
    }

    /// Python's `repr`.
    void repr(Value value) {
        in.spend(4);
        switch (value) {
            case Value.None _ -> out.append("None");
            case Value.Bool b -> out.append(b.value() ? "True" : "False");
            case Value.Int i -> out.append(i.integer());
            case Value.Real r -> out.append(real(r.real()));
            case Text t -> {
                in.spend(t.string.length());
                out.append(t.safe ? "Markup(" + repr(t.string) + ")" : repr(t.string));
            }
            case Seq s -> sequence(s);
            case Dict d -> dict(d);
            case Value.Undefined _ -> out.append("Undefined");
            case Namespace n -> {
                out.append("<Namespace ");
                repr(Dict.named(n.attributes()));
                out.append('>');
            }
            case Value.Generator _, Value.Thing _ -> out.append('<').append(value.type()).append(" object>");
        }
    }

    private void sequence(Seq s) {
        List<Value> items = s.items();
        switch (s.kind()) {
            case LIST -> list("[", items, "]");
            case TUPLE, GROUP -> list("(", items, items.size() == 1 ? ",)" : ")");
            case RANGE -> out.append(((Range) items).repr());
            case KEYS, VALUES, ITEMS -> list(s.type() + "([", items, "])");
        }
    }

    private void list(String open, List<Value> items, String close) {
        String before = open;
        for (Value item : items) {
            out.append(before);
            repr(item);
            before = ", ";
        }
        out.append(items.isEmpty() ? open : "").append(close);
    }

    private void dict(Dict d) {
        String before = "{";
        for (Map.Entry<Value, Value> e : d.map().entrySet()) {
            out.append(before);
            repr(e.getKey());
            out.append(": ");
            repr(e.getValue());
            before = ", ";
        }
        out.append(d.map().isEmpty() ? "{" : "").append('}');
    }

    /// The fewest digits that read back as the same number; exponents from 1e16 on and below 1e-4.
    static String real(double x) {
        if (Double.isNaN(x)) {
            return "nan";
        }
        if (Double.isInfinite(x)) {
            return x > 0 ? "inf" : "-inf";
        }
        var shortest = new BigDecimal(Double.toString(Math.abs(x))).stripTrailingZeros();
        String digits = shortest.unscaledValue().toString();
        int exponent = x == 0 ? 0 : digits.length() - shortest.scale() - 1;
        String sign = x < 0 || 1 / x < 0 ? "-" : "";
        if (exponent >= -4 && exponent < 16) {
            String plain = shortest.toPlainString();
            return sign + plain + (plain.contains(".") ? "" : ".0");
        }
        String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
        return sign + digits.charAt(0) + fraction + exponent(exponent);
    }

    static String exponent(int exponent) {
        return "e" + (exponent < 0 ? "-" : "+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
    }

    /// In single quotes, unless double ones save escapes.
    static String repr(String s) {
        char quote = s.indexOf('\'') >= 0 && s.indexOf('"') < 0 ? '"' : '\'';
        var out = new StringBuilder(s.length() + 2).append(quote);
        s.codePoints().forEach(c -> {
            switch (c) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                default -> {
                    if (c == quote) {
                        out.append('\\').append(quote);
                    } else if (Characters.isPrintable(c)) {
                        out.appendCodePoint(c);
                    } else {
                        out.append(String.format(c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c));
                    }
                }
            }
        });
        return out.append(quote).toString();
    }

    /// For HTML, unless it is safe already.
    static String escaped(Text t) {
        return t.safe
                ? t.string
                : t.string
                        .replace("&", "&amp;")
                        .replace(">", "&gt;")
                        .replace("<", "&lt;")
                        .replace("'", "&#39;")
                        .replace("\"", "&#34;");
    }
}
