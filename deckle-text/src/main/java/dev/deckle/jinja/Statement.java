package dev.deckle.jinja;

import java.util.List;
import java.util.Optional;

/// A statement, and the line on which it begins.
sealed interface Statement {
    int line();

    record Data(String text, int line) implements Statement {}

    record Print(Expr value, int line) implements Statement {}

    record For(
            Target target,
            Expr over,
            Optional<Expr> test,
            boolean recursive,
            List<Statement> body,
            List<Statement> otherwise,
            int line)
            implements Statement {}

    /// One branch more than tests where there is an `else`.
    record If(List<Expr> tests, List<List<Statement>> branches, int line) implements Statement {}

    record Set(Target target, Expr value, int line) implements Statement {}

    /// What its body prints becomes the value, through the filters if there are any.
    record SetBlock(Target target, Optional<Expr.Filter> filter, List<Statement> body, int line) implements Statement {}

    record With(List<Target> targets, List<Expr> values, List<Statement> body, int line) implements Statement {}

    record MacroOf(Signature signature, int line) implements Statement {}

    record CallBlock(Expr.Call call, Signature caller, int line) implements Statement {}

    record FilterBlock(Expr.Filter filter, List<Statement> body, int line) implements Statement {}

    /// `{% generation %}`: a scope of its own, printed as it is.
    record Generation(List<Statement> body, int line) implements Statement {}

    record Break(int line) implements Statement {}

    record Continue(int line) implements Statement {}

    /// A macro as it is written.
    ///
    /// @param defaults of the last parameters
    /// @param names all names that the body reads: `varargs`, `kwargs` and `caller` are passed to those who ask
    record Signature(
            String name,
            List<String> parameters,
            List<Expr> defaults,
            List<Statement> body,
            java.util.Set<String> names) {}

    /// Where a value goes.
    sealed interface Target {
        record Variable(String name) implements Target {}

        record Member(String namespace, String name) implements Target {}

        record Unpack(List<Target> targets) implements Target {}
    }
}
