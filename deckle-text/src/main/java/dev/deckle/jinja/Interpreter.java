package dev.deckle.jinja;

import dev.deckle.jinja.Statement.Target;
import dev.deckle.jinja.Value.Dict;
import dev.deckle.jinja.Value.Kind;
import dev.deckle.jinja.Value.Seq;
import dev.deckle.jinja.Value.Undefined;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// One rendering: walks the statements, evaluates the expressions, and keeps count of what it costs.
///
/// **Scopes** are Jinja's: a loop, a macro, `with`, and each block that becomes a value have one of their own, in which
/// `set` puts its names; `if` has none. Macros see the scope they stand in, as it is when they are called.
///
/// **Limits.** Templates are strangers' programs. Each step costs, and so does each character or item that a step
/// makes; depth of nesting and length of what is printed are bounded as well.
final class Interpreter {
    private static final long MOST_WORK = 100_000_000;
    private static final int LONGEST_OUTPUT = 1 << 26;
    private static final int DEEPEST = 1_000;

    private enum Flow {
        NEXT,
        BREAK,
        CONTINUE
    }

    /// Names and values, and where to look for others.
    private static final class Scope {
        private final Map<String, Value> values;
        private final Scope outer;

        private Scope(Map<String, Value> values, Scope outer) {
            this.values = values;
            this.outer = outer;
        }

        private Value get(String name) {
            for (Scope s = this; s != null; s = s.outer) {
                Value value = s.values.get(name);
                if (value != null) {
                    return value;
                }
            }
            return new Undefined("'" + name + "' is undefined");
        }
    }

    private final String template;
    private Scope scope;
    private StringBuilder out = new StringBuilder();
    private final StringBuilder page = out; // what is printed at the end; `out` may be a part that becomes a value
    private final List<Integer> generated = new ArrayList<>();
    private boolean scattered;
    private long work;
    private int depth;

    Interpreter(String template, Map<String, Value> variables, Map<String, Value> functions) {
        this.template = template;
        Scope globals = new Scope(functions, new Scope(Globals.TABLE, null));
        scope = new Scope(new HashMap<>(), new Scope(variables, globals));
    }

    Template.Rendered render(List<Statement> body) {
        run(body);
        return new Template.Rendered(out.toString(), scattered ? List.of() : generated);
    }

    /// Pays for work. A step costs about 8, a character or a walk past an item 1.
    void spend(long cost) {
        work += cost;
        if (work > MOST_WORK) {
            throw new TemplateException("the template takes too many steps, or makes too much text");
        }
    }

    private void print(CharSequence text) {
        spend(text.length());
        out.append(text);
        if (out.length() > LONGEST_OUTPUT) {
            throw new TemplateException("the template prints more than " + LONGEST_OUTPUT + " characters");
        }
    }

    private void deeper() {
        spend(8);
        if (++depth > DEEPEST) {
            throw new TemplateException("nested more than " + DEEPEST + " levels deep");
        }
    }

    /// What Python's `str` makes of a value.
    String text(Value value) {
        if (value instanceof Text t) {
            return t.string;
        }
        var text = new StringBuilder();
        new Printer(this, text).str(value);
        return text.toString();
    }

    String repr(Value value) {
        var text = new StringBuilder();
        new Printer(this, text).repr(value);
        return text.toString();
    }

    private Flow run(List<Statement> body) {
        for (Statement statement : body) {
            try {
                deeper();
                Flow flow = run(statement);
                depth--;
                if (flow != Flow.NEXT) {
                    return flow;
                }
            } catch (TemplateException e) {
                throw e.at(template, statement.line());
            }
        }
        return Flow.NEXT;
    }

