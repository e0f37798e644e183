package dev.deckle.jinja;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/// Lazy walks, as Python's generators are: what a template does between two items is seen by the next.
final class Iterators {
    private Iterators() {}

    static Iterator<Value> map(Iterator<Value> items, UnaryOperator<Value> each) {
        return new Iterator<>() {
            @Override
            public boolean hasNext() {
                return items.hasNext();
            }

            @Override
            public Value next() {
                return each.apply(items.next());
            }
        };
    }

    static Iterator<Value> filter(Iterator<Value> items, Predicate<Value> keeps) {
        return new Iterator<>() {
            private Optional<Value> found = Optional.empty();

            @Override
            public boolean hasNext() {
                while (found.isEmpty() && items.hasNext()) {
                    found = Optional.of(items.next()).filter(keeps);
                }
                return found.isPresent();
            }

            @Override
            public Value next() {
                if (!hasNext()) {
                    throw new NoSuchElementException();
                }
                Value value = found.get();
                found = Optional.empty();
                return value;
            }
        };
    }
}
