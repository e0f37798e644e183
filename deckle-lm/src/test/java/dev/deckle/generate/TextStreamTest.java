package dev.deckle.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextStreamTest {
    /// A token a byte, so that every text comes in pieces.
    private static final Tokenizer BYTES = new BpeTrainer(257, List.of("<|end|>")).train();

    @ParameterizedTest
    @CsvSource({
        "one two three, two, 'one ', true", "aab, ab, a, true", "aaab, aab, a, true", "abcabd, abd, abc, true",
        "no stop here, stop!, no stop here, false", "ends with st, stop, ends with st, false",
        "first second, second|first, '', true"
    })
    void theTextEndsBeforeAStop(String text, String stops, String expected, boolean stopped) {
        TextStream stream = new TextStream(BYTES, List.of(stops.split("\\|")));
        StringBuilder shown = new StringBuilder();
        for (int id : BYTES.encode(text)) {
            if (stream.stopped()) {
                break;
            }
            shown.append(stream.accept(id));
            assertTrue(expected.startsWith(shown.toString()), "shown too early: " + shown);
        }
        shown.append(stream.flush());
        assertEquals(expected, shown.toString());
        assertEquals(expected, stream.text());
        assertEquals(stopped, stream.stopped());
    }

    @Test
    void whatComesBeforeIsNoStop() {
        TextStream stream = new TextStream(BYTES, List.of("ab"));
        assertEquals("xab", stream.begin(BYTES.encode("xab")));
        assertEquals("", stream.accept(BYTES.encode("a")[0]));
        assertFalse(stream.stopped());
        assertEquals("", stream.accept(BYTES.encode("b")[0]));
        assertTrue(stream.stopped());
        assertThrows(IllegalStateException.class, () -> stream.accept(1));
    }

    /// The first byte of ä before, its second as a token.
    @Test
    void aCharacterMayBeginBefore() {
        int[] both = BYTES.encode("ä");
        assertEquals(2, both.length);
        TextStream stream = new TextStream(BYTES, List.of());
        assertEquals("", stream.begin(both[0]));
        assertEquals("ä", stream.accept(both[1]));
    }
}
