package dev.deckle.jinja;

import dev.deckle.jinja.Expr.Arguments;
import dev.deckle.jinja.Token.Kind;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// Tokens to expressions, by recursive descent: one method a level of precedence, the loosest first.
class ExpressionParser {
    private static final int DEEPEST = 120;

    private final String name;
    private final List<Token> tokens;
    private int at;
    private int depth;

    /// Every name that is read in what is being parsed.
    Set<String> names = new HashSet<>();

    ExpressionParser(String name, List<Token> tokens) {
        this.name = name;
        this.tokens = tokens;
    }

    final Token peek() {
        return tokens.get(at);
    }

    final Token next() {
        Token token = peek();
        if (token.kind() != Kind.END) {
            at++;
        }
        return token;
    }

    final boolean skip(String operator) {
        return peek().is(operator) && next() != null;
    }

    final boolean skipName(String word) {
        return peek().names(word) && next() != null;
    }

    final Token expect(Kind kind) {
        if (peek().kind() != kind) {
            throw failure("expected " + new Token(kind, "a name", 0).described() + ", got " + peek().described());
        }
        return next();
    }

    final void expect(String operator) {
        if (!skip(operator)) {
            throw failure("expected '" + operator + "', got " + peek().described());
        }
    }

    final void expectName(String word) {
        if (!skipName(word)) {
            throw failure("expected '" + word + "', got " + peek().described());
        }
    }

    final TemplateException failure(String message) {
        return new TemplateException(message).at(name, tokens.get(Math.max(0, at - 1)).line());
    }

    /// Parsing recurses as deep as the source nests, and the source is a stranger's.
    final void deeper() {
        if (++depth > DEEPEST) {
            throw failure("nested more than " + DEEPEST + " levels deep");
        }
    }

    final void shallower() {
        depth--;
    }

    /// One expression, or several with commas between them: a tuple.
    final Expr tuple(boolean conditional) {
        Expr first = conditional ? expression() : or();
        if (!peek().is(",")) {
            return first;
        }
        var items = new ArrayList<>(List.of(first));
        while (skip(",") && !endsTuple()) {
            items.add(conditional ? expression() : or());
        }
        return new Expr.TupleOf(items);
    }

    private boolean endsTuple() {
        Kind kind = peek().kind();
        return kind == Kind.VARIABLE_END || kind == Kind.BLOCK_END || peek().is(")") || peek().names("recursive");
    }

    final Expr expression() {
        deeper();
        Expr value = or();
        while (peek().names("if")) {
            int line = next().line();
            Expr test = or();
            Optional<Expr> otherwise = skipName("else") ? Optional.of(expression()) : Optional.empty();
            value = new Expr.Conditional(test, value, otherwise, line);
        }
        shallower();
        return value;
    }

    private Expr or() {
        Expr left = and();
        while (skipName("or")) {
            left = new Expr.Or(left, and());
        }
        return left;
    }

    private Expr and() {
        Expr left = not();
        while (skipName("and")) {
            left = new Expr.And(left, not());
        }
        return left;
    }

    private Expr not() {
        if (!skipName("not")) {
            return compare();
        }
        deeper();
        Expr of = not();
        shallower();
        return new Expr.Not(of);
    }

    private Expr compare() {
        Expr first = sum();
        var operators = new ArrayList<String>();
        var others = new ArrayList<Expr>();
        while (true) {
            Token token = peek();
            if (token.kind() == Kind.OPERATOR && Set.of("==", "!=", "<", "<=", ">", ">=").contains(token.text())
                    || token.names("in")) {
                operators.add(next().text());
            } else if (token.names("not") && tokens.get(at + 1).names("in")) {
                at += 2;
                operators.add("not in");
            } else {
                return operators.isEmpty() ? first : new Expr.Compare(first, operators, others);
            }
            others.add(sum());
        }
    }

    private Expr sum() {
        Expr left = concat();
        while (peek().is("+") || peek().is("-")) {
            left = new Expr.Binary(next().text(), left, concat());
        }
        return left;
    }

