package dev.deckle.tokenizer;

import java.util.Arrays;

/// Text from ids as they come, one by one, for a prompt that types itself.
///
/// A token may end within a character. Its bytes wait until the character is whole, so that all that [#accept] has
/// returned, followed by [#flush], is what [Tokenizer#decode(int...)] gives for all ids.
public final class StreamDecoder {
    private final Tokenizer tokenizer;
    private byte[] waiting = new byte[0]; // the beginning of a character, at most 3 bytes

    StreamDecoder(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /// The text that `id` completes, often its own, sometimes none.
    public String accept(int id) {
        byte[] token = tokenizer.bytes(id);
        byte[] bytes = Arrays.copyOf(waiting, waiting.length + token.length);
        System.arraycopy(token, 0, bytes, waiting.length, token.length);
        int whole = Utf8.incompleteTail(bytes, 0, bytes.length);
        waiting = Arrays.copyOfRange(bytes, whole, bytes.length);
        var text = new StringBuilder();
        Utf8.decode(bytes, 0, whole, text);
        return text.toString();
    }

    /// The end of the text: U+FFFD if a character has begun and not ended, otherwise nothing.
    public String flush() {
        var text = new StringBuilder();
        Utf8.decode(waiting, 0, waiting.length, text);
        waiting = new byte[0];
        return text.toString();
    }
}
