package dev.deckle.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The scanners against their regular expressions.
class PieceScannerTest {
    static List<PieceScanner> all() {
        return List.of(new PieceScanner.Gpt2(), new PieceScanner.Llama3(3), new PieceScanner.Llama3(1));
    }

    @ParameterizedTest
    @MethodSource("all")
    void findsThePiecesOfItsExpression(PieceScanner pieces) {
        Pattern reference = reference(pieces);
        var random = new Random(1);
        for (int i = 0; i < 10_000; i++) {
            String text = RandomText.of(random);
            assertEquals(expected(reference, text), actual(pieces, text), () -> escaped(text));
        }
    }

    /// Every code point of the planes that hold letters, between letters, digits, symbols and blanks and after an
    /// apostrophe.
    @ParameterizedTest
    @MethodSource("all")
    void agreesOnEveryCharacter(PieceScanner pieces) {
        Pattern reference = reference(pieces);
        for (int c = 0; c < 0x32400; c++) {
            if (c == 0xD800) {
                c = 0xE000;
            }
            String x = Character.toString(c);
            String text = "a" + x + "1" + x + "! " + x + "  " + x + x + "\n" + x + "'" + x + "e'" + x;
            assertEquals(expected(reference, text), actual(pieces, text), () -> escaped(text));
        }
    }

    @Test
    void cutsAsGpt2Does() {
        assertEquals(List.of("Hello", ",", " world", "  ", " I", "'ll", " pay", " 1234", "€", "\n\n", " x"),
                actual(new PieceScanner.Gpt2(), "Hello, world   I'll pay 1234€\n\n x"));
    }

    @Test
    void everyByteIsInExactlyOnePiece() {
        var random = new Random(2);
        for (PieceScanner pieces : all()) {
            for (int i = 0; i < 20_000; i++) {
                byte[] text = RandomText.bytes(random, 40);
                for (int from = 0; from < text.length;) {
                    int end = pieces.pieceEnd(text, from, text.length);
                    assertTrue(end > from && end <= text.length);
                    from = end;
                }
            }
        }
    }

    @Test
    void bytesThatAreNotUtf8AreSymbols() {
        byte[] text = {'a', (byte) 0xFF, (byte) 0xE2, (byte) 0x82, ' ', (byte) 0xED, (byte) 0xA0, (byte) 0x80, 'b'};
        var pieces = new PieceScanner.Gpt2();
        assertEquals(1, pieces.pieceEnd(text, 0, text.length));
        assertEquals(4, pieces.pieceEnd(text, 1, text.length));
        assertEquals(8, pieces.pieceEnd(text, 4, text.length));
    }

    private static Pattern reference(PieceScanner pieces) {
        return Pattern.compile(pieces.regex().replace("\\s", "\\p{IsWhite_Space}").replace("\\S", "\\P{IsWhite_Space}"),
                Pattern.UNICODE_CASE);
    }

    private static List<String> expected(Pattern reference, String text) {
        var pieces = new ArrayList<String>();
        Matcher m = reference.matcher(text);
        while (m.find()) {
            pieces.add(m.group());
        }
        return pieces;
    }

    private static List<String> actual(PieceScanner scanner, String text) {
        byte[] bytes = Utf8.encode(text);
        var pieces = new ArrayList<String>();
        for (int i = 0; i < bytes.length;) {
            int end = scanner.pieceEnd(bytes, i, bytes.length);
            var piece = new StringBuilder();
            Utf8.decode(bytes, i, end, piece);
            pieces.add(piece.toString());
            i = end;
        }
        return pieces;
    }

    private static String escaped(String text) {
        var out = new StringBuilder();
        text.codePoints().forEach(c -> out.append(c > 0x20 && c < 0x7F ? Character.toString(c) : "{%x}".formatted(c)));
        return out.toString();
    }
}
