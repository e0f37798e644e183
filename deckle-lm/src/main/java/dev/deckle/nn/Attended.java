package dev.deckle.nn;

import dev.deckle.tensor.Tensor;

/// What attention gives to a reader who wants to see inside.
///
/// @param output the result
/// @param weights how much each query took from each key, (..., T, S), before dropout
public record Attended(Tensor output, Tensor weights) {}
