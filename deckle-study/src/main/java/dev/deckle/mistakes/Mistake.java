package dev.deckle.mistakes;

/// A slip in one part.
///
/// @param part such as `softmax`
/// @param name unique within the part, such as `no-scale`
/// @param why what goes wrong, and why people do it: one line
/// @param attempt the part with this slip
public record Mistake(String part, String name, String why, Attempt attempt) {}
