package dev.deckle.jinja;

import dev.deckle.jinja.Value.Dict;
import dev.deckle.jinja.Value.Function;
import dev.deckle.jinja.Value.Kind;
import dev.deckle.jinja.Value.Seq;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The functions that every template has.
final class Globals {
    private Globals() {}

    static final Map<String, Value> TABLE = Map.of(
            "range", new Function("range", (in, args) -> range(args)),
            "dict", new Function("dict", (in, args) -> Dict.of(pairs(in, "dict", args))),
            "namespace", new Function("namespace", (in, args) -> namespace(in, args)),
            "joiner", new Function("joiner", (in, args) -> joiner(args)),
            "cycler", new Function("cycler", (in, args) -> new Cycler(args.positional())),
            "lipsum", new Function("lipsum", (in, args) -> {
                throw new TemplateException("lipsum() is not supported");
            }));

    private static Value range(Args args) {
        Args bound = args.bind("range", List.of("start", "stop?", "step?"));
        boolean one = bound.at(1) == Args.ABSENT;
        long start = one ? 0 : Args.whole(bound.at(0));
        var range = new Range(start, Args.whole(bound.at(one ? 0 : 1)), bound.whole(2, 1));
        return new Seq(Kind.RANGE, range, new Value.Extent(1 + range.size(), 1));
    }

    /// What Python's `dict()` makes of its arguments: a dict or pairs, and names.
    private static Map<Value, Value> pairs(Interpreter in, String function, Args args) {
        var map = new LinkedHashMap<Value, Value>();
        Value first = new Args(args.positional(), Map.of()).bind(function, List.of("mapping?")).at(0);
        if (first instanceof Dict d) {
            in.spend(d.map().size());
            map.putAll(d.map());
        } else if (first != Args.ABSENT) {
            for (Value pair : Operators.items(in, first)) {
                List<Value> two = Operators.items(in, pair);
                if (two.size() != 2) {
                    throw new TemplateException(function + "() needs pairs, got " + two.size() + " items in one");
                }
                map.put(Operators.hashable(two.get(0)), two.get(1));
            }
        }
        args.named().forEach((name, value) -> map.put(Value.of(name), value));
        return map;
    }

    private static Value namespace(Interpreter in, Args args) {
        var attributes = new LinkedHashMap<String, Value>();
        pairs(in, "namespace", args).forEach((name, value) -> attributes.put(Args.text(name), value));
        return new Namespace(attributes);
    }

    /// Nothing at its first call, the separator from then on.
    private static Value joiner(Args args) {
        Value separator = args.bind("joiner", List.of("sep?")).or(0, Value.of(", "));
        Iterator<Value> first = List.of(Value.of("")).iterator();
        return new Function("joiner", (in, none) -> first.hasNext() ? first.next() : separator);
    }

    private static final class Cycler implements Value.Thing {
        private final List<Value> items;
        private int at;

        private Cycler(List<Value> items) {
            if (items.isEmpty()) {
                throw new TemplateException("at least one item has to be provided");
            }
            this.items = items;
        }

        @Override
        public String type() {
            return "Cycler";
        }

        @Override
        public Value attribute(String name) {
            return switch (name) {
                case "current" -> items.get(at);
                case "next" -> new Function(name, (in, args) -> {
                    Value current = items.get(at);
                    at = (at + 1) % items.size();
                    return current;
                });
                case "reset" -> new Function(name, (in, args) -> {
                    at = 0;
                    return Value.None.NONE;
                });
                default -> Value.Thing.super.attribute(name);
            };
        }
    }
}
