package dev.deckle.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.deckle.tokenizer.AddedTokens.Added;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Cases that random texts seldom hit; what is expected was tried with Hugging Face's `tokenizers` 0.23.2.
class AddedTokensTest {
    private static Added plain(String content) {
        return new Added(0, content, true, false, false, false, false);
    }

    @Test
    void theLongestWins() {
        assertEquals("a [<xx>] b", split("a<xx>b", plain("<x"), plain("<xx>"), plain("<xx")));
        assertEquals("[<xx] [<x] >", split("<xx<x>", plain("<x"), plain("<xx>"), plain("<xx")));
    }

    @Test
    void tokensMatchedAsWrittenGoFirst() {
        Added normalized = new Added(1, "x<", false, true, false, false, false);
        assertEquals("x [<x>]", split("x<x>", normalized, plain("<x>")));
        assertEquals("[x<] y", split("x<y", normalized, plain("<x>")));
    }

    @Test
    void aSingleWordStandsBetweenWhatIsNoWord() {
        Added cat = new Added(1, "cat", false, false, true, false, false);
        for (String beside : List.of("x", "5", "٣", "_", "\u0301", "\u200C", "\u200D", "é", "手")) {
            assertEquals("cat" + beside, split("cat" + beside, cat));
            assertEquals(beside + "cat", split(beside + "cat", cat));
        }
        for (String beside : List.of(" ", "-", "\n", "🤖", "½")) {
            assertEquals("[cat] " + beside, split("cat" + beside, cat));
            assertEquals(beside + " [cat]", split(beside + "cat", cat));
        }
    }

    @Test
    void strippedBlanksBelongToTheToken() {
        Added left = new Added(1, "<l>", true, false, false, true, false);
        Added right = new Added(2, "<r>", true, false, false, false, true);
        assertEquals("a [<l>]   b", split("a \u3000\n<l>  b", left));
        assertEquals("a  [<r>] b", split("a <r> \u3000\nb", right));
        assertEquals("[<r>] [<l>]", split("<r> <l>", left, right));
        assertEquals("[<r>] [ b] c", split("<r>  bc", right, plain(" b")), "a blank may be taken twice");
    }

    @Test
    void bytesThatAreNotUtf8AreNoWordsAndNoBlanks() {
        Added cat = new Added(1, "cat", false, false, true, true, true);
        byte[] text = {(byte) 0x80, 'c', 'a', 't', (byte) 0xC3};
        var ends = new ArrayList<Integer>();
        new AddedTokens(List.of(cat)).split(text, new AddedTokens.Sink() {
            @Override
            public void token(int id) {
                ends.add(-id);
            }

            @Override
            public void text(byte[] whole, int from, int end, boolean first) {
                ends.add(end);
            }
        });
        assertEquals(List.of(1, -1, 5), ends);
    }

    /// The parts of `text`, a space between them, tokens in brackets.
    private static String split(String text, Added... tokens) {
        byte[] bytes = Utf8.encode(text);
        var numbered = new ArrayList<Added>();
        for (Added t : tokens) {
            numbered.add(new Added(numbered.size(), t.content(), t.special(), t.normalized(), t.singleWord(),
                    t.lstrip(), t.rstrip()));
        }
        var parts = new ArrayList<String>();
        new AddedTokens(numbered).split(bytes, new AddedTokens.Sink() {
            @Override
            public void token(int id) {
                parts.add("[" + numbered.get(id).content() + "]");
            }

            @Override
            public void text(byte[] whole, int from, int end, boolean first) {
                parts.add(new String(whole, from, end - from, StandardCharsets.UTF_8));
            }
        });
        return String.join(" ", parts);
    }
}
