package dev.deckle.generate;

import dev.deckle.tokenizer.StreamDecoder;
import dev.deckle.tokenizer.Tokenizer;
import java.util.List;

/// The text of one sequence as its tokens come, up to the first of some stop texts. A stop text may begin in one token
/// and end in another, so what could be the beginning of one is held back until the next tokens decide.
///
/// Special tokens have no text. A stop text counts where it ends behind the prompt: unlike transformers, which keeps
/// it, the text ends before it.
public final class TextStream {
    private final Tokenizer tokenizer;
    private final StreamDecoder decoder;
    private final List<String> stops;
    private final StringBuilder text = new StringBuilder();
    private int shown; // what #accept has returned
    private boolean stopped;

    public TextStream(Tokenizer tokenizer, List<String> stops) {
        this.tokenizer = tokenizer;
        this.decoder = tokenizer.stream();
        this.stops = List.copyOf(stops);
    }

    /// The text of the ids before the first token, in which no stop text counts: where they end within a character, the
    /// tokens complete it.
    public String begin(int... prompt) {
        StringBuilder before = new StringBuilder();
        for (int id : prompt) {
            before.append(decoder.accept(id));
        }
        return before.toString();
    }

    /// What follows for sure with the next token: often its own text, sometimes none, sometimes more.
    ///
    /// @throws IllegalStateException if the text has ended
    public String accept(int id) {
        if (stopped) {
            throw new IllegalStateException("the text has ended with a stop text");
        }
        if (!tokenizer.isSpecial(id)) {
            text.append(decoder.accept(id));
        }
        int end = text.length();
        for (String stop : stops) {
            int at = text.indexOf(stop, shown); // what was shown is no beginning of one
            if (at >= 0) {
                end = Math.min(end, at);
                stopped = true;
            }
        }
        text.setLength(end);
        return show(stopped ? end : end - held());
    }

    /// Whether a stop text has come.
    public boolean stopped() {
        return stopped;
    }

    /// The rest of the text, when no more tokens come.
    public String flush() {
        if (!stopped) {
            text.append(decoder.flush());
        }
        return show(text.length());
    }

    /// All of it, what is held back included.
    public String text() {
        return text.toString();
    }

    private String show(int to) {
        String more = text.substring(Math.min(shown, to), to);
        shown = Math.max(shown, to);
        return more;
    }

    /// The longest end of the text that a stop text could begin with.
    private int held() {
        int most = 0;
        for (String stop : stops) {
            for (int n = Math.min(stop.length() - 1, text.length()); n > most; n--) {
                if (stop.startsWith(text.substring(text.length() - n))) {
                    most = n;
                }
            }
        }
        return most;
    }
}
