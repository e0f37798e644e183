package dev.deckle.explain;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/// One step of an [Explanation].
///
/// @param kind what it is to the reader
/// @param title a few words: what happens
/// @param formula how the values come about, in the signs of the field; empty for what is simply given
/// @param tensors the values of this step by name, in order; empty where a sentence is enough
/// @param note a sentence that the values do not say; may be empty
public record Step(Kind kind, String title, String formula, Map<String, Values> tensors, String note) {
    /// The parts of a story.
    public enum Kind {
        /// What the reader is given.
        INPUT,
        /// What is computed on the way.
        STEP,
        /// The result.
        OUTPUT,
        /// What flows back.
        GRADIENT,
        /// What people get wrong here, with the wrong number that the mistake gives.
        MISTAKE
    }

    public Step {
        tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
    }
}
