package dev.deckle.jinja;

import java.util.List;
import java.util.Optional;

/// An expression.
sealed interface Expr {
    record Constant(Value value) implements Expr {}

    record Name(String name) implements Expr {}

    record ListOf(List<Expr> items) implements Expr {}

    record TupleOf(List<Expr> items) implements Expr {}

    record DictOf(List<Expr> keys, List<Expr> values) implements Expr {}

    record Attribute(Expr of, String name) implements Expr {}

    record Item(Expr of, Expr key) implements Expr {}

    record Slice(Expr of, Optional<Expr> from, Optional<Expr> to, Optional<Expr> step) implements Expr {}

    record Call(Expr function, Arguments arguments) implements Expr {}

    /// @param of empty at the head of a filter block, whose text it is then applied to
    record Filter(Optional<Expr> of, String name, Arguments arguments) implements Expr {}

    record Test(Expr of, String name, Arguments arguments) implements Expr {}

    record Sign(Expr of, boolean negative) implements Expr {}

    record Not(Expr of) implements Expr {}

    record And(Expr left, Expr right) implements Expr {}

    record Or(Expr left, Expr right) implements Expr {}

    /// `+ - * / // % **`
    record Binary(String operator, Expr left, Expr right) implements Expr {}

    /// `a < b <= c`: each operand is evaluated once, and none after the first that fails.
    record Compare(Expr first, List<String> operators, List<Expr> others) implements Expr {}

    record Concat(List<Expr> parts) implements Expr {}

    record Conditional(Expr test, Expr then, Optional<Expr> otherwise, int line) implements Expr {}

    /// What stands in the parentheses of a call.
    record Arguments(
            List<Expr> positional,
            List<String> names,
            List<Expr> named,
            Optional<Expr> positionals,
            Optional<Expr> nameds) {
        static final Arguments NONE =
                new Arguments(List.of(), List.of(), List.of(), Optional.empty(), Optional.empty());
    }
}
