package dev.deckle.data;

import java.io.IOException;

/// One text of a corpus, read when it is asked for.
public interface Document {
    /// What the document is called in its corpus: a path with `/`, from the file or folder that was given.
    String name();

    /// How many bytes of text it has.
    long size();

    /// Its text in UTF-8. What is not UTF-8 in a file is passed on as it is.
    ///
    /// @throws IOException with the file's name if it cannot be read any more
    byte[] read() throws IOException;
}
