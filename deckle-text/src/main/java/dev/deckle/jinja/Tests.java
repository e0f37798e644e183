package dev.deckle.jinja;

import dev.deckle.jinja.Value.Bool;
import dev.deckle.jinja.Value.Seq;
import dev.deckle.jinja.Value.Undefined;
import java.util.Map;
import java.util.function.Predicate;

/// What may stand behind `is`.
final class Tests {
    private Tests() {}

    private static final Map<String, Native> TABLE = table();

    private static Map<String, Native> table() {
        var t = new Native.Table();
        is(t, "defined", v -> !(v instanceof Undefined));
        is(t, "undefined", v -> v instanceof Undefined);
        is(t, "none", v -> v == Value.None.NONE);
        is(t, "boolean", v -> v instanceof Bool);
        is(t, "true", v -> v instanceof Bool b && b.value());
        is(t, "false", v -> v instanceof Bool b && !b.value());
        is(t, "integer", v -> v instanceof Value.Int);
        is(t, "float", v -> v instanceof Value.Real);
        is(t, "number", v -> v instanceof Value.Number);
        is(t, "string", v -> v instanceof Text);
        is(t, "mapping", v -> v instanceof Value.Dict);
        is(t, "sequence", v -> v instanceof Seq s ? s.kind().sequence()
                : v instanceof Text || v instanceof Value.Dict || v instanceof Undefined);
        is(t, "iterable", v -> !(v instanceof Value.None || v instanceof Value.Number
                || v instanceof Value.Thing && !(v instanceof Loop)));
        is(t, "callable", v -> v instanceof Undefined || v instanceof Value.Thing && !(v instanceof Namespace));
        is(t, "escaped", v -> v instanceof Text s && s.safe);
        t.add("odd", (in, v, a) -> Value.of(Operators.binary(in, "%", v, Value.of(2)).equals(Value.of(1))));
        t.add("even", (in, v, a) -> Value.of(Operators.binary(in, "%", v, Value.of(2)).equals(Value.of(0))));
        t.add("divisibleby num", (in, v, a) -> Value.of(!Operators.truth(Operators.binary(in, "%", v, a.at(0)))));
        t.add("lower", (in, v, a) -> Value
                .of(TextMethods.cased(in.text(v)) && in.text(v).equals(Characters.lower(in.text(v)))));
        t.add("upper", (in, v, a) -> Value
                .of(TextMethods.cased(in.text(v)) && in.text(v).equals(Characters.upper(in.text(v)))));
        t.add("filter", (in, v, a) -> Value.of(Filters.TABLE.containsKey(Args.text(v))));
        t.add("test", (in, v, a) -> Value.of(known(Args.text(v))));
        t.add("sameas other", (in, v, a) -> Value.of(sameAs(v, a.at(0))));
        t.add("in seq", (in, v, a) -> Value.of(Operators.contains(in, a.at(0), v)));
        compare(t, "==", "eq", "equalto");
        compare(t, "!=", "ne");
        compare(t, ">", "gt", "greaterthan");
        compare(t, ">=", "ge");
        compare(t, "<", "lt", "lessthan");
        compare(t, "<=", "le");
        return t.map();
    }

    private static boolean known(String name) {
        return TABLE.containsKey(name);
    }

    private static void is(Native.Table t, String name, Predicate<Value> test) {
        t.add(name, (in, v, a) -> Value.of(test.test(v)));
    }

    private static void compare(Native.Table t, String operator, String... names) {
        t.add(operator + " other", (in, v, a) -> Value.of(Operators.compare(in, operator, v, a.at(0))));
        for (String name : names) {
            t.alias(name, operator);
        }
    }

    /// Python's `is`, as far as it can be told from outside: True and None are one object each, a 1 is not True.
    private static boolean sameAs(Value a, Value b) {
        return a == b || !(a instanceof Seq || a instanceof Value.Dict) && a.type().equals(b.type()) && a.equals(b);
    }

    static boolean test(Interpreter in, String name, Value value, Args args) {
        Native test = TABLE.get(name);
        if (test == null) {
            throw new TemplateException("No test named '" + name + "'.");
        }
        return Operators.truth(test.apply(in, value, args));
    }
}