    private Expr concat() {
        Expr first = product();
        if (!peek().is("~")) {
            return first;
        }
        var parts = new ArrayList<>(List.of(first));
        while (skip("~")) {
            parts.add(product());
        }
        return new Expr.Concat(parts);
    }

    private Expr product() {
        Expr left = power();
        while (peek().is("*") || peek().is("/") || peek().is("//") || peek().is("%")) {
            left = new Expr.Binary(next().text(), left, power());
        }
        return left;
    }

    /// Jinja's own rule: from the left, and a sign binds closer.
    private Expr power() {
        Expr left = unary(true);
        while (skip("**")) {
            left = new Expr.Binary("**", left, unary(true));
        }
        return left;
    }

    private Expr unary(boolean filtered) {
        deeper();
        Expr value;
        if (peek().is("-") || peek().is("+")) {
            boolean negative = next().is("-");
            value = new Expr.Sign(unary(false), negative);
        } else {
            value = primary();
        }
        value = postfix(value);
        shallower();
        return filtered ? filters(value) : value;
    }

    private Expr primary() {
        Token token = next();
        return switch (token.kind()) {
            case NAME -> switch (token.text()) {
                case "true", "True" -> new Expr.Constant(Value.of(true));
                case "false", "False" -> new Expr.Constant(Value.of(false));
                case "none", "None" -> new Expr.Constant(Value.None.NONE);
                default -> {
                    names.add(token.text());
                    yield new Expr.Name(token.text());
                }
            };
            case STRING -> {
                var text = new StringBuilder(token.text());
                while (peek().kind() == Kind.STRING) {
                    text.append(next().text());
                }
                yield new Expr.Constant(Value.of(text.toString()));
            }
            case INTEGER -> new Expr.Constant(integer(token.text()));
            case FLOAT -> new Expr.Constant(new Value.Real(Double.parseDouble(token.text())));
            case OPERATOR -> switch (token.text()) {
                case "(" -> parentheses();
                case "[" -> new Expr.ListOf(items("]"));
                case "{" -> dict();
                default -> throw failure("unexpected " + token.described());
            };
            default -> throw failure("expected an expression, got " + token.described());
        };
    }

    private Expr parentheses() {
        Expr inner = peek().is(")") ? new Expr.TupleOf(List.of()) : tuple(true);
        expect(")");
        return inner;
    }

    private List<Expr> items(String end) {
        var items = new ArrayList<Expr>();
        while (!skip(end)) {
            items.add(expression());
            if (!peek().is(end)) {
                expect(",");
            }
        }
        return items;
    }

    private Expr dict() {
        var keys = new ArrayList<Expr>();
        var values = new ArrayList<Expr>();
        while (!skip("}")) {
            keys.add(expression());
            expect(":");
            values.add(expression());
            if (!peek().is("}")) {
                expect(",");
            }
        }
        return new Expr.DictOf(keys, values);
    }

    private Value integer(String digits) {
        int radix = digits.length() < 2 ? 10 : switch (digits.charAt(1)) {
            case 'x', 'X' -> 16;
            case 'o', 'O' -> 8;
            case 'b', 'B' -> 2;
            default -> 10;
        };
        if (digits.length() > 2 + Value.Int.MOST_DIGITS) {
            throw failure("an integer of " + digits.length() + " digits is too large");
        }
        try {
            return new Value.Int(new BigInteger(radix == 10 ? digits : digits.substring(2), radix));
        } catch (TemplateException e) {
            throw failure(e.getMessage());
        }
    }

    private Expr postfix(Expr value) {
        while (true) {
            if (skip(".")) {
                Token key = next();
                value = switch (key.kind()) {
                    case NAME -> new Expr.Attribute(value, key.text());
                    case INTEGER -> new Expr.Item(value, new Expr.Constant(integer(key.text())));
                    default -> throw failure("expected name or number, got " + key.described());
                };
            } else if (skip("[")) {
                value = subscript(value);
            } else if (peek().is("(")) {
                value = new Expr.Call(value, arguments());
            } else {
                return value;
            }
        }
    }

