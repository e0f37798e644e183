package dev.deckle.reward;

import java.math.BigInteger;
import java.util.Optional;

/// Calculations of integers in a text: `+ - * /`, parentheses and signs, with the usual precedence, exactly.
///
/// `×`, `÷` and `−` are read as well. A recursive descent over one stretch of text; where an operator has no right
/// operand the calculation ends before it, as in `12+7-`.
final class Arithmetic {
    private static final String SYMBOLS = "+-*/()\u00d7\u00f7\u2212";
    private static final int DEEPEST = 100;

    private final String text;
    private int at;
    private int depth;
    private int operators;
    private boolean byZero;

    private Arithmetic(String text) {
        this.text = text;
    }

    /// The value of the last calculation in `text` with at least one operator: `12+7=`, `What is (1 + 2) * 3?`. Empty
    /// where there is none or it divides by zero. It begins as early and ends as late as it can among digits, symbols
    /// and blanks.
    static Optional<Rational> last(String text) {
        Optional<Rational> last = Optional.empty();
        for (int start = 0; start < text.length();) {
            int end = start;
            while (end < text.length() && belongs(text.charAt(end))) {
                end++;
            }
            Arithmetic stretch = new Arithmetic(text.substring(start, end));
            for (int from = 0; from < end - start;) {
                stretch.at = from;
                stretch.operators = 0;
                stretch.byZero = false;
                Rational value = stretch.sum();
                if (value != null && stretch.operators > 0) {
                    last = stretch.byZero ? Optional.empty() : Optional.of(value);
                    from = stretch.at;
                } else {
                    from = stretch.behindNumber(from);
                }
            }
            start = end + 1;
        }
        return last;
    }

    private static boolean belongs(char c) {
        return isDigit(c) || c == ' ' || c == '\t' || SYMBOLS.indexOf(c) >= 0;
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    /// The next place where a calculation may begin: no number is cut in two.
    private int behindNumber(int from) {
        int i = from;
        while (i < text.length() && isDigit(text.charAt(i))) {
            i++;
        }
        return Math.max(i, from + 1);
    }

    /// sum := product (("+" | "-") product)*; null where there is none.
    private Rational sum() {
        Rational value = product();
        while (value != null) {
            int before = at;
            int operatorsBefore = operators;
            char operator = operator("+", "-\u2212");
            Rational right = operator == 0 ? null : product();
            if (right == null) {
                at = before;
                operators = operatorsBefore;
                return value;
            }
            operators++;
            value = value.plus(operator == '+' ? right : right.negate());
        }
        return null;
    }

    /// product := signed (("*" | "/") signed)*
    private Rational product() {
        Rational value = signed();
        while (value != null) {
            int before = at;
            int operatorsBefore = operators;
            char operator = operator("*\u00d7", "/\u00f7");
            Rational right = operator == 0 ? null : signed();
            if (right == null) {
                at = before;
                operators = operatorsBefore;
                return value;
            }
            operators++;
            value = operator == '*' ? value.times(right) : over(value, right);
        }
        return null;
    }

    /// Where the divisor is 0 there is no value, but the calculation is still to be read to its end.
    private Rational over(Rational value, Rational divisor) {
        if (divisor.numerator().signum() == 0) {
            byZero = true;
            return value;
        }
        return value.over(divisor);
    }

    /// signed := ("+" | "-") signed | "(" sum ")" | digits
    private Rational signed() {
        if (depth == DEEPEST) {
            return null;
        }
        depth++;
        try {
            char sign = operator("+", "-\u2212");
            if (sign != 0) {
                Rational value = signed();
                return value == null || sign == '+' ? value : value.negate();
            }
            if (accept("(")) {
                Rational value = sum();
                return value != null && accept(")") ? value : null;
            }
            blanks();
            int start = at;
            at = isDigit(current()) ? behindNumber(at) : at;
            return at == start ? null : Rational.of(new BigInteger(text.substring(start, at)));
        } finally {
            depth--;
        }
    }

    /// The first symbol of the class that follows, or 0.
    private char operator(String one, String other) {
        return accept(one) ? one.charAt(0) : accept(other) ? other.charAt(0) : 0;
    }

    private boolean accept(String symbols) {
        blanks();
        boolean there = symbols.indexOf(current()) >= 0;
        at += there ? 1 : 0;
        return there;
    }

    private void blanks() {
        while (current() == ' ' || current() == '\t') {
            at++;
        }
    }

    private char current() {
        return at < text.length() ? text.charAt(at) : 0;
    }
}
