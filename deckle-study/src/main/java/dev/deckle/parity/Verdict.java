package dev.deckle.parity;

/// How a case went on a backend.
///
/// @param maxAbsErr the largest difference of all numbers compared; not a number where nothing could be compared
/// @param maxRelErr the largest difference in terms of the expected number, over those of at least 1e-3
/// @param ok whether every number is within its tolerance
/// @param reason what is wrong, in one line; empty where nothing is
public record Verdict(
        String name, String component, String backend, double maxAbsErr, double maxRelErr, boolean ok, String reason) {}
