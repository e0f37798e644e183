package dev.deckle.explain.page;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Locale;

/// How a number is written, for people and for programs.
final class Numbers {
    /// Of a tensor's elements: enough to follow, short enough for a table.
    static final int DECIMALS = 4;
    /// Of a single number, which is often a result to compare with.
    static final int MANY_DECIMALS = 8;
    private static final double DUST = 1e-7; // below it stands what rounding left of a zero: 0.0000
    private static final double LARGE = 1e6;
    private static final double WHOLE_LARGE = 5e18;

    private Numbers() {}

    /// Whole numbers plainly, so that an exact 0 or 1 is told from a rounded one; others with `decimals` digits after
    /// the point, or with an exponent where these would hide what the number is. `nan`, `inf` and `-inf` by name.
    static String text(double x, int decimals) {
        if (Double.isNaN(x)) {
            return "nan";
        }
        if (Double.isInfinite(x)) {
            return x > 0 ? "inf" : "-inf";
        }
        double size = Math.abs(x);
        if (x == Math.rint(x) && size < WHOLE_LARGE) {
            return Long.toString((long) x);
        }
        if (decimals == MANY_DECIMALS && fromFloat(x)) { // it has no more than seven digits that mean something
            String seven = new BigDecimal(x).round(new MathContext(7)).stripTrailingZeros().toPlainString();
            return size >= 1e-4 && size < LARGE ? seven : String.format(Locale.ROOT, "%.6e", x);
        }
        boolean plain = size < DUST || size >= Math.pow(10, 1 - decimals) && size < LARGE;
        return String.format(Locale.ROOT, (plain ? "%." + decimals + "f" : "%." + (decimals - 1) + "e"), x);
    }

    private static boolean fromFloat(double x) {
        return Double.toString(x).equals(Float.toString((float) x));
    }

    /// Everything that a double holds: reading it back gives the same number.
    static String exact(double x) {
        boolean whole = x == Math.rint(x) && Math.abs(x) < WHOLE_LARGE && !isNegativeZero(x);
        return whole ? Long.toString((long) x) : Double.toString(x);
    }

    private static boolean isNegativeZero(double x) {
        return x == 0 && 1 / x < 0;
    }

    /// Whether it is `nan`, `inf` or `-inf`.
    static boolean isWord(String number) {
        return Character.isLetter(number.charAt(number.length() - 1));
    }

    /// How many characters of a number follow its whole part: numbers are aligned there.
    static int fraction(String number) {
        int point = number.indexOf('.');
        return point < 0 ? 0 : number.length() - point;
    }
}
