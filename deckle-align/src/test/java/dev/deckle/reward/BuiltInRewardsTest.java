package dev.deckle.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.reward.RewardFunction.Sample;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BuiltInRewardsTest {
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "<think>7 or 8?</think> 19 |19",
        "a</think>b</think>19|19",
        "<answer>1</answer> no: <answer> 19 </answer>.|19",
        "<answer>1</answer></think>2|2",
        "</answer>19|</answer>19",
        "<answer>19|<answer>19",
    })
    void theAnswerIsBehindTheThoughtsAndInsideItsTag(String completion, String answer) {
        assertEquals(Optional.of(answer), Answers.of(Samples.of("p", completion)));
        assertEquals(Optional.of(answer), Answers.of(Samples.of("p", "\n" + completion + " \n")));
    }

    @Test
    void whatWasCutOffWhileThinkingHasNoAnswer() {
        assertEquals(Optional.empty(), Answers.of(Samples.of("p", "<think>it is 19")));
        assertEquals(Optional.empty(), Answers.of(Samples.of("p <think>\n", "it is 19")));
        assertEquals(Optional.of("19"), Answers.of(Samples.of("p <think>\n", "hm</think>19")));
        assertEquals(Optional.of("19"), Answers.of(Samples.of("<think>before</think> p", "19")));
        assertEquals(0, Samples.judge(new ArithmeticCheck(), Samples.of("12+7=", "<think>19, or")));
        assertEquals(0,
                Samples.judge(new ExactMatch("answer"), Samples.of("", "<think>", "{\"answer\": \"<think>\"}")));
    }

    @ParameterizedTest
    @CsvSource(quoteCharacter = '`', delimiter = '|', value = {
        "yes|\"yes\"|1",
        "yes| \" yes \" |1",
        "Yes|\"yes\"|0",
        "19.0|\"19\"|0",
        "19.0|19|1",
        "1.9e1|19|1",
        "nineteen|19|0",
        "19 apples|19|0",
        "1e999999999|19|0",
        "true|true|1",
        "no|[\"nein\", \"no\"]|1",
        "non|[\"nein\", \"no\"]|0",
        "2|[1, 2]|1",
        "2|[]|0",
        "2|null|NaN",
    })
    void exactMatch(String completion, String answer, double reward) {
        assertEquals(reward, Samples.judge(new ExactMatch("answer"),
                Samples.of("p", completion, "{\"answer\": " + answer + "}")));
    }

    @Test
    void exactMatchSaysWhatIsWrongWithTheColumn() throws IOException {
        RewardFunction f = Rewards.open("exact_match:level");
        assertEquals(1, Samples.judge(f, Samples.of("p", "hard", "{\"level\": \"hard\", \"answer\": \"x\"}")));
        var e = assertThrows(IllegalArgumentException.class,
                () -> Samples.judge(f, Samples.of("p", "x", "{\"answer\": 1, \"id\": 2}")));
        assertEquals("the row has no column level; it has [answer, id]", e.getMessage());
        e = assertThrows(IllegalArgumentException.class,
                () -> Samples.judge(f, Samples.of("p", "x", "{\"level\": {\"a\": 1}}")));
        assertTrue(e.getMessage().contains("level") && e.getMessage().contains("{\"a\":1}"), e.getMessage());
    }

    @Test
    void regexIsFoundAnywhere() throws IOException {
        RewardFunction f = Rewards.open("regex:^b+:[x]$");
        assertArrayEquals(new double[] {1, 0, 0}, f.rewards(Samples.completions("bb:x", "a bb:x", "")));
        assertEquals(1, Samples.judge(Rewards.open("regex:b+"), Samples.of("p", "a\nabba")));
    }

    @Test
    void aSearchWithoutEndFailsForItsSampleAlone() throws IOException {
        String hostile = "a".repeat(60) + "!";
        try (var panel = new RewardPanel(List.of(new RewardPanel.Weighted(Rewards.open("regex:^(a|aa)+\\1$"), 1)))) {
            var verdict = panel.judge(Samples.completions("aaa", hostile, "b"));
            assertArrayEquals(new double[] {1, Double.NaN, 0}, verdict.total());
            assertEquals(1, verdict.failures().get("regex"));
            assertTrue(panel.firstFailures().get("regex").contains("61 characters"), panel.firstFailures().toString());
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"<think>a</think>b", " \n<think>\na\n</think>\n\nb\n", "<think>a</think><answer>b</answer>"})
    void wellFormed(String completion) throws IOException {
        assertEquals(1, Samples.judge(Rewards.open("format"), Samples.of("p", completion)));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "b", "a</think>b", "<think>a", "<think>a</think>", "<think>a</think> \n", "<think> </think>b",
        "x<think>a</think>b", "<think>a</think>b</think>c", "<think>a<think>c</think>b", "<think>a</think><think>b",
        "</think>a<think>b", "<Think>a</Think>b"})
    void notWellFormed(String completion) {
        assertEquals(0, Samples.judge(new ThinkFormat(), Samples.of("p", completion)));
    }

    @Test
    void thePromptMayOpenTheThoughts() {
        assertTrue(Answers.isWellFormed(Samples.of("p<think>\n", "a</think>b")));
        assertFalse(Answers.isWellFormed(Samples.of("p<think>\n", "<think>a</think>b")));
        assertFalse(Answers.isWellFormed(Samples.of("p<think>\n", "a")));
    }

    private static double[] lengths(String spec, int... lengths) throws IOException {
        List<Sample> samples = IntStream.of(lengths).mapToObj(Samples::ofLength).toList();
        return Rewards.open(spec).rewards(samples);
    }

    @Test
    void lengthFallsFromNToTwiceN() throws IOException {
        assertArrayEquals(new double[] {1, 1, 1, 0.75, 0.5, 0.25, 0, 0},
                lengths("length:4", 0, 3, 4, 5, 6, 7, 8, 1000));
    }

    @Test
    void overlongIsEquation13() throws IOException {
        assertArrayEquals(new double[] {0, 0, -0.25, -0.5, -0.75, -1, -1, -1},
                lengths("overlong:10,4", 0, 6, 7, 8, 9, 10, 11, 1000));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "regex", "regex:", "regex:(a", "length", "length:", "length:0", "length:-3", "length:x", "length:99999999999",
        "overlong:5", "overlong:5,6", "overlong:5,0", "overlong:5,1,2", "overlong:a,b", "format:x", "arithmetic:1",
        "exact_match:", "command:", "command: ", "model",
        "model: ", "exactmatch", "", " ", ":", "lenght:4", "model\nx", "a..b", "1.5",
        "some/where.jar"})
    void wrongSpecsAreOneLine(String spec) {
        var e = assertThrows(IllegalArgumentException.class, () -> Rewards.open(spec));
        assertEquals(1, e.getMessage().lines().count(), e.getMessage());
        assertTrue(e.getMessage().contains("reward"), e.getMessage());
    }

    @Test
    void specsAreTrimmedAndNamed() throws IOException {
        assertEquals("length", Rewards.open(" length: 4 ").name());
        assertEquals("exact_match", Rewards.open("exact_match:level").name());
        assertEquals("format", Rewards.open("format").name());
        assertEquals("overlong", Rewards.open("overlong:4, 2").name());
    }
}
