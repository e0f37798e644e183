package dev.deckle.explain;

import java.util.List;

/// A part at work on small numbers. The same data is rendered as text, as JSON and as a page.
///
/// @param name as in `deckle explain NAME`
/// @param title the part's full name
/// @param idea what it is for, in one or two sentences
/// @param steps in the order in which they happen
public record Explanation(String name, String title, String idea, List<Step> steps) {
    public Explanation {
        steps = List.copyOf(steps);
    }
}
