package dev.deckle.jinja;

import dev.deckle.jinja.Value.None;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The arguments of a call. Once bound to parameters they are all positional, [#ABSENT] where nothing was passed.
record Args(List<Value> positional, Map<String, Value> named) {
    static final Value ABSENT = new Value.Undefined("an argument that was not passed");

    static Args of(Value... positional) {
        return new Args(List.of(positional), Map.of());
    }

    /// @param parameters the names, with a `?` behind those that may be left out
    Args bind(String function, List<String> parameters) {
        var left = new HashMap<>(named);
        var bound = new ArrayList<Value>(parameters.size());
        for (String parameter : parameters) {
            boolean optional = parameter.endsWith("?");
            String name = optional ? parameter.substring(0, parameter.length() - 1) : parameter;
            int i = bound.size();
            Value value = i < positional.size() ? positional.get(i) : left.remove(name);
            if (value == null && !optional) {
                throw new TemplateException(function + "() misses its argument '" + name + "'");
            }
            bound.add(value == null ? ABSENT : value);
        }
        if (!left.isEmpty()) {
            String name = left.keySet().iterator().next();
            throw new TemplateException(function + "() got an unexpected keyword argument '" + name + "'");
        }
        if (positional.size() > parameters.size()) {
            throw new TemplateException(function + "() takes at most " + parameters.size() + " arguments, "
                    + positional.size() + " were given");
        }
        return new Args(bound, Map.of());
    }

    /// Without the first `n`.
    Args after(int n) {
        return new Args(positional.subList(n, positional.size()), named);
    }

    Value at(int i) {
        return positional.get(i);
    }

    /// Whether something other than None was passed.
    boolean has(int i) {
        return at(i) != ABSENT && at(i) != None.NONE;
    }

    Value or(int i, Value otherwise) {
        return at(i) == ABSENT ? otherwise : at(i);
    }

    boolean flag(int i, boolean otherwise) {
        return at(i) == ABSENT ? otherwise : Operators.truth(at(i));
    }

    int whole(int i, int otherwise) {
        return has(i) ? whole(at(i)) : otherwise;
    }

    String text(int i) {
        return text(at(i));
    }

    static String text(Value value) {
        if (value instanceof Text t) {
            return t.string;
        }
        throw new TemplateException("expected str, got " + value.type());
    }

    /// As an index: what does not fit is as far as one can go.
    static int whole(Value value) {
        if (!(value instanceof Value.Whole w)) {
            throw new TemplateException("'" + value.type() + "' object cannot be interpreted as an integer");
        }
        BigInteger most = BigInteger.valueOf(Integer.MAX_VALUE);
        return w.integer().min(most).max(most.negate()).intValue();
    }
}
