package dev.deckle.zero;

/// What all regions of a model share.
///
/// @param gathered buffers for values, in stage 3
/// @param incoming buffers for gradients, in stages 2 and 3
record Setting(
        Stage stage, int rank, int ranks, StateMemory parameters, StateMemory gradients, StateMemory optimizer,
        Buffers gathered, Buffers incoming) {}
