package dev.deckle.jinja;

import dev.deckle.jinja.Value.Dict;
import dev.deckle.jinja.Value.Kind;
import dev.deckle.jinja.Value.Seq;
import dev.deckle.jinja.Value.Undefined;
import dev.deckle.jinja.Value.Whole;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// `a.b`, `a['b']` and `a[1:2]`. The first looks for a method before it looks for a key, the second the other way.
final class Access {
    private Access() {}

    static Value attribute(Value of, String name) {
        Operators.defined(of);
        if (of instanceof Value.Thing thing) {
            return thing.attribute(name);
        }
        Optional<Value> method = Methods.find(of, name);
        return method.isPresent() ? method.get() : key(of, Value.of(name)).orElseGet(() -> missing(of, Value.of(name)));
    }

    static Value item(Interpreter in, Value of, Value key) {
        Operators.defined(of);
        in.spend(key.size());
        Optional<Value> found = key(of, key);
        if (found.isPresent()) {
            return found.get();
        }
        if (key instanceof Text t) {
            return of instanceof Value.Thing thing
                    ? thing.attribute(t.string)
                    : Methods.find(of, t.string).orElseGet(() -> missing(of, key));
        }
        return missing(of, key);
    }

    private static Optional<Value> key(Value of, Value key) {
        return switch (of) {
            case Dict d -> Optional.ofNullable(d.map().get(key));
            case Seq s when s.kind().sequence() && key instanceof Whole -> {
                int i = index(key, s.items().size());
                yield i < 0 ? Optional.empty() : Optional.of(s.items().get(i));
            }
            case Text t when key instanceof Whole -> {
                int i = index(key, t.length());
                yield i < 0 ? Optional.empty() : Optional.of(t.at(i));
            }
            default -> Optional.empty();
        };
    }

    private static int index(Value key, int length) {
        int i = Args.whole(key);
        return i >= length || i < -length ? -1 : i < 0 ? i + length : i;
    }

    private static Value missing(Value of, Value key) {
        String object = of == Value.None.NONE ? "None" : of.type() + " object";
        return new Undefined(
                key instanceof Text t
                        ? "'" + object + "' has no attribute '" + t.string + "'"
                        : object + " has no such element" + (key instanceof Whole w ? ": " + w.integer() : ""));
    }

    static Value slice(Interpreter in, Value of, Optional<Value> from, Optional<Value> to, Optional<Value> step) {
        Operators.defined(of);
        int length = switch (of) {
            case Text t -> t.length();
            case Seq s when s.kind().sequence() -> s.items().size();
            default -> throw new TemplateException("'" + of.type() + "' object is not subscriptable by a slice");
        };
        int by = step.map(Access::bound).orElse(1);
        if (by == 0) {
            throw new TemplateException("slice step cannot be zero");
        }
        int least = by > 0 ? 0 : -1;
        int most = by > 0 ? length : length - 1;
        int start = clip(from, length, least, most, by > 0 ? 0 : length - 1);
        int end = clip(to, length, least, most, by > 0 ? length : -1);
        long span = by > 0 ? (long) end - start : (long) start - end;
        int count = span <= 0 ? 0 : (int) ((span - 1) / Math.abs((long) by)) + 1;
        in.spend(count);
        if (of instanceof Text t) {
            return t.slice(start, by, count);
        }
        Seq s = (Seq) of;
        if (s.items() instanceof Range range) {
            return new Seq(Kind.RANGE, range.slice(start, by, count), new Value.Extent(1 + count, 1));
        }
        List<Value> items = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            items.add(s.items().get(start + i * by));
        }
        return Seq.of(s.kind().tuple() ? Kind.TUPLE : Kind.LIST, items);
    }

    private static int bound(Value value) {
        if (!(value instanceof Whole)) {
            throw new TemplateException("slice indices must be integers or None, got " + value.type());
        }
        return Args.whole(value);
    }

    private static int clip(Optional<Value> bound, int length, int least, int most, int otherwise) {
        if (bound.isEmpty()) {
            return otherwise;
        }
        int i = bound(bound.get());
        return Math.clamp(i < 0 ? (long) i + length : i, least, most);
    }
}
