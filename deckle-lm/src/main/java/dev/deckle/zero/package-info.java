/// ZeRO: the parameters, gradients and optimizer state of a model, divided among ranks.
package dev.deckle.zero;