    private Flow run(Statement statement) {
        switch (statement) {
            case Statement.Data d -> print(d.text());
            case Statement.Print p -> print(text(eval(p.value())));
            case Statement.If i -> {
                return branch(i);
            }
            case Statement.For f -> loop(f, eval(f.over()), 0);
            case Statement.Set s -> assign(s.target(), eval(s.value()));
            case Statement.SetBlock s -> {
                Value text = Value.of(captured(scope, s.body()));
                assign(s.target(), s.filter().isPresent() ? filtered(s.filter().get(), text) : text);
            }
            case Statement.With w -> with(w);
            case Statement.MacroOf m -> scope.values.put(m.signature().name(), new Macro(m.signature(), scope));
            case Statement.CallBlock c -> {
                Args args = args(c.call().arguments());
                var named = new LinkedHashMap<>(args.named());
                named.put("caller", new Macro(c.caller(), scope));
                print(text(call(eval(c.call().function()), new Args(args.positional(), named))));
            }
            case Statement.FilterBlock f -> print(text(filtered(f.filter(), Value.of(captured(scope, f.body())))));
            case Statement.Generation g -> {
                String text = captured(scope, g.body());
                scattered |= out != page; // where a value ends up on the page is not known yet
                generated.add(out.length());
                print(text);
                generated.add(out.length());
            }
            case Statement.Break _ -> {
                return Flow.BREAK;
            }
            case Statement.Continue _ -> {
                return Flow.CONTINUE;
            }
        }
        return Flow.NEXT;
    }

    private Flow branch(Statement.If branches) {
        for (int i = 0; i < branches.branches().size(); i++) {
            if (i == branches.tests().size() || Operators.truth(eval(branches.tests().get(i)))) {
                return run(branches.branches().get(i));
            }
        }
        return Flow.NEXT;
    }

    private void with(Statement.With with) {
        var inner = new Scope(new HashMap<>(), scope);
        for (int i = 0; i < with.targets().size(); i++) {
            Value value = eval(with.values().get(i));
            assign(inner, with.targets().get(i), value);
        }
        Scope outer = scope;
        scope = inner;
        run(with.body());
        scope = outer;
    }

    /// What `body` prints in a scope of its own.
    private String captured(Scope around, List<Statement> body) {
        Scope outerScope = scope;
        StringBuilder outerOut = out;
        scope = new Scope(new HashMap<>(), around);
        out = new StringBuilder();
        run(body);
        String text = out.toString();
        scope = outerScope;
        out = outerOut;
        return text;
    }

    private void loop(Statement.For f, Value over, int level) {
        Scope outer = scope;
        Iterator<Value> items = Operators.iterate(over);
        boolean sized = over instanceof Seq && f.test().isEmpty();
        if (f.test().isPresent()) {
            items = Iterators.filter(items, item -> inScope(outer, f.target(), item, f.test().get()));
        }
        var loop = new Loop(items, sized ? ((Seq) over).items().size() : -1, level, inner -> {
            if (!f.recursive()) {
                throw new TemplateException("The loop must have the 'recursive' marker to be called recursively.");
            }
            return Value.of(capturedLoop(f, outer, inner, level + 1));
        });
        boolean finished = false; // whether a body was run to its end: Jinja's `else` asks no more
        Flow flow = Flow.NEXT;
        while (flow != Flow.BREAK && loop.hasNext()) {
            spend(16); // also where the body is empty
            scope = new Scope(new HashMap<>(), outer);
            scope.values.put("loop", loop);
            assign(f.target(), loop.next());
            flow = run(f.body());
            finished |= flow == Flow.NEXT;
        }
        scope = outer;
        if (!finished && !f.otherwise().isEmpty()) {
            scope = new Scope(new HashMap<>(), outer);
            run(f.otherwise());
            scope = outer;
        }
    }

    private boolean inScope(Scope outer, Target target, Value item, Expr test) {
        Scope current = scope;
        scope = new Scope(new HashMap<>(), outer);
        assign(target, item);
        boolean passes = Operators.truth(eval(test));
        scope = current;
        return passes;
    }

