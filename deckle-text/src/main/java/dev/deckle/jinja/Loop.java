package dev.deckle.jinja;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// The variable `loop`. It looks ahead only when it is asked to.
final class Loop implements Value.Thing {
    private Iterator<Value> rest;
    private int length; // -1 until it is known
    private final int level;
    private final UnaryOperator<Value> recursion;
    private Optional<Value> previous = Optional.empty();
    private Optional<Value> current = Optional.empty();
    private Optional<Value> ahead = Optional.empty();
    private Optional<List<Value>> changed = Optional.empty();
    private int index0 = -1;

    Loop(Iterator<Value> items, int length, int level, UnaryOperator<Value> recursion) {
        rest = items;
        this.length = length;
        this.level = level;
        this.recursion = recursion;
    }

    boolean hasNext() {
        return ahead.isPresent() || rest.hasNext();
    }

    Value next() {
        Value value = peek().orElseThrow();
        ahead = Optional.empty();
        previous = current;
        current = Optional.of(value);
        index0++;
        return value;
    }

    private Optional<Value> peek() {
        if (ahead.isEmpty() && rest.hasNext()) {
            ahead = Optional.of(rest.next());
        }
        return ahead;
    }

    private int length() {
        if (length < 0) {
            var all = new ArrayList<Value>();
            rest.forEachRemaining(all::add);
            rest = all.iterator();
            length = all.size() + index0 + 1 + (ahead.isPresent() ? 1 : 0);
        }
        return length;
    }

    @Override
    public String type() {
        return "LoopContext";
    }

    @Override
    public Value attribute(String name) {
        return switch (name) {
            case "index" -> Value.of(index0 + 1);
            case "index0" -> Value.of(index0);
            case "length" -> Value.of(length());
            case "revindex" -> Value.of(length() - index0);
            case "revindex0" -> Value.of(length() - index0 - 1);
            case "first" -> Value.of(index0 == 0);
            case "last" -> Value.of(peek().isEmpty());
            case "depth" -> Value.of(level + 1);
            case "depth0" -> Value.of(level);
            case "previtem" -> previous.orElseGet(() -> new Value.Undefined("there is no previous item"));
            case "nextitem" -> peek().orElseGet(() -> new Value.Undefined("there is no next item"));
            case "cycle" -> new Value.Function(name, (in, args) -> cycle(args));
            case "changed" -> new Value.Function(name, (in, args) -> Value.of(changes(in, args.positional())));
            default -> Value.Thing.super.attribute(name);
        };
    }

    private Value cycle(Args args) {
        if (args.positional().isEmpty()) {
            throw new TemplateException("no items for cycling given");
        }
        return args.positional().get(index0 % args.positional().size());
    }

    private boolean changes(Interpreter in, List<Value> values) {
        for (Value v : values) {
            in.spend(v.size());
        }
        boolean changes = !changed.equals(Optional.of(values));
        changed = Optional.of(values);
        return changes;
    }

    @Override
    public Value call(Interpreter in, Args args) {
        return recursion.apply(args.bind("loop", List.of("iterable")).at(0));
    }
}
