package dev.deckle.jinja;

import dev.deckle.jinja.Value.Dict;
import dev.deckle.jinja.Value.Generator;
import dev.deckle.jinja.Value.Kind;
import dev.deckle.jinja.Value.None;
import dev.deckle.jinja.Value.Seq;
import dev.deckle.jinja.Value.Undefined;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/// The filters of collections, and the table of all.
final class Filters {
    static final Map<String, Native> TABLE = table();
    private static final Set<String> REFUSED =
            Set.of("random", "pprint", "striptags", "urlize", "wordwrap", "xmlattr", "filesizeformat");

    private Filters() {}

    static Value apply(Interpreter in, String name, Value value, Args args) {
        Native filter = TABLE.get(name);
        if (filter == null) {
            throw new TemplateException(
                    REFUSED.contains(name) ? "the filter '" + name + "' is not supported"
                            : "No filter named '" + name + "'.");
        }
        return filter.apply(in, value, args);
    }

    private static Map<String, Native> table() {
        var t = new Native.Table();
        TextFilters.addTo(t);
        t.add("default default_value? boolean?",
                (in, v, a) -> v instanceof Undefined || a.flag(1, false) && !Operators.truth(v) ? a.or(0, Value.of(""))
                        : v)
                .alias("d", "default");
        t.add("length", (in, v, a) -> Value.of(length(v))).alias("count", "length");
        t.add("list", (in, v, a) -> Seq.list(Operators.items(in, v)));
        t.add("first", (in, v, a) -> first(Operators.iterate(v), "No first item, sequence was empty."));
        t.add("last", (in, v, a) -> first(reversed(in, v).iterator(), "No last item, sequence was empty."));
        t.add("reverse", (in, v, a) -> v instanceof Text s
                ? s.slice(s.length() - 1, -1, s.length())
                : new Generator(reversed(in, v).iterator()));
        t.add("items", (in, v, a) -> {
            if (!(v instanceof Dict) && !(v instanceof Undefined)) {
                throw new TemplateException("Can only get item pairs from a mapping.");
            }
            return new Generator(v instanceof Dict d ? Methods.pairs(d).iterator() : Operators.iterate(v));
        });
        t.add("dictsort case_sensitive? by? reverse?", Filters::dictSort);
        t.add("sort reverse? case_sensitive? attribute?", (in, v, a) -> {
            List<UnaryOperator<Value>> keys = new ArrayList<>();
            for (Value attribute : a.or(2, None.NONE) instanceof Text names ? split(names)
                    : List.of(a.or(2, None.NONE))) {
                keys.add(getter(in, attribute, Optional.empty(), a.flag(1, false)));
            }
            return Seq.list(sorted(in, Operators.items(in, v), a.flag(0, false), item -> Seq.list(
                    keys.stream().map(key -> key.apply(item)).toList())));
        });
        t.add("unique case_sensitive? attribute?", (in, v, a) -> {
            var key = getter(in, a.or(1, None.NONE), Optional.empty(), a.flag(0, false));
            Set<Value> seen = new HashSet<>();
            return new Generator(Iterators.filter(Operators.iterate(v), item -> {
                Value k = Operators.hashable(key.apply(item));
                in.spend(k.size());
                return seen.add(k);
            }));
        });
        t.add("min case_sensitive? attribute?", (in, v, a) -> extreme(in, v, a, 1));
        t.add("max case_sensitive? attribute?", (in, v, a) -> extreme(in, v, a, -1));
        t.add("sum attribute? start?", (in, v, a) -> {
            var key = getter(in, a.or(0, None.NONE), Optional.empty(), true);
            Value sum = a.or(1, Value.of(0));
            for (Value item : Operators.items(in, v)) {
                if (sum instanceof Text) {
                    throw new TemplateException("sum() can't sum strings [use ''.join(seq) instead]");
                }
                sum = Operators.binary(in, "+", sum, key.apply(item));
            }
            return sum;
        });
        t.add("join d? attribute?", (in, v, a) -> {
            var key = getter(in, a.or(1, None.NONE), Optional.empty(), true);
            String separator = in.text(a.or(0, Value.of("")));
            var out = new StringBuilder();
            for (Iterator<Value> items = Operators.iterate(v); items.hasNext();) {
                new Printer(in, out).str(key.apply(items.next()));
                out.append(items.hasNext() ? separator : "");
                in.spend(separator.length() + 4);
            }
            in.spend(out.length());
            return Value.of(out.toString());
        });
        t.add("batch linecount fill_with?", (in, v, a) -> batches(in, v, a));
        t.add("slice slices fill_with?", (in, v, a) -> slices(in, v, a));
        t.add("groupby attribute default? case_sensitive?", Filters::groups);
        t.add("map *", (in, v, a) -> {
            if (!Operators.truth(v)) {
                return new Generator(List.<Value>of().iterator());
            }
            UnaryOperator<Value> each;
            if (a.positional().isEmpty() && a.named().containsKey("attribute")) {
                Args named = a.bind("map", List.of("attribute", "default?"));
                each = getter(in, named.at(0), Optional.of(named.at(1)).filter(d -> named.has(1)), true);
            } else if (a.positional().isEmpty()) {
                throw new TemplateException("map requires a filter argument");
            } else {
                each = item -> apply(in, a.text(0), item, a.after(1));
            }
            return new Generator(Iterators.map(Operators.iterate(v), each));
        });
        t.add("select *", (in, v, a) -> selected(in, v, a, false, true));
        t.add("reject *", (in, v, a) -> selected(in, v, a, false, false));
        t.add("selectattr *", (in, v, a) -> selected(in, v, a, true, true));
        t.add("rejectattr *", (in, v, a) -> selected(in, v, a, true, false));
        t.add("attr name", Filters::attribute);
        t.add("tojson ensure_ascii? indent? separators? sort_keys?", (in, v, a) -> Value.of(Json.text(in, v, a)));
        return t.map();
    }