    private Expr subscript(Expr of) {
        Optional<Expr> from = peek().is(":") ? Optional.empty() : Optional.of(expression());
        if (!skip(":")) {
            Expr key = from.orElseThrow();
            if (peek().is(",")) {
                var keys = new ArrayList<>(List.of(key));
                while (skip(",")) {
                    keys.add(expression());
                }
                key = new Expr.TupleOf(keys);
            }
            expect("]");
            return new Expr.Item(of, key);
        }
        Optional<Expr> to = peek().is(":") || peek().is("]") ? Optional.empty() : Optional.of(expression());
        Optional<Expr> step = skip(":") && !peek().is("]") ? Optional.of(expression()) : Optional.empty();
        expect("]");
        return new Expr.Slice(of, from, to, step);
    }

    private Expr filters(Expr value) {
        while (true) {
            if (peek().is("|")) {
                value = filter(Optional.of(value), false);
            } else if (peek().names("is")) {
                value = test(value);
            } else if (peek().is("(")) {
                value = new Expr.Call(value, arguments());
            } else {
                return value;
            }
        }
    }

    /// Filters one after another; of the first the bar may have been left out.
    final Expr.Filter filter(Optional<Expr> of, boolean barred) {
        Expr.Filter filter = null;
        while (barred || skip("|")) {
            barred = false;
            String filterName = dotted();
            Arguments arguments = peek().is("(") ? arguments() : Arguments.NONE;
            filter = new Expr.Filter(filter == null ? of : Optional.of(filter), filterName, arguments);
        }
        return filter;
    }

    private Expr test(Expr of) {
        next();
        boolean negated = skipName("not");
        String testName = dotted();
        Arguments arguments = Arguments.NONE;
        Token token = peek();
        if (token.is("(")) {
            arguments = arguments();
        } else if (startsArgument(token)) {
            if (token.names("is")) {
                throw failure("You cannot chain multiple tests with is");
            }
            deeper();
            Expr only = postfix(primary());
            shallower();
            arguments = new Arguments(List.of(only), List.of(), List.of(), Optional.empty(), Optional.empty());
        }
        Expr test = new Expr.Test(of, testName, arguments);
        return negated ? new Expr.Not(test) : test;
    }

    private static boolean startsArgument(Token token) {
        return switch (token.kind()) {
            case NAME -> !Set.of("else", "or", "and").contains(token.text());
            case STRING, INTEGER, FLOAT -> true;
            default -> token.is("[") || token.is("{");
        };
    }

    private String dotted() {
        var dotted = new StringBuilder(expect(Kind.NAME).text());
        while (skip(".")) {
            dotted.append('.').append(expect(Kind.NAME).text());
        }
        return dotted.toString();
    }

    private Arguments arguments() {
        expect("(");
        var positional = new ArrayList<Expr>();
        var argumentNames = new ArrayList<String>();
        var named = new ArrayList<Expr>();
        Optional<Expr> positionals = Optional.empty();
        Optional<Expr> nameds = Optional.empty();
        while (!skip(")")) {
            boolean late = positionals.isPresent() || nameds.isPresent();
            if (peek().is("*") && !late) {
                next();
                positionals = Optional.of(expression());
            } else if (peek().is("**") && nameds.isEmpty()) {
                next();
                nameds = Optional.of(expression());
            } else if (peek().kind() == Kind.NAME && tokens.get(at + 1).is("=") && nameds.isEmpty()) {
                argumentNames.add(next().text());
                next();
                named.add(expression());
            } else if (!late && named.isEmpty()) {
                positional.add(expression());
            } else {
                throw failure("invalid syntax for function call expression");
            }
            if (!peek().is(")")) {
                expect(",");
            }
        }
        return new Arguments(positional, argumentNames, named, positionals, nameds);
    }
}
