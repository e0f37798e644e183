package dev.deckle.jinja;

import java.util.Map;

/// What `namespace()` makes: the one thing that a template may change from within a loop.
record Namespace(Map<String, Value> attributes) implements Value.Thing {
    @Override
    public String type() {
        return "Namespace";
    }

    @Override
    public Value attribute(String name) {
        Value value = attributes.get(name);
        return value != null ? value : new Value.Undefined("'Namespace' object has no attribute '" + name + "'");
    }

    @Override
    public boolean equals(Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }
}