    /// As `a.b`, but never a key.
    private static Value attribute(Interpreter in, Value v, Args a) {
        Operators.defined(v);
        if (v instanceof Value.Thing thing) {
            return thing.attribute(a.text(0));
        }
        return Methods.find(v, a.text(0))
                .orElseGet(() -> new Undefined("'" + v.type() + " object' has no attribute '" + a.text(0) + "'"));
    }

    static int length(Value v) {
        return switch (v) {
            case Text t -> t.length();
            case Seq s -> s.items().size();
            case Dict d -> d.map().size();
            case Undefined _ -> 0;
            default -> throw new TemplateException("object of type '" + v.type() + "' has no len()");
        };
    }

    private static Value first(Iterator<Value> items, String otherwise) {
        return items.hasNext() ? items.next() : new Undefined(otherwise);
    }

    private static List<Value> reversed(Interpreter in, Value v) {
        return v instanceof Seq s ? s.items().reversed() : Operators.items(in, v).reversed();
    }

    private static List<Value> split(Text names) {
        return List.of(names.string.split(",", -1)).stream().map(Value::of).toList();
    }

    /// Reads an attribute of an item: `a.b` is two steps, `0` an index, None the item itself.
    private static UnaryOperator<Value> getter(
            Interpreter in, Value attribute, Optional<Value> otherwise, boolean caseSensitive) {
        List<Value> steps = new ArrayList<>();
        if (attribute instanceof Text t) {
            for (String step : t.string.split("\\.", -1)) {
                steps.add(Characters.all(step, Character::isDigit) && step.length() < 9
                        ? Value.of(Integer.parseInt(step))
                        : Value.of(step));
            }
        } else if (attribute != None.NONE) {
            steps.add(attribute);
        }
        return item -> {
            in.spend(4);
            Value value = item;
            for (Value step : steps) {
                value = Access.item(in, value, step);
                value = value instanceof Undefined && otherwise.isPresent() ? otherwise.get() : value;
            }
            return !caseSensitive && value instanceof Text t ? t.with(Characters.lower(t.string)) : value;
        };
    }

    private static List<Value> sorted(Interpreter in, List<Value> items, boolean reverse, UnaryOperator<Value> key) {
        Map<Value, Value> keys = new java.util.IdentityHashMap<>();
        items.forEach(item -> keys.computeIfAbsent(item, key));
        Comparator<Value> order = Comparator.comparing(keys::get, (a, b) -> Operators.order(in, a, b, "<"));
        List<Value> sorted = new ArrayList<>(items);
        sorted.sort(reverse ? order.reversed() : order);
        return sorted;
    }

