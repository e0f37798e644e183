package dev.deckle.explain;

import java.util.Set;
import java.util.function.Function;

/// Something that can be explained.
///
/// @param name as in `deckle explain NAME`
/// @param group the heading that it is listed under
/// @param summary one line
/// @param type the class at work: what to read next
/// @param takes which of the reader's own numbers it takes, by their flags: `seed`, `heads`, `kv-heads`, `values`
/// @param story runs the part and tells what it did
public record Part(
        String name, String group, String summary, Class<?> type, Set<String> takes,
        Function<Options, Explanation> story) {
    /// @throws IllegalArgumentException if the reader's numbers do not fit, naming the flag
    public Explanation explain(Options options) {
        return story.apply(options);
    }
}
