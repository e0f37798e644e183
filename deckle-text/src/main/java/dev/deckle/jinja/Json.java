package dev.deckle.jinja;

import dev.deckle.jinja.Value.Dict;
import dev.deckle.jinja.Value.Seq;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// The filter `tojson`: what Python's `json.dumps` writes, with characters beyond ASCII and HTML's left as they are.
final class Json {
    private final Interpreter in;
    private final StringBuilder out = new StringBuilder();
    private final boolean ascii;
    private final String indent; // null where all goes on one line
    private final String itemSeparator;
    private final String keySeparator;
    private final boolean sorted;

    private Json(Interpreter in, Args a) {
        this.in = in;
        ascii = a.flag(0, false);
        in.spend(a.at(1) instanceof Text ? 0 : Math.max(0, a.whole(1, 0)));
        indent = !a.has(1) ? null : a.at(1) instanceof Text t ? t.string : " ".repeat(Math.max(0, a.whole(1, 0)));
        List<Value> separators = a.has(2) ? Operators.items(in, a.at(2)) : List.of();
        if (separators.size() != 2 && a.has(2)) {
            throw new TemplateException("separators are two strings, got " + separators.size());
        }
        itemSeparator = a.has(2) ? Args.text(separators.get(0)) : indent == null ? ", " : ",";
        keySeparator = a.has(2) ? Args.text(separators.get(1)) : ": ";
        sorted = a.flag(3, false);
    }

    static String text(Interpreter in, Value value, Args args) {
        var json = new Json(in, args);
        json.write(value, 1);
        return json.out.toString();
    }

    private void write(Value value, int level) {
        in.spend(4);
        switch (value) {
            case Value.None _ -> out.append("null");
            case Value.Bool b -> out.append(b.value());
            case Value.Int i -> out.append(i.integer());
            case Value.Real r -> out.append(real(r.real()));
            case Text t -> string(t.string);
            case Seq s when s.kind() == Value.Kind.LIST || s.kind().tuple() -> list(s.items(), level);
            case Dict d -> dict(d, level);
            default -> throw new TemplateException("Object of type " + value.type() + " is not JSON serializable");
        }
    }

    static String real(double x) {
        return Double.isNaN(x) ? "NaN" : Double.isInfinite(x) ? x > 0 ? "Infinity" : "-Infinity" : Printer.real(x);
    }

    private void list(List<Value> items, int level) {
        out.append('[');
        String before = "";
        for (Value item : items) {
            out.append(before);
            line(level);
            write(item, level + 1);
            before = itemSeparator;
        }
        if (!items.isEmpty()) {
            line(level - 1);
        }
        out.append(']');
    }

    private void dict(Dict dict, int level) {
        List<Map.Entry<Value, Value>> entries = new ArrayList<>(dict.map().entrySet());
        if (sorted) {
            entries.sort(Map.Entry.comparingByKey((a, b) -> Operators.order(in, a, b, "<")));
        }
        out.append('{');
        String before = "";
        for (var e : entries) {
            out.append(before);
            line(level);
            string(key(e.getKey()));
            out.append(keySeparator);
            write(e.getValue(), level + 1);
            before = itemSeparator;
        }
        if (!entries.isEmpty()) {
            line(level - 1);
        }
        out.append('}');
    }

    private static String key(Value key) {
        return switch (key) {
            case Text t -> t.string;
            case Value.None _ -> "null";
            case Value.Bool b -> String.valueOf(b.value());
            case Value.Int i -> i.integer().toString();
            case Value.Real r -> real(r.real());
            default -> throw new TemplateException(
                    "keys must be str, int, float, bool or None, not " + key.type());
        };
    }

    private void line(int level) {
        if (indent != null) {
            in.spend((long) indent.length() * level);
            out.append('\n').repeat(indent, level);
        }
    }

    private void string(String s) {
        in.spend(s.length());
        out.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\f' -> out.append("\\f");
                case '\b' -> out.append("\\b");
                default -> {
                    if (c < ' ' || ascii && c > '~') {
                        out.append(String.format("\\u%04x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }
}
