/// Derivatives: the rule of every operation, the walk back from a result to its leaves, and the checks of both.
package dev.deckle.autograd;
