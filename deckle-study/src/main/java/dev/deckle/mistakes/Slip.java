package dev.deckle.mistakes;

import java.util.Locale;

/// What a learner writes otherwise than the textbook. Each family of parts has an enum of them, with `NONE` first: the
/// textbook itself.
public interface Slip {
    /// The constant's name.
    String name();

    /// What goes wrong, and why people do it; empty for `NONE`.
    String why();

    /// As it is shown: `no-scale`.
    default String label() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
