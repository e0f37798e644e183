package dev.deckle.lm;

import dev.deckle.generate.Decoding;
import dev.deckle.generate.TextStream;
import java.util.Arrays;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/// A text that is being written, piece by piece, as somebody reads it.
///
/// Nothing runs ahead: a token is computed when the next piece is asked for, on the thread that asks. A slow reader
/// slows the model down and fills no queue; closing the answer, from any thread, stops the model between two tokens and
/// frees the memory of its cache. So a virtual thread for each reader is all that a server needs.
///
/// ```java
/// try (Answer answer = model.generate("Once upon a time")) {
///     answer.forEach(System.out::print);
/// }
/// ```
public final class Answer implements Iterable<String>, AutoCloseable {
    private final Decoding decoding;
    private final TextStream text;
    private final int promptLength;
    private final Consumer<String> ended;
    private volatile boolean over;

    /// @param ended takes the whole text, once, when the last piece was read or the answer is closed
    Answer(Decoding decoding, TextStream text, int promptLength, Consumer<String> ended) {
        this.decoding = decoding;
        this.text = text;
        this.promptLength = promptLength;
        this.ended = ended;
    }

    /// The pieces that have not been read: at least one character each, never a part of one. There is one pass.
    @Override
    public Iterator<String> iterator() {
        return new Iterator<>() {
            private String piece = "";

            @Override
            public boolean hasNext() {
                while (piece.isEmpty() && !over) {
                    piece = more();
                }
                return !piece.isEmpty();
            }

            @Override
            public String next() {
                if (!hasNext()) {
                    throw new NoSuchElementException("the answer has ended");
                }
                String next = piece;
                piece = "";
                return next;
            }
        };
    }

    /// The same as a stream.
    public Stream<String> pieces() {
        return StreamSupport.stream(spliterator(), false).onClose(this::close);
    }

    private String more() {
        try {
            return read();
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private synchronized String read() {
        if (over) {
            return "";
        }
        if (!decoding.hasNext()) {
            String rest = text.flush();
            close();
            return rest;
        }
        String piece = text.accept(decoding.next().id());
        if (text.stopped()) {
            close();
        }
        return piece;
    }

    /// All of it: reads what is left.
    public String text() {
        for (String _ : this) {
            // the text gathers what was read
        }
        return text.text();
    }

    /// What was read so far.
    public String soFar() {
        return text.text();
    }

    /// The new tokens so far, the one that ended it included.
    public int[] ids() {
        int[] all = decoding.ids(0);
        return Arrays.copyOfRange(all, promptLength, all.length);
    }

    boolean isOver() {
        return over;
    }

    /// Ends it where it is; what was read stays.
    @Override
    public synchronized void close() {
        if (!over) {
            over = true;
            decoding.close();
            ended.accept(text.text());
        }
    }
}
