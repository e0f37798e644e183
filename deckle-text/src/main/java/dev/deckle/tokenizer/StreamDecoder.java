package dev.deckle.tokenizer;

/// Text from ids as they come, one by one, for a prompt that types itself.
///
/// A token may end within a character, or its text may depend on the next one. What is not certain waits, so that all
/// that [#accept] has returned, followed by [#flush], is what [Tokenizer#decode(int...)] gives for all ids.
public final class StreamDecoder {
    private final Tokenizer tokenizer;
    private final StringBuilder ready = new StringBuilder();
    private Decoder.Sink stages;

    StreamDecoder(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
        stages = start();
    }

    private Decoder.Sink start() {
        return tokenizer.decoder().run(new Decoder.Sink() {
            @Override
            public void token(String token) {
                ready.append(token);
            }

            @Override
            public void end() {}
        }, false);
    }

    /// The text that `id` completes, often its own, sometimes none.
    public String accept(int id) {
        String token = tokenizer.decoded(id);
        if (token != null) {
            stages.token(token);
        }
        return take();
    }

    /// The end of the text: what has waited, such as U+FFFD if a character has begun and not ended; mostly nothing. The
    /// next id begins a new text.
    public String flush() {
        stages.end();
        stages = start();
        return take();
    }

    private String take() {
        String text = ready.toString();
        ready.setLength(0);
        return text;
    }
}
