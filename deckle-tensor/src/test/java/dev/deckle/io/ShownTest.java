package dev.deckle.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/// What a message shows of a stranger's text.
class ShownTest {
    @Test
    void plainTextStays() {
        assertEquals("model.norm.weight", Shown.brief("model.norm.weight"));
        assertEquals("\u5199 \ud83d\ude00", Shown.escaped("\u5199 \ud83d\ude00"));
    }

    @Test
    void aTerminalHasNothingToObey() {
        assertEquals("a\\u001b[31m\\u000ab\\u202e\\ud800", Shown.escaped("a\u001b[31m\nb\u202e\ud800"));
    }

    @Test
    void longTextIsCutBetweenCharacters() {
        assertEquals("xxx...", Shown.brief("x".repeat(1_000_000), 3));
        assertEquals("xxx", Shown.brief("xxx", 3));
        assertEquals("xx...", Shown.brief("xx\ud83d\ude00x", 3));
        assertEquals("\\u0...", Shown.brief("\u001b", 3));
    }
}
