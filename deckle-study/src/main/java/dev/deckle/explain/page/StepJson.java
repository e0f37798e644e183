package dev.deckle.explain.page;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Step;
import dev.deckle.explain.Values;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// An explanation for programs: one object a step.
///
/// `part` is the part's name, `step` counts from 1, `kind` is one of `input`, `step`, `output`, `gradient`, `mistake`;
/// `title`, `formula` and `note` are text; `tensors` maps a name to its `shape` and its `values`, flat in row-major
/// order, and to its `axes`, the names of its dimensions, where they have any. JSON has no numbers that are not finite:
/// they are the strings `"Infinity"`, `"-Infinity"` and `"NaN"`.
public final class StepJson {
    private StepJson() {}

    public static List<JsonObject> of(Explanation explanation) {
        List<JsonObject> lines = new ArrayList<>();
        for (Step step : explanation.steps()) {
            JsonObject line = new JsonObject();
            line.addProperty("part", explanation.name());
            line.addProperty("step", lines.size() + 1);
            line.addProperty("kind", step.kind().name().toLowerCase(Locale.ROOT));
            line.addProperty("title", step.title());
            line.addProperty("formula", step.formula());
            line.addProperty("note", step.note());
            line.add("tensors", tensors(step.tensors()));
            lines.add(line);
        }
        return lines;
    }

    private static JsonObject tensors(Map<String, Values> named) {
        JsonObject all = new JsonObject();
        named.forEach((name, tensor) -> {
            JsonArray shape = new JsonArray();
            tensor.shape().forEach(shape::add);
            JsonArray values = new JsonArray();
            tensor.values().forEach(v -> values.add(number(v)));
            JsonObject one = new JsonObject();
            one.add("shape", shape);
            one.add("values", values);
            if (!tensor.axes().isEmpty()) {
                JsonArray axes = new JsonArray();
                tensor.axes().forEach(axes::add);
                one.add("axes", axes);
            }
            all.add(name, one);
        });
        return all;
    }

    private static JsonPrimitive number(double x) {
        if (!Double.isFinite(x)) {
            return new JsonPrimitive(Double.toString(x));
        }
        boolean whole = Numbers.exact(x).indexOf('.') < 0; // 5, not 5.0
        return whole ? new JsonPrimitive((long) x) : new JsonPrimitive(x);
    }
}
