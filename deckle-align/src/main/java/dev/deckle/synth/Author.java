package dev.deckle.synth;

import java.io.IOException;
import java.util.List;

/// What writes texts: a model here, or one behind an endpoint.
public interface Author extends AutoCloseable {
    /// What is asked for, for both kinds of models.
    ///
    /// @param system says what is wanted, to a model that holds conversations; empty for nothing
    /// @param user what such a model is to answer
    /// @param start what a model without conversations continues
    record Ask(String system, String user, String start) {}

    /// @param finished whether the model ended it; a text that was cut off is no answer
    record Text(String text, boolean finished) {}

    /// So many texts. The same seed, the same texts, as far as the model keeps to that. A text that goes on from an
    /// open `<think>` of the ask begins with that tag here.
    ///
    /// @throws UnusableRow if this ask cannot be answered, but others can
    List<Text> write(Ask ask, int count, long seed) throws IOException;

    /// What records call it.
    String name();

    /// Whether it holds conversations.
    boolean converses();

    /// Whether each text costs a call of its own. What such an author wrote is kept even where the next call fails.
    boolean separate();

    /// The text as token ids, for rewards that count tokens; empty where they are not known.
    int[] ids(String text);

    @Override
    default void close() {}
}
