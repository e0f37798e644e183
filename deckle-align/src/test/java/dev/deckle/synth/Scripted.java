package dev.deckle.synth;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/// An author that writes what a test says.
final class Scripted implements Author {
    @FunctionalInterface
    interface Script {
        /// @param sample of the ask's, from 0
        Text text(Ask ask, int sample, long seed) throws IOException;
    }

    final List<Ask> asked = new ArrayList<>();
    private final Script script;
    private final boolean converses;

    Scripted(boolean converses, Script script) {
        this.converses = converses;
        this.script = script;
    }

    /// Finished texts, by their number in their ask.
    static Scripted of(String... texts) {
        return new Scripted(false, (ask, sample, seed) -> new Text(texts[sample % texts.length], true));
    }

    @Override
    public List<Text> write(Ask ask, int count, long seed) throws IOException {
        asked.add(ask);
        List<Text> texts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            texts.add(script.text(ask, i, seed));
        }
        return texts;
    }

    @Override
    public String name() {
        return "scripted";
    }

    @Override
    public boolean converses() {
        return converses;
    }

    @Override
    public boolean separate() {
        return false;
    }

    @Override
    public int[] ids(String text) {
        return text.codePoints().toArray();
    }
}
