package dev.deckle.jinja;

import dev.deckle.jinja.Statement.Target;
import dev.deckle.jinja.Token.Kind;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/// Tokens to statements; expressions are [ExpressionParser]'s.
final class Parser extends ExpressionParser {
    private int loops;

    private Parser(String name, List<Token> tokens) {
        super(name, tokens);
    }

    static List<Statement> parse(String name, String source) {
        return new Parser(name, Lexer.tokens(name, source)).body(Set.of());
    }

    /// Statements up to a block that begins with one of `ends`, of which the name is the next token.
    private List<Statement> body(Set<String> ends) {
        deeper();
        var body = new ArrayList<Statement>();
        while (true) {
            Token token = next();
            switch (token.kind()) {
                case DATA -> body.add(new Statement.Data(token.text(), token.line()));
                case VARIABLE_BEGIN -> {
                    body.add(new Statement.Print(tuple(true), token.line()));
                    expect(Kind.VARIABLE_END);
                }
                case BLOCK_BEGIN -> {
                    if (peek().kind() == Kind.NAME && ends.contains(peek().text())) {
                        shallower();
                        return body;
                    }
                    body.add(statement());
                    expect(Kind.BLOCK_END);
                }
                default -> {
                    if (!ends.isEmpty()) {
                        throw failure("the template ends before " + String.join(" or ", new TreeSet<>(ends)));
                    }
                    shallower();
                    return body;
                }
            }
        }
    }

    /// The body of a block whose head has been read, and the name that ends it.
    private List<Statement> block(String... ends) {
        skip(":");
        expect(Kind.BLOCK_END);
        return body(Set.of(ends));
    }

    private List<Statement> whole(String end) {
        List<Statement> body = block(end);
        next();
        return body;
    }

    private Statement statement() {
        Token tag = expect(Kind.NAME);
        int line = tag.line();
        return switch (tag.text()) {
            case "for" -> loop(line);
            case "if" -> branches(line);
            case "set" -> set(line);
            case "with" -> with(line);
            case "macro" -> macro(line);
            case "call" -> call(line);
            case "filter" -> new Statement.FilterBlock(filter(Optional.empty(), true), scope("endfilter"), line);
            case "generation" -> new Statement.Generation(scope("endgeneration"), line);
            case "print" -> new Statement.Print(new Expr.Concat(expressions()), line);
            case "break", "continue" -> {
                if (loops == 0) {
                    throw failure(tag.text() + " stands outside of a loop");
                }
                yield tag.text().equals("break") ? new Statement.Break(line) : new Statement.Continue(line);
            }
            case "extends", "include", "import", "from", "block",
                    "autoescape" -> throw failure("the tag '" + tag.text() + "' is not supported");
            default -> throw failure("unknown tag '" + tag.text() + "'");
        };
    }

    private List<Expr> expressions() {
        var all = new ArrayList<>(List.of(expression()));
        while (skip(",")) {
            all.add(expression());
        }
        return all;
    }

    /// A body that becomes a function: a loop around it cannot be left from within.
    private List<Statement> scope(String end) {
        int outer = loops;
        loops = 0;
        List<Statement> body = whole(end);
        loops = outer;
        return body;
    }

    private Statement loop(int line) {
        Target target = target(true);
        expectName("in");
        Expr over = tuple(false);
        Optional<Expr> test = skipName("if") ? Optional.of(expression()) : Optional.empty();
        boolean recursive = skipName("recursive");
        loops++;
        List<Statement> body = block("endfor", "else");
        loops--;
        List<Statement> otherwise = next().names("else") ? whole("endfor") : List.of();
        return new Statement.For(target, over, test, recursive, body, otherwise, line);
    }

    private Statement branches(int line) {
        var tests = new ArrayList<Expr>();
        var branches = new ArrayList<List<Statement>>();
        tests.add(tuple(false));
        while (true) {
            branches.add(block("elif", "else", "endif"));
            Token end = next();
            if (end.names("elif")) {
                tests.add(tuple(false));
                continue;
            }
            if (end.names("else")) {
                branches.add(whole("endif"));
            }
            return new Statement.If(tests, branches, line);
        }
    }

    private Statement set(int line) {
        Target target = target(true);
        if (skip("=")) {
            return new Statement.Set(target, tuple(true), line);
        }
        Optional<Expr.Filter> filter = peek().is("|") ? Optional.of(filter(Optional.empty(), false)) : Optional.empty();
        return new Statement.SetBlock(target, filter, whole("endset"), line);
    }

    private Statement with(int line) {
        var targets = new ArrayList<Target>();
        var values = new ArrayList<Expr>();
        while (peek().kind() != Kind.BLOCK_END) {
            if (!targets.isEmpty()) {
                expect(",");
            }
            targets.add(target(false));
            expect("=");
            values.add(expression());
        }
        return new Statement.With(targets, values, whole("endwith"), line);
    }

    private Statement call(int line) {
        var parameters = new ArrayList<String>();
        var defaults = new ArrayList<Expr>();
        if (peek().is("(")) {
            signature(parameters, defaults);
        }
        if (!(expression() instanceof Expr.Call call)) {
            throw failure("expected call");
        }
        return new Statement.CallBlock(call, function("caller", parameters, defaults, "endcall"), line);
    }

    private Statement macro(int line) {
        String name = expect(Kind.NAME).text();
        var parameters = new ArrayList<String>();
        var defaults = new ArrayList<Expr>();
        signature(parameters, defaults);
        return new Statement.MacroOf(function(name, parameters, defaults, "endmacro"), line);
    }

    private Statement.Signature function(String name, List<String> parameters, List<Expr> defaults, String end) {
        Set<String> outer = names;
        names = new HashSet<>();
        List<Statement> body = scope(end);
        Set<String> own = names;
        outer.addAll(own);
        names = outer;
        return new Statement.Signature(name, parameters, defaults, body, own);
    }

    private void signature(List<String> parameters, List<Expr> defaults) {
        expect("(");
        while (!peek().is(")")) {
            if (!parameters.isEmpty()) {
                expect(",");
            }
            parameters.add(expect(Kind.NAME).text());
            if (skip("=")) {
                defaults.add(expression());
            } else if (!defaults.isEmpty()) {
                throw failure("non-default argument follows default argument");
            }
        }
        expect(")");
    }

    /// A name, a member of a namespace (of `set` only), or several of them.
    private Target target(boolean several) {
        var targets = new ArrayList<Target>();
        boolean tuple = false;
        do {
            if (!targets.isEmpty() && (peek().names("in") || peek().is("=") || peek().is(")"))) {
                break; // a comma at the end
            }
            if (skip("(")) {
                targets.add(target(true));
                expect(")");
            } else {
                targets.add(variable());
            }
            tuple |= several && peek().is(",");
        } while (several && skip(","));
        return tuple ? new Target.Unpack(targets) : targets.getFirst();
    }

    private Target variable() {
        Token token = expect(Kind.NAME);
        if (Set.of("true", "false", "none", "True", "False", "None").contains(token.text())) {
            throw failure("can't assign to " + token.described());
        }
        return skip(".")
                ? new Target.Member(token.text(), expect(Kind.NAME).text())
                : new Target.Variable(token.text());
    }
}
