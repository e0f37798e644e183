package dev.deckle.jinja;

import com.google.gson.JsonObject;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/// A template, read once and rendered as often as one likes.
///
/// **Goal.** To print what Jinja2 3.1 prints in an immutable sandbox with `trim_blocks`, `lstrip_blocks`, loop controls
/// and Python's `json.dumps` as `tojson`: values as Python prints them, down to the quotes of a list of strings.
///
/// **Structure.** A [Lexer] that knows about white space, a recursive descent [Parser] to sealed records ([Expr],
/// [Statement]), an [Interpreter] that walks them. Values are a sealed [Value] whose `equals` is Python's `==`;
/// filters, tests and methods stand in tables.
///
/// **Safety.** A template comes with a model, from a stranger. It sees the variables that it is given and nothing of
/// Java; steps, text, output and depth are bounded. Not supported, each with a line that says so: inheritance, imports,
/// `autoescape`, and filters that nobody needs in a prompt.
///
/// ```java
/// Template t = Template.parse("greeting", "Hello {{ name | title }}!");
/// t.render(variables, Map.of());
/// ```
public final class Template {
    private static final String DEEP = "nested too deeply";

    private final String name;
    private final List<Statement> body;

    private Template(String name, List<Statement> body) {
        this.name = name;
        this.body = body;
    }

    /// @param name what messages call it
    /// @throws TemplateException if `source` is no template; the message names the line
    public static Template parse(String name, String source) {
        try {
            return new Template(name, Parser.parse(name, source));
        } catch (StackOverflowError _) {
            throw new TemplateException(name + ": " + DEEP);
        }
    }

    /// What a template made.
    ///
    /// @param generated where the text of its `{% generation %}` blocks begins and ends, in turn, in characters; empty
    ///     where there are none, or one of them stands in a macro or in another block that becomes a value
    public record Rendered(String text, List<Integer> generated) {
        public Rendered {
            generated = List.copyOf(generated);
        }
    }

    /// The text that the template makes of `variables`.
    ///
    /// @param functions what it may call beside Jinja's own: functions of one value, which they get as it prints
    /// @throws TemplateException if it cannot be rendered, or a function refuses; the message names the line
    public String render(JsonObject variables, Map<String, UnaryOperator<String>> functions) {
        return rendered(variables, functions).text();
    }

    /// The same, with the places of what it marks.
    public Rendered rendered(JsonObject variables, Map<String, UnaryOperator<String>> functions) {
        try {
            Map<String, Value> values = new HashMap<>();
            variables.asMap().forEach((key, value) -> values.put(key, Value.of(value)));
            Map<String, Value> callable = new HashMap<>();
            functions.forEach((key, function) -> callable.put(key, new Value.Function(key, (in, args) -> {
                List<Value> all = new java.util.ArrayList<>(args.positional());
                all.addAll(args.named().values());
                if (all.size() != 1) {
                    throw new TemplateException(key + "() takes one argument, " + all.size() + " were given");
                }
                return Value.of(function.apply(in.text(all.getFirst())));
            })));
            return new Interpreter(name, values, callable).render(body);
        } catch (StackOverflowError _) {
            throw new TemplateException(name + ": " + DEEP);
        }
    }
}
