package dev.deckle.jinja;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A value of a template. `equals` is Python's `==`: 1, 1.0 and True are one key of a dict, a list is no tuple.
sealed interface Value
        permits Value.None, Value.Number, Text, Value.Seq, Value.Dict, Value.Generator, Value.Undefined, Value.Thing {
    /// Python's name of the type, for messages.
    String type();

    /// How many values this holds, itself included: what comparing or printing it may cost.
    default long size() {
        return 1;
    }

    enum None implements Value {
        NONE;

        @Override
        public String type() {
            return "NoneType";
        }
    }

    /// A bool is a number too.
    sealed interface Number extends Value {
        double real();
    }

    sealed interface Whole extends Number {
        BigInteger integer();

        @Override
        default double real() {
            return integer().doubleValue();
        }
    }

    record Bool(boolean value) implements Whole {
        @Override
        public BigInteger integer() {
            return value ? BigInteger.ONE : BigInteger.ZERO;
        }

        @Override
        public boolean equals(Object other) {
            return same(this, other);
        }

        @Override
        public int hashCode() {
            return Double.hashCode(real());
        }

        @Override
        public String type() {
            return "bool";
        }
    }

    record Int(BigInteger integer) implements Whole {
        static final int MOST_DIGITS = 4_300; // Python prints no more
        private static final int MOST_BITS = 14_284;

        public Int {
            if (integer.bitLength() > MOST_BITS) {
                throw new TemplateException("an integer of " + integer.bitLength() + " bits is too large");
            }
        }

        @Override
        public boolean equals(Object other) {
            return same(this, other);
        }

        @Override
        public int hashCode() {
            return Double.hashCode(real());
        }

        @Override
        public String type() {
            return "int";
        }
    }

    record Real(double real) implements Number {
        @Override
        public boolean equals(Object other) {
            return same(this, other);
        }

        @Override
        public int hashCode() {
            return Double.hashCode(real == 0 ? 0.0 : real);
        }

        @Override
        public String type() {
            return "float";
        }
    }

    private static boolean same(Number a, Object b) {
        return b instanceof Number n && Operators.compareNumbers(a, n) == 0;
    }

    enum Kind {
        LIST("list"),
        TUPLE("tuple"),
        GROUP("tuple"), // what groupby yields: a pair whose parts have names
        RANGE("range"),
        KEYS("dict_keys"),
        VALUES("dict_values"),
        ITEMS("dict_items");

        final String type;

        Kind(String type) {
            this.type = type;
        }

        boolean tuple() {
            return this == TUPLE || this == GROUP;
        }

        /// Whether Python lets it be indexed.
        boolean sequence() {
            return ordinal() <= RANGE.ordinal();
        }
    }

    /// What has an order and a length.
    record Seq(Kind kind, List<Value> items, Extent extent) implements Value {
        static Seq of(Kind kind, List<Value> items) {
            return new Seq(kind, items, Extent.of(items));
        }

        static Seq list(List<Value> items) {
            return of(Kind.LIST, items);
        }

        static Seq tuple(Value... items) {
            return of(Kind.TUPLE, List.of(items));
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Seq s
                    && (kind == s.kind || kind.tuple() && s.kind.tuple())
                    && extent.size == s.extent.size
                    && items.equals(s.items);
        }

        @Override
        public int hashCode() {
            return items.hashCode();
        }

        @Override
        public String type() {
            return kind.type;
        }

        @Override
        public long size() {
            return extent.size;
        }
    }

    /// A dict, in the order in which its keys came.
    record Dict(Map<Value, Value> map, Extent extent) implements Value {
        static Dict of(Map<Value, Value> map) {
            return new Dict(map, Extent.of(map.values()));
        }

        static Dict named(Map<String, Value> map) {
            var values = new LinkedHashMap<Value, Value>();
            map.forEach((name, value) -> values.put(Value.of(name), value));
            return of(values);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Dict d && extent.size == d.extent.size && map.equals(d.map);
        }

        @Override
        public int hashCode() {
            return map.hashCode();
        }

        @Override
        public String type() {
            return "dict";
        }

        @Override
        public long size() {
            return extent.size;
        }
    }

    /// How much a container holds, all levels counted, and how many levels there are. A template can nest one list
    /// within another for ever, or twice in itself for 60 times: every walk over values asks here first.
    record Extent(long size, int depth) {
        private static final int DEEPEST = 300;

        static Extent of(Iterable<Value> values) {
            long size = 1;
            int depth = 0;
            for (Value v : values) {
                size = Math.min(size + v.size(), Long.MAX_VALUE / 2);
                depth = Math.max(depth, v instanceof Seq s ? s.extent.depth : v instanceof Dict d ? d.extent.depth : 0);
            }
            if (depth >= DEEPEST) {
                throw new TemplateException("values are nested more than " + DEEPEST + " levels deep");
            }
            return new Extent(size, depth + 1);
        }
    }

    /// What a lazy filter yields: may be walked once.
    record Generator(Iterator<Value> iterator) implements Value {
        @Override
        public boolean equals(Object other) {
            return this == other;
        }

        @Override
        public int hashCode() {
            return System.identityHashCode(this);
        }

        @Override
        public String type() {
            return "generator";
        }
    }

    /// What is not there. It prints as nothing, and says why as soon as something is done with it.
    record Undefined(String why) implements Value {
        @Override
        public boolean equals(Object other) {
            return other instanceof Undefined;
        }

        @Override
        public int hashCode() {
            return 0;
        }

        @Override
        public String type() {
            return "Undefined";
        }
    }

    /// Objects of Jinja's own: functions, macros, namespaces, loops.
    non-sealed interface Thing extends Value {
        default Value attribute(String name) {
            return new Undefined("'" + type() + " object' has no attribute '" + name + "'");
        }

        default Value call(Interpreter in, Args args) {
            throw new TemplateException("'" + type() + "' object is not callable");
        }
    }

    /// A thing that can only be called.
    record Function(String name, java.util.function.BiFunction<Interpreter, Args, Value> body) implements Thing {
        @Override
        public String type() {
            return "function";
        }

        @Override
        public Value call(Interpreter in, Args args) {
            return body.apply(in, args);
        }
    }

    static Value of(boolean b) {
        return new Bool(b);
    }

    static Value of(long n) {
        return new Int(BigInteger.valueOf(n));
    }

    static Value of(String s) {
        return new Text(s, false);
    }

    /// Numbers with a point or an exponent become floats, all others integers.
    static Value of(JsonElement json) {
        return switch (json) {
            case JsonObject o -> {
                var map = new LinkedHashMap<Value, Value>();
                o.asMap().forEach((key, value) -> map.put(of(key), of(value)));
                yield Dict.of(map);
            }
            case JsonArray a -> {
                var items = new ArrayList<Value>(a.size());
                a.forEach(item -> items.add(of(item)));
                yield Seq.list(items);
            }
            case JsonPrimitive p when p.isBoolean() -> of(p.getAsBoolean());
            case JsonPrimitive p when p.isString() -> of(p.getAsString());
            case JsonPrimitive p -> number(p.getAsString());
            default -> None.NONE;
        };
    }

    private static Value number(String digits) {
        if (!digits.chars().allMatch(c -> c == '-' || c >= '0' && c <= '9')) {
            return new Real(Double.parseDouble(digits));
        }
        if (digits.length() > Int.MOST_DIGITS) {
            throw new TemplateException("an integer of " + digits.length() + " digits is too large");
        }
        return new Int(new BigInteger(digits));
    }
}