    private static Value dictSort(Interpreter in, Value v, Args a) {
        Operators.defined(v);
        if (!(v instanceof Dict d)) {
            throw new TemplateException("'" + v.type() + "' object has no attribute 'items'");
        }
        String by = a.has(1) ? a.text(1) : "key";
        if (!by.equals("key") && !by.equals("value")) {
            throw new TemplateException("You can only sort by either \"key\" or \"value\"");
        }
        var key = getter(in, Value.of(by.equals("key") ? 0 : 1), Optional.empty(), a.flag(0, false));
        return Seq.list(sorted(in, Methods.pairs(d), a.flag(2, false), key));
    }

    private static Value extreme(Interpreter in, Value v, Args a, int sign) {
        var key = getter(in, a.or(1, None.NONE), Optional.empty(), a.flag(0, false));
        Value best = new Undefined("No aggregated item, sequence was empty.");
        Optional<Value> bestKey = Optional.empty();
        for (Value item : Operators.items(in, v)) {
            Value k = key.apply(item);
            if (bestKey.isEmpty() || sign * Operators.order(in, k, bestKey.get(), sign > 0 ? "<" : ">") < 0) {
                best = item;
                bestKey = Optional.of(k);
            }
        }
        return best;
    }

    private static Value batches(Interpreter in, Value v, Args a) {
        int size = a.whole(0, 1);
        var batches = new ArrayList<List<Value>>();
        for (Value item : Operators.items(in, v)) {
            if (batches.isEmpty() || batches.getLast().size() == size) {
                batches.add(new ArrayList<>());
            }
            batches.getLast().add(item);
        }
        if (a.has(1) && !batches.isEmpty()) {
            in.spend(size);
            while (batches.getLast().size() < size) {
                batches.getLast().add(a.at(1));
            }
        }
        return new Generator(batches.stream().map(batch -> (Value) Seq.list(batch)).iterator());
    }

    private static Value slices(Interpreter in, Value v, Args a) {
        List<Value> items = Operators.items(in, v);
        int count = a.whole(0, 1);
        if (count == 0) {
            throw new TemplateException("integer division or modulo by zero");
        }
        in.spend(Math.max(count, 0));
        var slices = new ArrayList<Value>();
        int from = 0;
        for (int i = 0; i < count; i++) {
            boolean longer = i < items.size() % count;
            int to = from + items.size() / count + (longer ? 1 : 0);
            var slice = new ArrayList<>(items.subList(from, to));
            if (a.has(1) && !longer) {
                slice.add(a.at(1));
            }
            slices.add(Seq.list(slice));
            from = to;
        }
        return new Generator(slices.iterator());
    }

    private static Value groups(Interpreter in, Value v, Args a) {
        Optional<Value> otherwise = Optional.of(a.at(1)).filter(d -> a.has(1));
        var key = getter(in, a.at(0), otherwise, a.flag(2, false));
        var name = getter(in, a.at(0), otherwise, true);
        Map<Value, List<Value>> groups = new LinkedHashMap<>();
        for (Value item : sorted(in, Operators.items(in, v), false, key)) {
            groups.computeIfAbsent(key.apply(item), _ -> new ArrayList<>()).add(item);
        }
        var pairs = new ArrayList<Value>();
        groups.values().forEach(
                items -> pairs.add(Seq.of(Kind.GROUP, List.of(name.apply(items.getFirst()), Seq.list(items)))));
        return Seq.list(pairs);
    }

    /// `select`, `reject` and their kin: those items of which a test, or their truth, says `wanted`.
    private static Value selected(Interpreter in, Value v, Args a, boolean byAttribute, boolean wanted) {
        if (!Operators.truth(v)) {
            return new Generator(List.<Value>of().iterator());
        }
        if (byAttribute && a.positional().isEmpty()) {
            throw new TemplateException("Missing parameter for attribute name");
        }
        var of = getter(in, byAttribute ? a.at(0) : None.NONE, Optional.empty(), true);
        Args rest = byAttribute ? a.after(1) : a;
        return new Generator(Iterators.filter(Operators.iterate(v), item -> {
            Value value = of.apply(item);
            boolean passes = rest.positional().isEmpty()
                    ? Operators.truth(value)
                    : Tests.test(in, rest.text(0), value, rest.after(1));
            return passes == wanted;
        }));
    }
}
