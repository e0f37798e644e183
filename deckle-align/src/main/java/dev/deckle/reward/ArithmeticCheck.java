package dev.deckle.reward;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// 1 where the first number of the answer is the value of the prompt's calculation, else 0.
///
/// The prompt's calculation: [Arithmetic#last]; what counts as the answer: [Answers]. A prompt without a calculation,
/// or with one that divides by zero, gets no reward.
///
/// The number may have a sign, decimals (`3.5`), commas between thousands (`1,234`) and a denominator (`7/2`). It has
/// to be exact; a value that decimals cannot write may be rounded to two of them or more.
record ArithmeticCheck() implements RewardFunction {
    private static final Pattern NUMBER = Pattern.compile(
            "(?<sign>(?<![\\w)])[-\u2212])?(?<whole>\\d{1,3}+(?:,\\d{3})++(?!\\d)|\\d++)"
                    + "(?:\\.(?<decimals>\\d++)|/(?<denominator>\\d++))?+");
    private static final int MOST_DIGITS = 1000;

    @Override
    public double[] rewards(List<Sample> samples) {
        return samples.stream().mapToDouble(ArithmeticCheck::reward).toArray();
    }

    private static double reward(Sample s) {
        Optional<Rational> value = Arithmetic.last(s.prompt());
        if (value.isEmpty()) {
            return Double.NaN;
        }
        return Answers.of(s).filter(answer -> isRight(answer, value.get())).isPresent() ? 1 : 0;
    }

    static boolean isRight(String answer, Rational value) {
        Matcher m = NUMBER.matcher(answer);
        if (!m.find() || m.end() - m.start() > MOST_DIGITS) {
            return false;
        }
        String sign = m.group("sign") == null ? "" : "-";
        String whole = sign + m.group("whole").replace(",", "");
        String decimals = m.group("decimals");
        if (decimals == null) {
            BigInteger denominator = m.group("denominator") == null
                    ? BigInteger.ONE
                    : new BigInteger(m.group("denominator"));
            return denominator.signum() != 0
                    && value.equals(Rational.of(new BigInteger(whole), denominator));
        }
        int n = decimals.length();
        BigDecimal given = new BigDecimal(whole + "." + decimals);
        if (value.equals(Rational.of(given.unscaledValue(), BigInteger.TEN.pow(n)))) {
            return true;
        }
        return n >= 2 && !value.isDecimal()
                && value.rounded(n, RoundingMode.HALF_UP).compareTo(given) == 0;
    }

    @Override
    public String name() {
        return "arithmetic";
    }
}
