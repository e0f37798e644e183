package dev.deckle.data;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/// A part of another document.
record Slice(Document whole, String name, int from, int end) implements Document {
    /// How far from the wanted place a line end is looked for.
    private static final int NEAR = 4096;

    @Override
    public long size() {
        return end - from;
    }

    @Override
    public byte[] read() throws IOException {
        return Arrays.copyOfRange(whole.read(), from, end);
    }

    /// Cuts the last `1 / parts` off: behind the first line end there, or else before a character.
    static Corpus.Split split(Document whole, int parts) throws IOException {
        byte[] text = whole.read();
        int cut = text.length - text.length / parts;
        int line = cut;
        while (line < text.length && line < cut + NEAR && text[line - 1] != '\n') {
            line++;
        }
        if (line < text.length && text[line - 1] == '\n') {
            cut = line;
        } else {
            for (int back = 0; back < 3 && cut > 1 && cut < text.length && (text[cut] & 0xC0) == 0x80; back++) {
                cut--;
            }
        }
        Document head = new Slice(whole, whole.name() + " (beginning)", 0, cut);
        Document tail = new Slice(whole, whole.name() + " (end)", cut, text.length);
        return new Corpus.Split(List.of(head), cut < text.length ? List.of(tail) : List.of());
    }
}
