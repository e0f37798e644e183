package dev.deckle.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.util.Optional;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ArithmeticTest {
    private static Rational fraction(long n, long d) {
        return Rational.of(BigInteger.valueOf(n), BigInteger.valueOf(d));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', value = {
        "12+7=|19",
        "What is (1 + 2) * 3?|9",
        "2+3*4|14",
        "20-5-3|12",
        "100/5/2|10",
        "2*-3|-6",
        "-(2+3)*4|-20",
        "--2+1|3",
        "gpt-4 says 3+4=|7",
        "Today is 2026-11-28. user: 12+7=|19",
        "1) 2+3|5",
        "2+3) and|5",
        "(2+3|5",
        "12+7-|19",
        "12+7 -=|19",
        "2*(1+3|4",
        "1+1 is 2, so 2+2 is|4",
        "3 \u00d7 4 \u00f7 2 \u2212 1|5",
        "99999999999+1|100000000000",
        "007+1|8",
        "1/0 or 1+1?|2",
        "5 4+1|5",
    })
    void theLastCalculation(String prompt, long value) {
        assertEquals(Optional.of(fraction(value, 1)), Arithmetic.last(prompt));
        assertEquals(Optional.of(fraction(value, 1)), Arithmetic.last("1 + 1\n" + prompt + "\n2 +"));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "no numbers", "42", "-42", "(42)", "+ - * /", "3 4", "1/0", "1/0+5+6", "2+1/(3-3)*4=", "2*(1+", "((((",
        "1+1 then 3/0", "\u0661+\u0662"})
    void none(String prompt) {
        assertEquals(Optional.empty(), Arithmetic.last(prompt));
        assertEquals(Double.NaN, Samples.judge(new ArithmeticCheck(), Samples.of(prompt, "2")));
    }

    @Test
    void depthAndLengthEnd() {
        assertEquals(Optional.of(fraction(2, 1)), Arithmetic.last("(".repeat(60) + "1+1" + ")".repeat(60)));
        assertEquals(Optional.empty(), Arithmetic.last("(".repeat(100_000)));
        assertEquals(Optional.of(fraction(100_001, 1)), Arithmetic.last("1" + "+1".repeat(100_000)));
        assertEquals(Optional.empty(), Arithmetic.last("-".repeat(100_000) + "1"));
    }

    /// A calculation with its value, made from the value's side.
    private record Term(String text, double value, int binding) {}

    private static Term term(RandomGenerator random, int depth) {
        if (depth == 0 || random.nextInt(5) == 0) {
            int n = random.nextInt(1, 60);
            return new Term(Integer.toString(n), n, 3);
        }
        Term a = term(random, depth - 1);
        Term b = term(random, depth - 1);
        String gap = " ".repeat(random.nextInt(2));
        return switch (random.nextInt(5)) {
            case 0 -> new Term(at(a, 1) + gap + "+" + gap + at(b, 1), a.value + b.value, 1);
            case 1 -> new Term(at(a, 1) + gap + "-" + gap + at(b, 2), a.value - b.value, 1);
            case 2 -> new Term(at(a, 2) + gap + "*" + gap + at(b, 2), a.value * b.value, 2);
            case 3 -> new Term(at(a, 2) + gap + "/" + gap + at(b, 3), a.value / b.value, 2);
            default -> new Term("-" + at(a, 3), -a.value, 3);
        };
    }

    /// In parentheses where it binds less than its place asks.
    private static String at(Term t, int binding) {
        return t.binding >= binding ? t.text : "(" + t.text + ")";
    }

    @Test
    void randomCalculations() {
        RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(7);
        int compared = 0;
        for (int i = 0; i < 2000; i++) {
            Term t = term(random, 4);
            if (!t.text.matches(".*\\d.*[-+*/].*\\d.*") || !(Math.abs(t.value) < 1e6)) {
                continue; // no operator, or a division by (almost) nothing
            }
            Rational value = Arithmetic.last("Q: " + t.text + "=").orElseThrow(() -> new AssertionError(t.text));
            double found = value.numerator().doubleValue() / value.denominator().doubleValue();
            assertEquals(t.value, found, 1e-6 * Math.max(1, Math.abs(t.value)), t.text);
            compared++;
        }
        assertTrue(compared > 1000, "compared " + compared);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', value = {
        "19|19|1|true",
        "It is 19.|19|1|true",
        "19, or 20|19|1|true",
        "20, or 19|19|1|false",
        "-5|-5|1|true",
        "= \u22125|-5|1|true",
        "5|-5|1|false",
        "-5|5|1|false",
        "answer-5|5|1|true",
        "- 5|5|1|true",
        "9-4|9|1|true",
        "1,234|1234|1|true",
        "1,234,567.5|2469135|2|true",
        "1,2345|1|1|true",
        "1234,567|1234|1|true",
        "19.0|19|1|true",
        "19.5|19|1|false",
        "3.5|7|2|true",
        "3.50|7|2|true",
        "3.4|7|2|false",
        "7/2|7|2|true",
        "14/4|7|2|true",
        "-7/2|-7|2|true",
        "7/0|7|1|false",
        "1/3|1|3|true",
        "0.33|1|3|true",
        "0.3333|1|3|true",
        "0.3|1|3|false",
        "0.34|1|3|false",
        "0.67|2|3|true",
        "-0.67|-2|3|true",
        "-0.5|-1|2|true",
        "0.13|1|8|false",
        "none|19|1|false",
        "\"\"|19|1|false",
    })
    void theFirstNumberOfTheAnswer(String answer, long n, long d, boolean right) {
        assertEquals(right, ArithmeticCheck.isRight(answer, fraction(n, d)));
    }

    @Test
    void promptAndAnswerTogether() {
        RewardFunction f = new ArithmeticCheck();
        assertEquals(1, Samples.judge(f, Samples.of("12+7=", "<think>12 and 7</think>19")));
        assertEquals(0, Samples.judge(f, Samples.of("12+7=", "<think>19</think>18")));
        assertEquals(1, Samples.judge(f, Samples.of("12+7=", "19")));
        assertFalse(ArithmeticCheck.isRight("1".repeat(1_000_000), fraction(1, 1)));
    }
}
