package dev.deckle.jinja;

import dev.deckle.jinja.Value.Int;
import dev.deckle.jinja.Value.Kind;
import dev.deckle.jinja.Value.Number;
import dev.deckle.jinja.Value.Real;
import dev.deckle.jinja.Value.Seq;
import dev.deckle.jinja.Value.Undefined;
import dev.deckle.jinja.Value.Whole;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/// Python's operators.
final class Operators {
    private static final int MOST_BITS = 20_000;

    private Operators() {}

    static boolean truth(Value value) {
        return switch (value) {
            case Value.None _, Undefined _ -> false;
            case Number n -> n.real() != 0;
            case Text t -> !t.string.isEmpty();
            case Seq s -> !s.items().isEmpty();
            case Value.Dict d -> !d.map().isEmpty();
            case Value.Generator _, Value.Thing _ -> true;
        };
    }

    static Value binary(Interpreter in, String operator, Value a, Value b) {
        if (operator.equals("%") && a instanceof Text t) {
            return Format.percent(in, t, b);
        }
        defined(a);
        defined(b);
        Value result = switch (operator) {
            case "+" -> add(in, a, b);
            case "*" -> multiply(in, a, b);
            default -> a instanceof Number x && b instanceof Number y ? arithmetic(operator, x, y) : null;
        };
        if (result == null) {
            throw new TemplateException("unsupported operand type(s) for " + operator + ": '" + a.type() + "' and '"
                    + b.type() + "'");
        }
        return result;
    }

    /// Uses of an undefined value fail with the reason why there is none.
    static void defined(Value value) {
        if (value instanceof Undefined u) {
            throw new TemplateException(u.why());
        }
    }

    private static Value add(Interpreter in, Value a, Value b) {
        if (a instanceof Text s && b instanceof Text t) {
            in.spend(s.string.length() + t.string.length());
            boolean safe = s.safe || t.safe;
            return new Text(
                    safe ? Printer.escaped(s).concat(Printer.escaped(t)) : s.string.concat(t.string), safe);
        }
        if (a instanceof Seq s && b instanceof Seq t && joins(s.kind(), t.kind())) {
            var items = new ArrayList<Value>(s.items());
            items.addAll(t.items());
            in.spend(4L * items.size());
            return Seq.of(s.kind().tuple() ? Kind.TUPLE : Kind.LIST, items);
        }
        if (a instanceof Text) {
            throw new TemplateException("can only concatenate str (not \"" + b.type() + "\") to str");
        }
        if (a instanceof Seq s && s.kind() != Kind.RANGE && s.kind().sequence()) {
            throw new TemplateException(
                    "can only concatenate " + s.type() + " (not \"" + b.type() + "\") to " + s.type());
        }
        return a instanceof Number x && b instanceof Number y ? arithmetic("+", x, y) : null;
    }

    private static boolean joins(Kind a, Kind b) {
        return a == Kind.LIST && b == Kind.LIST || a.tuple() && b.tuple();
    }

    private static Value multiply(Interpreter in, Value a, Value b) {
        if (a instanceof Whole && (b instanceof Text || b instanceof Seq)) {
            return multiply(in, b, a);
        }
        if (b instanceof Whole && a instanceof Text t) {
            long times = Math.max(0, Args.whole(b));
            in.spend(times * t.string.length());
            return t.with(t.string.repeat((int) (t.string.isEmpty() ? 0 : times)));
        }
        if (b instanceof Whole && a instanceof Seq s && (s.kind() == Kind.LIST || s.kind().tuple())) {
            long times = Math.max(0, Args.whole(b));
            in.spend(4 * times * s.items().size());
            var items = new ArrayList<Value>();
            for (long i = 0; i < (s.items().isEmpty() ? 0 : times); i++) {
                items.addAll(s.items());
            }
            return Seq.of(s.kind().tuple() ? Kind.TUPLE : Kind.LIST, items);
        }
        return a instanceof Number x && b instanceof Number y ? arithmetic("*", x, y) : null;
    }

