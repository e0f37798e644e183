package dev.deckle.synth;

import java.io.IOException;

/// A row of which nothing can be made, as opposed to what would fail with every row.
public final class UnusableRow extends IOException {
    private static final long serialVersionUID = 1;

    UnusableRow(String message) {
        super(message);
    }
}
