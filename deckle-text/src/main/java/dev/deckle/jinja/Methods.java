package dev.deckle.jinja;

import dev.deckle.jinja.Value.Dict;
import dev.deckle.jinja.Value.Kind;
import dev.deckle.jinja.Value.None;
import dev.deckle.jinja.Value.Seq;
import dev.deckle.jinja.Value.Undefined;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// The methods of lists and dicts, and the way to all methods. Those that change something are out of bounds.
final class Methods {
    private static final Set<String> UNSAFE_LIST =
            Set.of("append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove");
    private static final Set<String> UNSAFE_DICT = Set.of("clear", "pop", "popitem", "setdefault", "update");

    private static final Map<String, Native> SEQUENCE = new Native.Table()
            .add("count value", (in, self, a) -> Value.of(((Seq) self)
                    .items().stream().filter(item -> Operators.same(in, item, a.at(0))).count()))
            .add("index value start? stop?", Methods::index)
            .map();

    private static final Map<String, Native> LIST = new Native.Table()
            .add("copy", (in, self, a) -> Seq.list(Operators.items(in, self)))
            .map();

    private static final Map<String, Native> DICT = new Native.Table()
            .add("get key default?", (in, self, a) -> {
                in.spend(Operators.hashable(a.at(0)).size());
                Value found = ((Dict) self).map().get(a.at(0));
                return found != null ? found : a.or(1, None.NONE);
            })
            .add("keys", (in, self, a) -> view(in, Kind.KEYS, ((Dict) self).map().keySet()))
            .add("values", (in, self, a) -> view(in, Kind.VALUES, ((Dict) self).map().values()))
            .add("items", (in, self, a) -> view(in, Kind.ITEMS, pairs((Dict) self)))
            .add("copy", (in, self, a) -> self)
            .map();

    private static final Map<String, Native> FLOAT = new Native.Table()
            .add("is_integer", (in, self, a) -> Value.of(((Value.Real) self).real() % 1 == 0))
            .map();

    private Methods() {}

    /// What Python's `getattr` finds on a value: a method, or a refusal.
    static Optional<Value> find(Value of, String name) {
        boolean unsafe = switch (of) {
            case Seq s when s.kind() == Kind.LIST -> UNSAFE_LIST.contains(name);
            case Dict _ -> UNSAFE_DICT.contains(name);
            default -> false;
        };
        if (unsafe || name.equals("__class__")) {
            return Optional.of(new Undefined(
                    "access to attribute '" + name + "' of '" + of.type() + "' object is unsafe."));
        }
        Optional<Native> method = Optional.ofNullable(switch (of) {
            case Text _ -> TextMethods.TABLE.get(name);
            case Dict _ -> DICT.get(name);
            case Seq s when s.kind().sequence() -> s.kind() == Kind.LIST && LIST.containsKey(name) ? LIST.get(name)
                    : SEQUENCE.get(name);
            case Value.Real _ -> FLOAT.get(name);
            default -> null;
        });
        if (of instanceof Seq s && s.kind() == Kind.GROUP && (name.equals("grouper") || name.equals("list"))) {
            return Optional.of(s.items().get(name.equals("list") ? 1 : 0));
        }
        return method.map(m -> m.bound(of));
    }

    private static Value view(Interpreter in, Kind kind, Iterable<Value> values) {
        var items = new ArrayList<Value>();
        values.forEach(items::add);
        in.spend(4L * items.size());
        return Seq.of(kind, items);
    }

    /// The entries of a dict as tuples.
    static List<Value> pairs(Dict dict) {
        var pairs = new ArrayList<Value>(dict.map().size());
        dict.map().forEach((key, value) -> pairs.add(Seq.tuple(key, value)));
        return pairs;
    }

    private static Value index(Interpreter in, Value self, Args a) {
        List<Value> items = ((Seq) self).items();
        int size = items.size();
        int start = clip(a.whole(1, 0), size);
        for (int i = start; i < clip(a.whole(2, size), size); i++) {
            if (Operators.same(in, items.get(i), a.at(0))) {
                return Value.of(i);
            }
        }
        throw new TemplateException(in.repr(a.at(0)) + " is not in " + self.type());
    }

    static int clip(int i, int size) {
        return Math.clamp(i < 0 ? (long) i + size : i, 0, size);
    }
}