    private static Value arithmetic(String operator, Number a, Number b) {
        if (a instanceof Whole x && b instanceof Whole y && !operator.equals("/")) {
            return whole(operator, x.integer(), y.integer());
        }
        double x = finite(a);
        double y = finite(b);
        if (y == 0 && (operator.startsWith("/") || operator.equals("%"))) {
            throw new TemplateException("division by zero");
        }
        return new Real(switch (operator) {
            case "+" -> x + y;
            case "-" -> x - y;
            case "*" -> x * y;
            case "/" -> x / y;
            case "//" -> Math.rint((x - modulo(x, y)) / y);
            case "%" -> modulo(x, y);
            case "**" -> power(x, y);
            default -> throw new AssertionError(operator);
        });
    }

    /// A float of a number that has one.
    static double finite(Number n) {
        if (n instanceof Whole && Double.isInfinite(n.real())) {
            throw new TemplateException("int too large to convert to float");
        }
        return n.real();
    }

    private static double modulo(double x, double y) {
        double r = x % y;
        return r != 0 && r < 0 != y < 0 ? r + y : r == 0 ? Math.copySign(0, y) : r;
    }

    private static double power(double x, double y) {
        if (x == 0 && y < 0) {
            throw new TemplateException("zero cannot be raised to a negative power");
        }
        double p = Math.pow(x, y);
        if (Double.isNaN(p) && x < 0) {
            throw new TemplateException("complex numbers are not supported");
        }
        return p;
    }

    private static Value whole(String operator, BigInteger x, BigInteger y) {
        if (y.signum() == 0 && (operator.equals("//") || operator.equals("%"))) {
            throw new TemplateException("integer division or modulo by zero");
        }
        return switch (operator) {
            case "+" -> new Int(x.add(y));
            case "-" -> new Int(x.subtract(y));
            case "*" -> new Int(x.multiply(y));
            case "//" -> {
                BigInteger[] qr = x.divideAndRemainder(y);
                boolean down = qr[1].signum() != 0 && qr[1].signum() != y.signum();
                yield new Int(down ? qr[0].subtract(BigInteger.ONE) : qr[0]);
            }
            case "%" -> {
                BigInteger r = x.remainder(y);
                yield new Int(r.signum() != 0 && r.signum() != y.signum() ? r.add(y) : r);
            }
            case "**" -> {
                if (y.signum() < 0) {
                    yield new Real(power(x.doubleValue(), y.doubleValue()));
                }
                if (y.bitLength() > 31 || (long) Math.max(0, x.abs().subtract(BigInteger.ONE).bitLength())
                        * y.intValue() > MOST_BITS) {
                    throw new TemplateException("an integer power is too large");
                }
                yield new Int(x.pow(y.intValue()));
            }
            default -> throw new AssertionError(operator);
        };
    }

    static Value signed(Value value, boolean negative) {
        defined(value);
        return switch (value) {
            case Whole w -> new Int(negative ? w.integer().negate() : w.integer());
            case Number n -> new Real(negative ? -n.real() : n.real());
            default -> throw new TemplateException(
                    "bad operand type for unary " + (negative ? "-" : "+") + ": '" + value.type() + "'");
        };
    }

    static boolean compare(Interpreter in, String operator, Value a, Value b) {
        return switch (operator) {
            case "==" -> same(in, a, b);
            case "!=" -> !same(in, a, b);
            case "in" -> contains(in, b, a);
            case "not in" -> !contains(in, b, a);
            default -> {
                if (a instanceof Number x && b instanceof Number y
                        && (Double.isNaN(x.real()) || Double.isNaN(y.real()))) {
                    yield false;
                }
                int order = order(in, a, b, operator);
                yield switch (operator) {
                    case "<" -> order < 0;
                    case "<=" -> order <= 0;
                    case ">" -> order > 0;
                    default -> order >= 0;
                };
            }
        };
    }

    static boolean same(Interpreter in, Value a, Value b) {
        in.spend(Math.min(a.size(), b.size()));
        return a.equals(b);
    }

