package dev.deckle.synth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JokeTest {
    private static final String GOOD = """
            <buildup>I talked about large models today.</buildup>
            <assumption>High technology.</assumption>
            <connector>Large  models (software; scale models)</connector>
            <reinterpretation>A globe.</reinterpretation>
            <punchline>My back still hurts from carrying it.</punchline>""";

    @Test
    void readsTheParts() {
        Joke joke = Joke.parse("<think>something <buildup>funny</think>\n" + GOOD + "\n");
        assertEquals(new Joke("I talked about large models today.", "High technology.",
                "Large  models (software; scale models)", "A globe.", "My back still hurts from carrying it."), joke);
        assertEquals("Large  models", joke.term());
        assertEquals("I talked about large models today. My back still hurts from carrying it.", joke.told());
        assertEquals("My back still hurts from carrying it.", joke.json().get("punchline").getAsString());
    }

    /// The notebook's own: open tags in two languages, one of them misspelt.
    @Test
    void readsTheNotebooksJoke() {
        Joke joke = Joke.parse("""
                <buildup>（今天我在跟生树科技的面试官聊大模型）
                <target_假设> 你们很厉害，聊大模型 高科技\s
                <连接点> 大模型（大预言模型， 大人体模型 地球模型）
                <再解读> 大地球模型
                <puchline> 为了把这个大模型搬到面试间来 我腰都断了
                """);
        assertEquals("大模型", joke.term());
        assertEquals("你们很厉害，聊大模型 高科技", joke.assumption());
        assertEquals("（今天我在跟生树科技的面试官聊大模型）为了把这个大模型搬到面试间来 我腰都断了", joke.told());
    }

    /// What is replaced in the good one, by what, and what is said of it.
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "<assumption>High technology.</assumption>||<assumption> is expected, not <connector>",
        "<punchline>My back|My back|text outside of the parts, before <punchline>",
        "<punchline>My back still hurts from carrying it.</punchline>||<punchline> is missing",
        "A globe.|' '|<reinterpretation> is empty",
        "A globe.|HIGH  technology.|the reinterpretation is the assumption",
        "A globe.|A <b>globe.|<b> is no part of a joke",
        "Large  models (|Small models (|the connector is not in the build-up",
        "Large  models (|(|the connector is not in the build-up",
        "My back still hurts from carrying it.|large models|the build-up tells the punchline",
        "<buildup>|Sure! <buildup>|text outside of the parts, before <buildup>",
        "carrying it.</punchline>|it.</punchline> Haha|text outside of the parts, at the end",
        "</assumption>|</assumption><assumption>x</assumption>|<assumption> comes twice",
        "<assumption>|</connector><assumption>|</connector> closes nothing"})
    void refusesWhatIsNone(String part, String other, String said) {
        String bad = GOOD.replace(part, other == null ? "" : other);
        assertTrue(!bad.equals(GOOD));
        assertEquals(said, assertThrows(IllegalArgumentException.class, () -> Joke.parse(bad)).getMessage());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"''|no part of a joke", "Why did the model cross the road?|no part of a joke",
        "<punchline>x|<buildup> is expected, not <punchline>", "<buildup>x|<assumption> is missing"})
    void refusesOtherTexts(String text, String said) {
        String message = assertThrows(IllegalArgumentException.class, () -> Joke.parse(text)).getMessage();
        assertTrue(message.equals(said) || text.isEmpty() && message.equals("<buildup> is missing"), message);
    }

    /// What a model is told is what the parser reads.
    @Test
    void theTemplateNamesAllTagsInOrder() {
        String template = Joke.template("paper");
        assertTrue(template.startsWith("Write a joke about this: paper\n"));
        int from = 0;
        for (Joke.Part part : Joke.Part.values()) {
            int at = template.indexOf("<" + part.tags.getFirst() + ">", from);
            assertTrue(at > 0 && template.indexOf("</" + part.tags.getFirst() + ">", at) > at, part.name());
            from = at;
        }
    }
}