    private String capturedLoop(Statement.For f, Scope outer, Value over, int level) {
        Scope current = scope;
        StringBuilder outerOut = out;
        scope = outer;
        out = new StringBuilder();
        deeper();
        loop(f, over, level);
        depth--;
        String text = out.toString();
        scope = current;
        out = outerOut;
        return text;
    }

    private void assign(Target target, Value value) {
        assign(scope, target, value);
    }

    private void assign(Scope to, Target target, Value value) {
        switch (target) {
            case Target.Variable v -> to.values.put(v.name(), value);
            case Target.Member m -> {
                if (!(scope.get(m.namespace()) instanceof Namespace n)) {
                    throw new TemplateException("cannot assign attribute on non-namespace object");
                }
                n.attributes().put(m.name(), value);
            }
            case Target.Unpack u -> {
                List<Value> items = Operators.items(this, value);
                if (items.size() != u.targets().size()) {
                    throw new TemplateException((items.size() < u.targets().size() ? "not enough" : "too many")
                            + " values to unpack: " + items.size() + " for " + u.targets().size() + " names");
                }
                for (int i = 0; i < items.size(); i++) {
                    assign(to, u.targets().get(i), items.get(i));
                }
            }
        }
    }

    /// A macro, or the body of a call block.
    private final class Macro implements Value.Thing {
        private final Statement.Signature signature;
        private final Scope home;

        private Macro(Statement.Signature signature, Scope home) {
            this.signature = signature;
            this.home = home;
        }

        @Override
        public String type() {
            return "Macro";
        }

        @Override
        public Value attribute(String name) {
            return name.equals("name") ? Value.of(signature.name()) : Thing.super.attribute(name);
        }

        @Override
        public Value call(Interpreter in, Args args) {
            Scope caller = scope;
            scope = new Scope(new HashMap<>(), home);
            var named = new LinkedHashMap<>(args.named());
            List<String> parameters = signature.parameters();
            int given = args.positional().size();
            int required = parameters.size() - signature.defaults().size();
            if (signature.names().contains("caller") && !parameters.contains("caller")) {
                Value passed = named.remove("caller");
                scope.values.put("caller", passed != null ? passed : new Undefined("No caller defined"));
            }
            for (int i = 0; i < parameters.size(); i++) {
                Value value = i < given ? args.positional().get(i) : named.remove(parameters.get(i));
                if (value == null) {
                    value = i < required
                            ? new Undefined("parameter '" + parameters.get(i) + "' was not provided")
                            : eval(signature.defaults().get(i - required));
                }
                scope.values.put(parameters.get(i), value);
            }
            if (signature.names().contains("varargs")) {
                List<Value> rest = args.positional().subList(Math.min(given, parameters.size()), given);
                scope.values.put("varargs", Seq.of(Kind.TUPLE, rest));
            } else if (given > parameters.size()) {
                throw new TemplateException("macro '" + signature.name() + "' takes not more than "
                        + parameters.size() + " argument(s)");
            }
            if (signature.names().contains("kwargs")) {
                scope.values.put("kwargs", Dict.named(named));
            } else if (!named.isEmpty()) {
                throw new TemplateException("macro '" + signature.name() + "' takes no keyword argument '"
                        + named.keySet().iterator().next() + "'");
            }
            String text = captured(scope, signature.body());
            scope = caller;
            return Value.of(text);
        }
    }