    static boolean contains(Interpreter in, Value container, Value item) {
        switch (container) {
            case Text t -> {
                if (!(item instanceof Text part)) {
                    throw new TemplateException(
                            "'in <string>' requires string as left operand, not " + item.type());
                }
                in.spend(t.string.length() / 16);
                return t.string.contains(part.string);
            }
            case Value.Dict d -> {
                in.spend(hashable(item).size());
                return d.map().containsKey(item);
            }
            case Value.Number _, Value.None _, Value.Thing _ -> throw new TemplateException(
                    "argument of type '" + container.type() + "' is not iterable");
            default -> {
                for (Iterator<Value> all = iterate(container); all.hasNext();) {
                    if (same(in, all.next(), item)) {
                        return true;
                    }
                }
                return false;
            }
        }
    }

    static int order(Interpreter in, Value a, Value b, String operator) {
        in.spend(Math.min(a.size(), b.size()));
        defined(a);
        defined(b);
        if (a instanceof Number x && b instanceof Number y) {
            return compareNumbers(x, y);
        }
        if (a instanceof Text s && b instanceof Text t) {
            return compareTexts(s.string, t.string);
        }
        if (a instanceof Seq s && b instanceof Seq t && joins(s.kind(), t.kind())) {
            for (int i = 0; i < Math.min(s.items().size(), t.items().size()); i++) {
                if (!same(in, s.items().get(i), t.items().get(i))) {
                    return order(in, s.items().get(i), t.items().get(i), operator);
                }
            }
            return Integer.compare(s.items().size(), t.items().size());
        }
        throw new TemplateException("'" + operator + "' not supported between instances of '" + a.type() + "' and '"
                + b.type() + "'");
    }

    /// By code points, where the chars of Java would order by UTF-16.
    static int compareTexts(String a, String b) {
        int i = 0;
        while (i < a.length() && i < b.length() && a.charAt(i) == b.charAt(i)) {
            i++;
        }
        if (i == a.length() || i == b.length()) {
            return Integer.compare(a.length(), b.length());
        }
        char x = a.charAt(i);
        char y = b.charAt(i);
        boolean beyond = Character.isSurrogate(x) != Character.isSurrogate(y);
        return beyond ? Character.isSurrogate(x) ? 1 : -1 : Character.compare(x, y);
    }

    /// Exact, also between an integer and a float.
    static int compareNumbers(Number a, Number b) {
        if (a instanceof Whole x && b instanceof Whole y) {
            return x.integer().compareTo(y.integer());
        }
        if (Double.isNaN(a.real()) || Double.isNaN(b.real())) {
            return 2; // equal to nothing
        }
        if (a instanceof Real && b instanceof Real || Double.isInfinite(a.real()) || Double.isInfinite(b.real())) {
            return a.real() == b.real() ? 0 : Double.compare(a.real(), b.real());
        }
        return exact(a).compareTo(exact(b));
    }

    private static BigDecimal exact(Number n) {
        return n instanceof Whole w ? new BigDecimal(w.integer()) : new BigDecimal(n.real());
    }

    static Value hashable(Value key) {
        if (key instanceof Seq s && s.kind().tuple()) {
            s.items().forEach(Operators::hashable);
        } else if (key instanceof Value.Dict || key instanceof Seq s && s.kind() != Kind.RANGE) {
            throw new TemplateException("unhashable type: '" + key.type() + "'");
        }
        return key;
    }

    static Iterator<Value> iterate(Value value) {
        return switch (value) {
            case Seq s -> s.items().iterator();
            case Value.Dict d -> d.map().keySet().iterator();
            case Text t -> t.string.codePoints().mapToObj(c -> Value.of(Character.toString(c))).iterator();
            case Value.Generator g -> g.iterator();
            case Undefined _ -> List.<Value>of().iterator();
            case Value.None _, Number _, Value.Thing _ -> throw new TemplateException(
                    "'" + value.type() + "' object is not iterable");
        };
    }

    /// All that iteration yields, at its price.
    static List<Value> items(Interpreter in, Value value) {
        var items = new ArrayList<Value>();
        for (Iterator<Value> all = iterate(value); all.hasNext();) {
            in.spend(4);
            items.add(all.next());
        }
        return items;
    }
}
