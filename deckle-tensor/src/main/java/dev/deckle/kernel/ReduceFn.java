package dev.deckle.kernel;

/// How many elements become one.
public enum ReduceFn {
    SUM,
    MAX
}
