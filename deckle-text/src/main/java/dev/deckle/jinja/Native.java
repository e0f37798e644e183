package dev.deckle.jinja;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// A filter, a test or a method: what is done to `self`, with arguments bound to its parameters.
record Native(String name, List<String> parameters, Body body) {
    @FunctionalInterface
    interface Body {
        Value apply(Interpreter in, Value self, Args args);
    }

    /// A table of them, filled line by line.
    static final class Table {
        private final Map<String, Native> natives = new HashMap<>();

        /// @param signature the name and the parameters, as in `replace old new count?`; `*` takes all arguments as
        ///     they come
        Table add(String signature, Body body) {
            List<String> words = List.of(signature.split(" "));
            natives.put(words.getFirst(), new Native(words.getFirst(), words.subList(1, words.size()), body));
            return this;
        }

        Table alias(String name, String of) {
            natives.put(name, natives.get(of));
            return this;
        }

        Map<String, Native> map() {
            return Map.copyOf(natives);
        }
    }

    Value apply(Interpreter in, Value self, Args args) {
        return body.apply(in, self, parameters.equals(List.of("*")) ? args : args.bind(name, parameters));
    }

    /// As a method of `self`.
    Value bound(Value self) {
        return new Value.Function(name, (in, args) -> apply(in, self, args));
    }
}