    Value eval(Expr expr) {
        deeper();
        Value value = switch (expr) {
            case Expr.Constant c -> c.value();
            case Expr.Name n -> scope.get(n.name());
            case Expr.ListOf l -> Seq.list(evalAll(l.items()));
            case Expr.TupleOf t -> Seq.of(Kind.TUPLE, evalAll(t.items()));
            case Expr.DictOf d -> dict(d);
            case Expr.Attribute a -> Access.attribute(eval(a.of()), a.name());
            case Expr.Item i -> Access.item(this, eval(i.of()), eval(i.key()));
            case Expr.Slice s -> Access.slice(this, eval(s.of()), bound(s.from()), bound(s.to()), bound(s.step()));
            case Expr.Call c -> call(eval(c.function()), args(c.arguments()));
            case Expr.Filter f -> Filters.apply(this, f.name(), eval(f.of().orElseThrow()), args(f.arguments()));
            case Expr.Test t -> Value.of(Tests.test(this, t.name(), eval(t.of()), args(t.arguments())));
            case Expr.Sign s -> Operators.signed(eval(s.of()), s.negative());
            case Expr.Not n -> Value.of(!Operators.truth(eval(n.of())));
            case Expr.And a -> {
                Value left = eval(a.left());
                yield Operators.truth(left) ? eval(a.right()) : left;
            }
            case Expr.Or o -> {
                Value left = eval(o.left());
                yield Operators.truth(left) ? left : eval(o.right());
            }
            case Expr.Binary b -> Operators.binary(this, b.operator(), eval(b.left()), eval(b.right()));
            case Expr.Compare c -> compare(c);
            case Expr.Concat c -> {
                var text = new StringBuilder();
                for (Value part : evalAll(c.parts())) {
                    new Printer(this, text).str(part);
                }
                spend(text.length());
                yield Value.of(text.toString());
            }
            case Expr.Conditional c -> {
                if (Operators.truth(eval(c.test()))) {
                    yield eval(c.then());
                }
                yield c.otherwise().isPresent()
                        ? eval(c.otherwise().get())
                        : new Undefined("the inline if-expression on line " + c.line()
                                + " evaluated to false and no else section was defined.");
            }
        };
        depth--;
        return value;
    }

    private List<Value> evalAll(List<Expr> exprs) {
        var values = new ArrayList<Value>(exprs.size());
        for (Expr e : exprs) {
            values.add(eval(e));
        }
        return values;
    }

    private Optional<Value> bound(Optional<Expr> bound) {
        return bound.map(this::eval).filter(value -> value != Value.None.NONE);
    }

    private Value dict(Expr.DictOf d) {
        var map = new LinkedHashMap<Value, Value>();
        for (int i = 0; i < d.keys().size(); i++) {
            map.put(Operators.hashable(eval(d.keys().get(i))), eval(d.values().get(i)));
        }
        return Dict.of(map);
    }

    private Value compare(Expr.Compare c) {
        Value left = eval(c.first());
        for (int i = 0; i < c.operators().size(); i++) {
            Value right = eval(c.others().get(i));
            if (!Operators.compare(this, c.operators().get(i), left, right)) {
                return Value.of(false);
            }
            left = right;
        }
        return Value.of(true);
    }

    private Value call(Value function, Args args) {
        Operators.defined(function);
        if (function instanceof Value.Thing t) {
            return t.call(this, args);
        }
        throw new TemplateException("'" + function.type() + "' object is not callable");
    }

    /// The filters of a block, applied to what it printed: the innermost has no subject of its own.
    private Value filtered(Expr.Filter f, Value text) {
        Value of = f.of().isEmpty() ? text : filtered((Expr.Filter) f.of().get(), text);
        return Filters.apply(this, f.name(), of, args(f.arguments()));
    }

    private Args args(Expr.Arguments arguments) {
        List<Value> positional = evalAll(arguments.positional());
        Map<String, Value> named = new LinkedHashMap<>();
        for (int i = 0; i < arguments.names().size(); i++) {
            named.put(arguments.names().get(i), eval(arguments.named().get(i)));
        }
        arguments.positionals().ifPresent(star -> positional.addAll(Operators.items(this, eval(star))));
        if (arguments.nameds().isPresent()) {
            if (!(eval(arguments.nameds().get()) instanceof Dict d)) {
                throw new TemplateException("the argument after ** must be a mapping");
            }
            d.map().forEach((key, value) -> named.put(Args.text(key), value));
        }
        return new Args(positional, named);
    }
}
