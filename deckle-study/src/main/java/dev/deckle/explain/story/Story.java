package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Step;
import dev.deckle.explain.Values;
import dev.deckle.autograd.Definitions;
import dev.deckle.autograd.NoGrad;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.OpObserver;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// Tells what a part does from what it did: [#watch] runs the real class and remembers each operation with its result;
/// [#then] names the next operation of a kind, says its formula, and shows its values. A fused operation is preceded by
/// the plain ones of its definition, so that a story can look inside.
///
/// A story that no longer fits its class fails instead of telling something else: an operation that it waits for and
/// that does not come is an error.
final class Story {
    private record Event(String label, Tensor result) {}

    private final String name;
    private final String title;
    private final String idea;
    private final List<Step> steps = new ArrayList<>();
    private final List<Event> trace = new ArrayList<>();
    private final Map<String, Tensor> told = new LinkedHashMap<>();
    private final Map<String, List<String>> axes = new LinkedHashMap<>();
    private int at; // the next event to tell

    Story(String name, String title, String idea) {
        this.name = name;
        this.title = title;
        this.idea = idea;
    }

    /// Runs the part and keeps what it computes; [#then] begins with its first operation.
    <T> T watch(Supplier<T> work) {
        trace.clear();
        at = 0;
        return OpObserver.during(this::computed, work);
    }

    private void computed(Op op, Tensor result) {
        try (NoGrad _ = NoGrad.open()) {
            Definitions.of(op); // its plain operations come here too, before it
        }
        trace.add(new Event(op.label(), result.detach()));
    }

    /// What the dimensions of some tensors stand for, such as `batch head query key`: said before they are shown.
    Story axes(String names, String... tensors) {
        for (String tensor : tensors) {
            axes.put(tensor, List.of(names.split(" ")));
        }
        return this;
    }

    /// What the reader is given: names and values in turn.
    Story given(String title, Object... namesAndValues) {
        return add(Step.Kind.INPUT, title, "", "", namesAndValues);
    }

    /// The next operation called `label` (as [Op#label()] says) made `result`.
    Story then(String label, String result, String title, String formula) {
        return then(label, result, title, formula, "");
    }

    Story then(String label, String result, String title, String formula, String note) {
        return add(Step.Kind.STEP, title, formula, note, result, next(label));
    }

    /// The last operation of a part.
    Story output(String label, String result, String title, String formula) {
        return add(Step.Kind.OUTPUT, title, formula, "", result, next(label));
    }

    /// Passes over operations up to the next one called `label`, and over that.
    Story skip(String label) {
        next(label);
        return this;
    }

    private Tensor next(String label) {
        while (at < trace.size()) {
            Event e = trace.get(at++);
            if (e.label.equals(label)) {
                return e.result;
            }
        }
        throw new IllegalStateException("the story of " + name + " waits for an operation " + label
                + " that the class does not compute: it computed " + trace.stream().map(Event::label).toList());
    }

    /// A step that is no operation on tensors: names and values in turn.
    Story step(String title, String formula, String note, Object... namesAndValues) {
        return add(Step.Kind.STEP, title, formula, note, namesAndValues);
    }

    Story result(String title, String formula, String note, Object... namesAndValues) {
        return add(Step.Kind.OUTPUT, title, formula, note, namesAndValues);
    }

    Story gradient(String title, String formula, String note, Object... namesAndValues) {
        return add(Step.Kind.GRADIENT, title, formula, note, namesAndValues);
    }

    /// What people get wrong here: the mistake as a formula, and the wrong numbers that it gives.
    Story mistake(String title, String formula, String note, Object... namesAndValues) {
        return add(Step.Kind.MISTAKE, title, formula, note, namesAndValues);
    }

    private Story add(Step.Kind kind, String title, String formula, String note, Object... namesAndValues) {
        Map<String, Values> values = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            String tensor = (String) namesAndValues[i];
            Values v = values(namesAndValues[i + 1]);
            List<String> named = axes.getOrDefault(tensor, List.of());
            values.put(tensor, named.size() == v.rank() ? v.named(named) : v);
            if (namesAndValues[i + 1] instanceof Tensor t) {
                told.put(tensor, t);
            }
        }
        boolean same = kind == Step.Kind.MISTAKE && values.containsKey("right")
                && values.get("right").values().equals(values.get("wrong").values());
        String said = same ? note + " With these numbers it makes no difference." : note;
        steps.add(new Step(kind, title, formula, values, said));
        return this;
    }

    /// A tensor that was shown, by its name: to go on with it.
    Tensor get(String tensor) {
        return told.get(tensor);
    }

    private static Values values(Object o) {
        return switch (o) {
            case Values v -> v;
            case Tensor t -> Values.of(t);
            case Float f -> Values.of(Double.parseDouble(f.toString())); // 0.1, not 0.10000000149
            case Number n -> Values.of(n.doubleValue());
            case double[] v -> Values.of(v);
            default -> throw new IllegalArgumentException("no values: " + o);
        };
    }

    Explanation tell() {
        return new Explanation(name, title, idea, steps);
    }
}
